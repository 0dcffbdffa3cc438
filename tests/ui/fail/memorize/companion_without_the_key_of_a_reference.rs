use memory_core::{CacheKey, memorize};

#[derive(Clone, CacheKey)]
pub struct User {
    #[cache_key]
    pub id: u64,
}

#[memorize]
pub async fn orders(user: &User) -> u64 {
    user.id
}

fn main() {
    let _ = orders::invalidate("seven");
}
