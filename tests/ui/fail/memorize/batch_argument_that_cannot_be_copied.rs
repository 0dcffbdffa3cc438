use std::collections::HashMap;

use memory_core::memorize;

#[derive(serde::Serialize)]
struct Language(String);

#[memorize(batch = ids)]
async fn names(ids: Vec<u64>, language: Language) -> HashMap<u64, String> {
    ids.into_iter().map(|id| (id, language.0.clone())).collect()
}

fn main() {}
