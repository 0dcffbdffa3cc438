use memory_core::fm_lru;

#[fm_lru(maxsize = 2)]
fn first(text: &str) -> &str {
    &text[..1]
}

fn main() {
    first::cache_clear();
}
