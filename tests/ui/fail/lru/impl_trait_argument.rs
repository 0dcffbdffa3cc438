use memory_core::fm_lru;

#[fm_lru(maxsize = 2)]
fn shout(word: impl AsRef<str>) -> String {
    word.as_ref().to_uppercase()
}

fn main() {}
