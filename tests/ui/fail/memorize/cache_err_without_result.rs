use memory_core::memorize;

#[memorize(cache_err = 5)]
async fn get(id: u64) -> Option<u64> {
    Some(id)
}

fn main() {}
