use std::collections::HashMap;

use memory_core::memorize;

#[memorize(batch = ids)]
fn names(ids: Vec<u64>) -> HashMap<u64, String> {
    ids.into_iter().map(|id| (id, id.to_string())).collect()
}

fn main() {}
