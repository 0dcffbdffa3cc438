use std::collections::HashMap;

use memory_core::memorize;

#[memorize(batch = id)]
async fn name(id: u64) -> HashMap<u64, String> {
    HashMap::from([(id, id.to_string())])
}

fn main() {}
