use memory_core::default_retry;

#[default_retry]
struct Service;

fn main() {
    let _ = Service;
}
