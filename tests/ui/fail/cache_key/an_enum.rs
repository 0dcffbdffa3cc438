use memory_core::CacheKey;

#[derive(CacheKey)]
enum Principal {
    User(u64),
    Guest,
}

fn main() {
    let _ = (Principal::User(1), Principal::Guest);
}
