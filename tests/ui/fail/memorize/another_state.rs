use memory_core::memorize;

struct State<T>(T);

#[memorize]
async fn get(State(db): State<u64>, id: u64) -> u64 {
    db + id
}

fn main() {}
