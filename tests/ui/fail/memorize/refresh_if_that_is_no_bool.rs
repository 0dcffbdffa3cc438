use memory_core::memorize;

#[memorize(refresh_if = force)]
async fn get(id: u64, force: u8) -> u64 {
    id + u64::from(force)
}

fn main() {}
