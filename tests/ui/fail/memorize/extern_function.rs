use memory_core::memorize;

#[memorize]
extern "C" fn get(id: u64) -> u64 {
    id
}

fn main() {}
