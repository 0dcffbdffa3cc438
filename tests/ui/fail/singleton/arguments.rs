use memory_core::cached_singleton;

#[cached_singleton]
fn get_settings(name: &str) -> String {
    name.to_owned()
}

fn main() {}
