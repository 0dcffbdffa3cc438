use std::rc::Rc;

use memory_core::memorize;

#[memorize(key = word.len(), expire = word.len())]
async fn store(word: Rc<str>) -> usize {
    word.len()
}

fn main() {}
