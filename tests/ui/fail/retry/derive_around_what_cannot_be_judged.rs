use memory_core::Retryable;

#[derive(Retryable)]
enum Failure {
    Down { source: String },
}

fn main() {
    let _ = Failure::Down { source: String::new() };
}
