use memory_core::memorize;

struct Session(u64);

#[memorize(key = session)]
async fn get(session: Session) -> u64 {
    session.0
}

fn main() {}
