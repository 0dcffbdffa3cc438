use memory_core::fm_lru;

struct Config;

#[fm_lru(maxsize = 2)]
async fn get_config(name: &str) -> Result<Config, String> {
    Err(name.to_owned())
}

fn main() {}
