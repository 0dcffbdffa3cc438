use memory_core::default_retry;

#[default_retry]
async fn call() -> Result<u8, String> {
    Err("down".to_owned())
}

fn main() {
    let _ = call();
}
