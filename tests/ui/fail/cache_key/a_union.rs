use memory_core::CacheKey;

#[derive(CacheKey)]
union Either {
    #[cache_key]
    number: u64,
    float: f64,
}

fn main() {
    let _ = (Either { number: 1 }, Either { float: 1.0 });
}
