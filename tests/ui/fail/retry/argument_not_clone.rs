use memory_core::default_retry;

struct Body;

#[default_retry]
async fn send(body: Body, times: u32) -> Result<u32, std::io::Error> {
    let Body = body;
    Ok(times)
}

fn main() {
    let _ = send(Body, 1);
}
