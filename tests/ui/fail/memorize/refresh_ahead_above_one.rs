use memory_core::memorize;

#[memorize(expire = 60, refresh_ahead = 80)]
async fn load(id: u64) -> u64 {
    id
}

fn main() {}
