use memory_core::fm_lru;

#[fm_lru(maxsize = -1)]
fn shout(word: &str) -> String {
    word.to_uppercase()
}

fn main() {
    shout::cache_info();
}
