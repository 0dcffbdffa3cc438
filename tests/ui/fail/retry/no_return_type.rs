use memory_core::default_retry;

#[default_retry]
async fn call() {}

fn main() {
    let _ = call();
}
