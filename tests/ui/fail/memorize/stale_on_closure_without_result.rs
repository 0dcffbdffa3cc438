use memory_core::memorize;

#[memorize(expire = 60, stale_if_error = 3600, stale_on = |error| error.is_timeout())]
async fn load(id: u64) -> Option<u64> {
    Some(id)
}

fn main() {}
