use memory_core::CacheKey;

#[derive(CacheKey)]
#[cache_key]
struct CurrentUser {
    #[cache_key]
    id: u64,
}

fn main() {
    let _ = CurrentUser { id: 1 }.id;
}
