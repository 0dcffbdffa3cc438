use memory_core::cached_singleton;

#[cached_singleton]
const fn get_settings() -> u8 {
    1
}

fn main() {}
