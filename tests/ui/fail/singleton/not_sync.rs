use memory_core::cached_singleton;

#[cached_singleton]
fn get_settings() -> std::cell::Cell<u8> {
    std::cell::Cell::new(1)
}

fn main() {}
