use memory_core::cached_singleton;

#[cached_singleton]
fn get_settings() {}

fn main() {}
