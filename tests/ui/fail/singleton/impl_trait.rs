use memory_core::cached_singleton;

#[cached_singleton]
fn get_settings() -> impl Fn() -> u8 {
    || 1
}

fn main() {}
