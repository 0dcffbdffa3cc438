use memory_core::default_retry;

type Answer = Option<u8>;

#[default_retry]
async fn call(id: u8) -> Answer {
    Some(id)
}

fn main() {}
