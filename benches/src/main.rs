//! What the crates of this repository cost, beside what does the same elsewhere.
//!
//! ```text
//! cargo run --release --manifest-path benches/Cargo.toml -- [--quick] [--only NAME] [--json FILE]
//! ```
//!
//! The contenders of a measurement take turns, round by round, so that what else the machine does falls on all of them;
//! medians are reported. Figures differ between machines, their ratios much less.

mod clock;
mod measurements;
mod options;
mod report;
mod rounds;

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
    let mut results = Vec::new();
    for measurement in measurements::ALL.iter().filter(|measurement| options.wants(measurement.name)) {
        let result = report::Result::new(measurement, rounds::take_turns((measurement.contenders)(), options.effort()));
        println!("{result}");
        results.push(result);
    }
    match &options.json {
        Some(file) => report::write_json(file, &results),
        None => Ok(()),
    }
}
