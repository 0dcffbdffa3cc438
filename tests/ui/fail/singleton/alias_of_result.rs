use memory_core::cached_singleton;

type Fallible<T> = Result<T, String>;

#[cached_singleton]
fn get_settings() -> Fallible<u8> {
    Ok(1)
}

fn main() {}
