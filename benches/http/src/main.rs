//! One server of each kind, and the load that is put on them: `serve KIND PORT`, `load PORT SECONDS CONNECTIONS`.
//!
//! `../http.sh` runs them in turns, each pinned to a core.

mod load;
mod serve;

use std::{env::args, error::Error};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match arguments[..] {
        ["serve", kind, port] => runtime.block_on(serve::serve(kind, port.parse()?)),
        ["load", port, seconds, connections] => {
            let (rate, all) = runtime.block_on(load::load(port.parse()?, seconds.parse()?, connections.parse()?))?;
            println!("{rate:.0} {all}");
            Ok(())
        }
        _ => Err("say `serve KIND PORT` or `load PORT SECONDS CONNECTIONS`".into()),
    }
}
