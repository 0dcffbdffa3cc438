use memory_core::{FmJson, memorize};

#[derive(serde::Serialize)]
struct User {
    id: u64,
}

#[memorize(expire = 60)]
async fn user() -> FmJson<User> {
    FmJson(User { id: 7 })
}

fn main() {}
