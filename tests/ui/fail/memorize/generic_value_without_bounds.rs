use memory_core::memorize;

#[memorize]
async fn get<T: From<u8> + Clone + Send + Sync + 'static>(id: u64) -> T {
    T::from(id as u8)
}

fn main() {}
