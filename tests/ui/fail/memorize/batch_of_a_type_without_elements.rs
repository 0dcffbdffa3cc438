use std::collections::HashMap;

use memory_core::memorize;

#[derive(Clone)]
struct Ids;

#[memorize(batch = ids)]
async fn names(ids: Ids) -> HashMap<u64, String> {
    drop(ids);
    HashMap::new()
}

fn main() {}
