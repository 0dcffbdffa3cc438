use memory_core::cached_singleton;

struct App;

impl App {
    #[cached_singleton]
    fn settings(&self) -> String {
        String::new()
    }
}

fn main() {}
