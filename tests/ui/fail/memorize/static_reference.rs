use memory_core::memorize;

#[memorize]
async fn get(id: u64) -> &'static str {
    if id > 0 { "some" } else { "none" }
}

fn main() {}
