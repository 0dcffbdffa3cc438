use memory_core::retry;

trait Upstream {
    #[retry]
    async fn call(&self) -> Result<(), std::io::Error>;
}

fn main() {
    fn _used(_: impl Upstream) {}
}
