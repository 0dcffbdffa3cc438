use memory_core::memorize;

#[memorize]
async fn get(name: &str) -> &str {
    name
}

fn main() {}
