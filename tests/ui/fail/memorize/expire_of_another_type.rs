use memory_core::memorize;

#[memorize(expire = id_of("60"))]
async fn get(id: u64) -> u64 {
    id
}

fn id_of(text: &str) -> String {
    text.to_owned()
}

fn main() {}
