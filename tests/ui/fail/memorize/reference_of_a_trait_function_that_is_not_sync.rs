use std::rc::Rc;

use memory_core::memorize;

trait Find {
    async fn length(holder: &Holder) -> usize;
}

struct Holder(Rc<str>);
struct Words;

impl Find for Words {
    #[memorize(in_impl, key = holder.0.len())]
    async fn length(holder: &Holder) -> usize {
        holder.0.len()
    }
}

fn main() {}
