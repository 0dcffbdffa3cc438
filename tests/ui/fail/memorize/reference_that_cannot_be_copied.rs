use memory_core::memorize;

#[derive(serde::Serialize)]
struct Filter(u64);

#[memorize]
async fn get(filter: &Filter) -> u64 {
    filter.0
}

fn main() {}
