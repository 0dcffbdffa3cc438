use memory_core::cached_singleton;

#[cached_singleton]
fn get_settings<T: Default>() -> T {
    T::default()
}

fn main() {}
