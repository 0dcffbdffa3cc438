use memory_core::cached_singleton;

type Result = std::result::Result<u8, String>;

#[cached_singleton]
fn get_settings() -> Result {
    Ok(1)
}

fn main() {}
