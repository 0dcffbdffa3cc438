use memory_core::fm_lru;

#[fm_lru(10)]
fn shout(word: &str) -> String {
    word.to_uppercase()
}

fn main() {
    shout::cache_info();
}
