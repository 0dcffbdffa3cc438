use memory_core::memorize;

#[memorize]
async fn get(id: u64) -> impl std::fmt::Display {
    id
}

fn main() {}
