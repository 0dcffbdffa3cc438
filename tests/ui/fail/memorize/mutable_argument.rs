use memory_core::memorize;

#[memorize]
async fn get(id: u64, log: &mut Vec<u64>) -> u64 {
    log.push(id);
    id
}

fn main() {}
