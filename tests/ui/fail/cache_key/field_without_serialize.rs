use memory_core::CacheKey;

struct Id(u64);

#[derive(CacheKey)]
struct CurrentUser {
    #[cache_key]
    id: Id,
}

fn main() {
    let _ = CurrentUser { id: Id(1) }.id.0;
}
