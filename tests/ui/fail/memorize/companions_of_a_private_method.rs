use memory_core::memorize;

struct Users;

impl Users {
    #[memorize(skip(self), companions = users)]
    async fn get(&self, id: u64) -> u64 {
        id
    }
}

fn main() {}
