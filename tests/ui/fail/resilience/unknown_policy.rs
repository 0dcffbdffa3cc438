use memory_core::{FmError, resilient};

#[resilient(circuitbreaker(probes = 1))]
async fn call() -> Result<(), FmError> {
    Ok(())
}

#[resilient(timeout = 30)]
async fn other() -> Result<(), FmError> {
    Ok(())
}

fn main() {
    let _ = (call(), other());
}
