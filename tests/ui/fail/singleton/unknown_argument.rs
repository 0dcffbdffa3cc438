use memory_core::cached_singleton;

#[cached_singleton(expire = 60)]
fn get_settings() -> u8 {
    1
}

fn main() {
    let _: &'static u8 = get_settings();
}
