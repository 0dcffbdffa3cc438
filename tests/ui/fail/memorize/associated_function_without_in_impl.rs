use memory_core::memorize;

struct Users;

impl Users {
    #[memorize]
    pub async fn count(limit: u64) -> u64 {
        limit
    }
}

fn main() {}
