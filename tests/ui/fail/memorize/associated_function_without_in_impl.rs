use memory_core::memorize;

struct Users;

impl Users {
    #[memorize]
    pub async fn count(limit: u64) -> u64 {
        limit
    }
}

#[tokio::main]
async fn main() {
    Users::count(1).await;
    let _ = Users::count_invalidate(1).await;
}
