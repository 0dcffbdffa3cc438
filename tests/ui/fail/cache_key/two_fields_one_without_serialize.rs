use memory_core::CacheKey;

struct Id(u64);

#[derive(CacheKey)]
struct CurrentUser {
    #[cache_key]
    tenant: u64,
    #[cache_key]
    id: Id,
}

fn main() {
    let user = CurrentUser { tenant: 1, id: Id(1) };
    let _ = (user.tenant, user.id.0);
}
