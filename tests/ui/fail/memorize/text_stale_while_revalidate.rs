use memory_core::memorize;

#[memorize(expire = 60, stale_while_revalidate = "30")]
async fn load(id: u64) -> u64 {
    id
}

fn main() {}
