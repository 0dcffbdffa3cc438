use memory_core::default_retry;

struct Request;

impl Request {
    #[default_retry]
    async fn send(self) -> Result<(), std::io::Error> {
        let Request = self;
        Ok(())
    }
}

fn main() {
    let _ = Request.send();
}
