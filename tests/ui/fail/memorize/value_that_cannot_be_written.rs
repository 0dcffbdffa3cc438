use memory_core::memorize;

#[derive(Clone)]
struct User(u64);

#[memorize]
async fn get(id: u64) -> Option<User> {
    Some(User(id))
}

fn main() {}
