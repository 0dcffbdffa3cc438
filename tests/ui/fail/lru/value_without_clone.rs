use memory_core::fm_lru;

struct Config;

#[fm_lru(maxsize = 2)]
fn get_config(name: &str) -> Option<Config> {
    (name == "a").then_some(Config)
}

fn main() {}
