use memory_core::fm_lru;

#[fm_lru(maxsize = 2)]
fn join(words: &[&str]) -> String {
    words.concat()
}

fn main() {}
