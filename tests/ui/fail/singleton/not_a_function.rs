use memory_core::cached_singleton;

#[cached_singleton]
struct Settings;

fn main() {}
