use memory_core::memorize;

struct Session(u64);

#[memorize]
async fn get(id: u64, session: Session) -> u64 {
    id + session.0
}

fn main() {}
