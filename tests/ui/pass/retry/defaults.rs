//! The guide's first example, and what a caller sees of it.

use memory_core::default_retry;

#[default_retry]
async fn call_upstream(name: &str) -> Result<String, std::io::Error> {
    Ok(name.to_uppercase())
}

#[default_retry()]
fn call_blocking(name: String) -> Result<String, std::io::Error> {
    Ok(name)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!(call_upstream("a").await.unwrap(), "A");
    assert_eq!(call_blocking("b".to_owned()).unwrap(), "b");
}
