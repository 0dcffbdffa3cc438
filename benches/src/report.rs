//! Results as a table and as JSON.

use std::{fmt, fs::File, path::Path, thread};

use serde::Serialize;

use crate::{measurements::Measurement, rounds::Times};

/// What was measured; times in nanoseconds.
#[derive(Serialize)]
pub(crate) struct Result {
    measurement: &'static str,
    about: &'static str,
    cores: usize,
    rounds: usize,
    contenders: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    name: &'static str,
    median: f64,
    quarter: f64,
    three_quarters: f64,
    /// The median as a multiple of the first contender's.
    ratio: f64,
}

impl Result {
    pub(crate) fn new(measurement: &Measurement, times: Vec<Times>) -> Self {
        let first = times.first().map_or(f64::NAN, |times| times.quantile(0.5));
        Self {
            measurement: measurement.name,
            about: measurement.about,
            cores: thread::available_parallelism().map_or(1, usize::from),
            rounds: times.first().map_or(0, Times::rounds),
            contenders: times.iter().map(|times| Line::new(times, first)).collect(),
        }
    }
}

impl Line {
    fn new(times: &Times, first: f64) -> Self {
        let median = times.quantile(0.5);
        Self {
            name: times.name,
            median,
            quarter: times.quantile(0.25),
            three_quarters: times.quantile(0.75),
            ratio: median / first,
        }
    }
}

impl fmt::Display for Result {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { measurement, about, cores, rounds, contenders } = self;
        writeln!(f, "{measurement}: {about} ({rounds} rounds, {cores} cores)\n")?;
        writeln!(f, "  {:<44}{:>10}{:>20}{:>8}", "", "median", "middle half", "ratio")?;
        for line in contenders {
            let half = format!("{:.1} – {:.1}", line.quarter, line.three_quarters);
            writeln!(f, "  {:<44}{:>7.1} ns{:>20}{:>8.2}", line.name, line.median, half, line.ratio)?;
        }
        Ok(())
    }
}

pub(crate) fn write_json(path: &Path, results: &[Result]) -> std::result::Result<(), String> {
    let failed = |problem: &dyn fmt::Display| format!("{}: {problem}", path.display());
    let file = File::create(path).map_err(|problem| failed(&problem))?;
    serde_json::to_writer_pretty(file, results).map_err(|problem| failed(&problem))
}
