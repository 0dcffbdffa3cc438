use memory_core::memorize;

#[derive(serde::Serialize)]
struct Filter(u64);

#[memorize(expire = filter.0, cache_if = |answer| *answer == filter.0)]
async fn get(filter: &Filter) -> u64 {
    filter.0
}

fn main() {}
