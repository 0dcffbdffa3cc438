use memory_core::default_retry;

#[default_retry]
async fn send<T: Into<u32>>(times: T) -> Result<u32, std::io::Error> {
    Ok(times.into())
}

fn main() {
    let _ = send(1u32);
}
