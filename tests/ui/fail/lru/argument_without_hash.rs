use memory_core::fm_lru;

#[derive(Clone)]
struct Query(String);

#[fm_lru(maxsize = 2)]
fn ask(query: &Query) -> String {
    query.0.clone()
}

fn main() {}
