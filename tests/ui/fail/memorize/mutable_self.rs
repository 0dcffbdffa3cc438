use memory_core::memorize;

struct Users(u64);

impl Users {
    #[memorize]
    pub async fn get(&mut self) -> u64 {
        self.0
    }
}

fn main() {}
