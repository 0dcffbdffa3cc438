use memory_core::memorize;

#[memorize]
async fn get(id: impl std::fmt::Display + Send + 'static) -> String {
    id.to_string()
}

fn main() {}
