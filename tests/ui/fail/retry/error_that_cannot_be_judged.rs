use memory_core::retry;

enum Failure {
    Down,
}

#[retry]
fn call() -> Result<u8, Failure> {
    Err(Failure::Down)
}

fn main() {
    let _ = call();
}
