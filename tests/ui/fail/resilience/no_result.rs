use memory_core::{bulkhead, fallback};

#[bulkhead(max_concurrent = 1)]
async fn plain() -> u8 {
    1
}

#[fallback(1)]
async fn maybe() -> Option<u8> {
    None
}

fn main() {
    let _ = (plain(), maybe());
}
