use memory_core::fm_lru;

struct App;

impl App {
    #[fm_lru(maxsize = 2)]
    fn config(&self, name: &str) -> String {
        name.to_owned()
    }
}

fn main() {}
