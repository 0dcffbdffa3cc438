use memory_core::memorize;

#[memorize]
unsafe fn get(id: u64) -> u64 {
    id
}

fn main() {}
