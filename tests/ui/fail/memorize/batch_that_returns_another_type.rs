use memory_core::memorize;

#[derive(Clone)]
struct Names;

#[memorize(batch = ids, memory_only)]
async fn names(ids: Vec<u64>) -> Result<Names, String> {
    drop(ids);
    Ok(Names)
}

fn main() {}
