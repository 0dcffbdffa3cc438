use memory_core::memorize;

struct Page(u64);

#[memorize(tags = ["pages", Page(id)])]
async fn load(id: u64) -> u64 {
    id
}

fn main() {}
