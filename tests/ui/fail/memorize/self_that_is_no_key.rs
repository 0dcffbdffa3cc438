use memory_core::memorize;

struct Users;

impl Users {
    #[memorize]
    pub async fn get(&self, id: u64) -> u64 {
        id
    }
}

fn main() {}
