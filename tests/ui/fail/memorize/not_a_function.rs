use memory_core::memorize;

#[memorize]
struct User;

fn main() {}
