use memory_core::default_retry;

#[default_retry(attempts = 5)]
async fn call(text: &str) -> Result<u8, std::num::ParseIntError> {
    let number: u16 = text.parse()?;
    Ok(number)
}

fn main() {
    let _ = call("1");
}
