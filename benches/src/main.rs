//! What the crates of this repository cost, beside what does the same elsewhere.
//!
//! ```text
//! cargo run --release --manifest-path benches/Cargo.toml -- [--quick] [--only NAME] [--json FILE]
//! ```
//!
//! The contenders of a measurement take turns, round by round, so that what else the machine does falls on all of them;
//! medians are reported. Each measurement has a process of its own: a fresh heap, and a process-wide cache that was never
//! replaced. Figures differ between machines, their ratios much less.

mod clock;
mod measurements;
mod options;
mod processes;
mod report;
mod rounds;
mod support;
mod zipf;

use std::process::ExitCode;

fn main() -> ExitCode {
    match options::from_arguments(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &options::Options) -> Result<(), String> {
    if cfg!(debug_assertions) {
        eprintln!("A debug build: add --release for figures that mean anything.");
    }
    let wanted = || measurements::ALL.iter().filter(|measurement| options.wants(measurement.name));
    if options.is_child {
        return wanted().try_for_each(|measurement| processes::tell(&(measurement.run)(options.effort())));
    }
    let mut rows = Vec::new();
    for measurement in wanted() {
        for row in processes::measure(measurement.name, options)? {
            println!("{row}");
            rows.push(row);
        }
    }
    println!("{}", report::Verdicts(&rows));
    match &options.json {
        Some(file) => report::write_json(file, &rows),
        None => Ok(()),
    }
}
