use memory_core::memorize;

#[memorize(expire)]
async fn get(id: u64) -> u64 {
    id
}

async fn caller() {
    get(1).await;
    get::invalidate(1).await.unwrap();
}

fn main() {}
