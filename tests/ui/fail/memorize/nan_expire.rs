use memory_core::memorize;

#[memorize(expire = f64::NAN)]
async fn get(id: u64) -> u64 {
    id
}

fn main() {}
