use memory_core::fm_lru;

const BOUND: &str = "10";

#[fm_lru(maxsize = BOUND)]
fn shout(word: &str) -> String {
    word.to_uppercase()
}

fn main() {
    shout::cache_info();
}
