use memory_core::memorize;

#[memorize]
async fn get(id: u64) -> u64 {
    let local = std::rc::Rc::new(id);
    std::future::ready(()).await;
    *local
}

fn main() {}
