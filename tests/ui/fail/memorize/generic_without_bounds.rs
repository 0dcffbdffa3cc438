use memory_core::memorize;

#[memorize]
async fn get<T: Send + 'static>(id: T) -> u64 {
    drop(id);
    1
}

fn main() {}
