use memory_core::fm_lru;

#[fm_lru(maxsize = 10)]
const WORD: &str = "word";

fn main() {
    let _ = WORD;
}
