use std::collections::HashMap;

use memory_core::memorize;

#[memorize(batch = words)]
async fn lengths(words: &[&str]) -> HashMap<String, usize> {
    words.iter().map(|word| ((*word).to_owned(), word.len())).collect()
}

fn main() {}
