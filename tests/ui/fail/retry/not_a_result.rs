use memory_core::default_retry;

#[default_retry]
async fn call() -> Option<u8> {
    Some(1)
}

fn main() {
    let _ = call();
}
