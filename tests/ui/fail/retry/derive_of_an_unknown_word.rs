use memory_core::Retryable;

#[derive(Retryable)]
enum Failure {
    #[retryable(maybe)]
    Down,
}

fn main() {
    let _ = Failure::Down;
}
