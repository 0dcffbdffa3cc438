use memory_core::fm_lru;

struct Users;

impl Users {
    #[fm_lru(maxsize = 4)]
    fn count(limit: u64) -> u64 {
        limit
    }
}

fn main() {
    Users::count(1);
    Users::count_cache_clear();
}
