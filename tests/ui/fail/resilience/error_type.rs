use memory_core::circuit_breaker;

#[derive(Debug)]
struct Down;

#[circuit_breaker]
async fn call() -> Result<u8, Down> {
    Err(Down)
}

fn main() {
    let _ = call();
}
