use memory_core::memorize;

#[derive(serde::Serialize)]
struct Upload {
    size: u64,
}

#[memorize(cache_if = |answer| *answer == upload.size, expire = upload.size)]
async fn store(id: u64, upload: Upload) -> u64 {
    id + upload.size
}

fn main() {}
