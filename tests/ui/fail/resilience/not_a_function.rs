use memory_core::circuit_breaker;

#[circuit_breaker]
struct Upstream;

fn main() {
    let _ = Upstream;
}
