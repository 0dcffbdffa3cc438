use std::collections::HashMap;

use memory_core::memorize;

#[memorize(batch = ids, cache_err)]
async fn names(ids: Vec<u64>) -> Result<HashMap<u64, String>, String> {
    Ok(ids.into_iter().map(|id| (id, id.to_string())).collect())
}

fn main() {}
