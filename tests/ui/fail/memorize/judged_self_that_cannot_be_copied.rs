use memory_core::memorize;

#[derive(serde::Serialize)]
struct Upload {
    size: u64,
}

impl Upload {
    #[memorize(expire = self.size)]
    pub async fn store(self) -> u64 {
        self.size
    }
}

fn main() {}
