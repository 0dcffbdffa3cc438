use memory_core::cached_singleton;

struct Settings;

impl Settings {
    #[cached_singleton]
    fn shared() -> Option<Self> {
        Some(Settings)
    }
}

fn main() {}
