use std::rc::Rc;

use memory_core::memorize;

#[derive(serde::Serialize)]
struct Name(u64);

impl ToOwned for Name {
    type Owned = Rc<Name>;

    fn to_owned(&self) -> Rc<Name> {
        Rc::new(Self(self.0))
    }
}

#[memorize]
async fn length(name: &Name) -> u64 {
    name.0
}

fn main() {}
