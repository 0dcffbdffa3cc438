use memory_core::{FmError, hedge};

#[hedge(after = 0.1)]
async fn push(list: &mut Vec<u8>, value: u8) -> Result<(), FmError> {
    list.push(value);
    Ok(())
}

fn main() {
    let _ = push(&mut Vec::new(), 1);
}
