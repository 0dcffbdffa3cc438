use memory_core::memorize;

#[memorize(batch = ids)]
async fn names(ids: Vec<u64>) -> Result<Vec<String>, String> {
    Ok(ids.into_iter().map(|id| id.to_string()).collect())
}

fn main() {}
