use memory_core::memorize;

trait Counts
where
    Self: Sized,
{
    #[memorize(expire = 60)]
    async fn count(limit: u64) -> u64 {
        limit
    }
}

fn main() {}
