use memory_core::{retry, retry_on_error, retry_on_result};

type Answer = Option<u8>;

#[retry(
    retry = retry_on_error(|error| error.to_string().is_empty()) | retry_on_result(|value| value.is_some()),
    before_sleep = |_, error, _| eprintln!("{error}"),
)]
async fn call(id: u8) -> Answer {
    Some(id)
}

fn main() {}
