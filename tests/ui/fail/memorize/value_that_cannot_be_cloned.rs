use memory_core::memorize;

#[derive(serde::Serialize, serde::Deserialize)]
struct User(u64);

#[memorize]
async fn get(id: u64) -> Result<User, String> {
    Ok(User(id))
}

fn main() {}
