use memory_core::memorize;

#[memorize]
async fn get(id: u64, headers: axum::http::HeaderMap) -> usize {
    id as usize + headers.len()
}

fn main() {}
