use std::collections::HashMap;

use memory_core::memorize;

#[memorize(batch = ids)]
async fn names(ids: Vec<u64>) -> HashMap<String, u64> {
    ids.into_iter().map(|id| (id.to_string(), id)).collect()
}

fn main() {}
