use memory_core::memorize;

trait Repo {
    #[memorize]
    fn get(&self, id: u64) -> u64;
}

fn main() {}
