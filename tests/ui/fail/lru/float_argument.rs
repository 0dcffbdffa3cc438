use memory_core::fm_lru;

#[fm_lru(maxsize = 2)]
fn price(amount: u32, rate: f64) -> f64 {
    f64::from(amount) * rate
}

fn main() {
    price::cache_clear();
}
