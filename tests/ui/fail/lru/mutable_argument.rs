use memory_core::fm_lru;

#[fm_lru(maxsize = 2)]
fn push(words: &mut Vec<String>) -> usize {
    words.push(String::new());
    words.len()
}

fn main() {}
