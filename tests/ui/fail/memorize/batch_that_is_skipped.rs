use std::collections::HashMap;

use memory_core::memorize;

#[memorize(batch = ids, skip(lang, ids))]
async fn names(ids: Vec<u64>, lang: String) -> HashMap<u64, String> {
    ids.into_iter().map(|id| (id, lang.clone())).collect()
}

fn main() {}
