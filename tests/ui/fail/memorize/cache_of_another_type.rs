use memory_core::memorize;

#[memorize(cache = CACHE)]
async fn get(id: u64) -> u64 {
    id
}

static CACHE: u8 = 1;

fn main() {}
