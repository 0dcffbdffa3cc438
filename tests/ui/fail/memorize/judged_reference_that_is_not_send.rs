use std::rc::Rc;

use memory_core::memorize;

#[derive(Clone)]
struct Holder(Rc<str>);

#[memorize(key = holder.0.len(), expire = holder.0.len())]
async fn borrowed(holder: &Holder) -> usize {
    holder.0.len()
}

fn main() {}
