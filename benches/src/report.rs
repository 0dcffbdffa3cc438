//! Results as a table and as JSON.

use std::{collections::BTreeMap, fmt, fs::File, path::Path};

use serde::{Deserialize, Serialize};

use crate::rounds::{OURS, Samples};

/// One line of results: we and the peers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    name: String,
    about: String,
    unit: String,
    /// The medians, ours and the peers'.
    figures: Vec<Figure>,
    goals: Vec<Goal>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Figure {
    name: String,
    median: f64,
    quarter: f64,
    three_quarters: f64,
}

/// What we want to reach, beside the best of some peers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Goal {
    bound: Bound,
    peers: Vec<String>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Bound {
    /// So many times theirs, where less is better.
    Most(f64),
    /// So many times theirs, where more is better.
    Least(f64),
    /// Theirs less this, where more is better.
    LeastLess(f64),
}

impl Goal {
    pub(crate) fn at_most(factor: f64, peers: &[&str]) -> Self {
        Self { bound: Bound::Most(factor), peers: peers.iter().map(ToString::to_string).collect() }
    }

    pub(crate) fn at_least(factor: f64, peers: &[&str]) -> Self {
        Self { bound: Bound::Least(factor), ..Self::at_most(factor, peers) }
    }

    pub(crate) fn at_least_less(less: f64, peers: &[&str]) -> Self {
        Self { bound: Bound::LeastLess(less), ..Self::at_most(less, peers) }
    }
}

impl Row {
    pub(crate) fn new(name: &str, about: &str, unit: &str, samples: &[Samples], goals: Vec<Goal>) -> Self {
        let figures = samples.iter().map(Figure::new).collect();
        Self { name: name.into(), about: about.into(), unit: unit.into(), figures, goals }
    }

    fn of(&self, name: &str) -> Option<f64> {
        // A peer may be there in several ways; its best one counts.
        let medians = self.figures.iter().filter(|figure| figure.name == name).map(|figure| figure.median);
        if self.more_is_better() { medians.reduce(f64::max) } else { medians.reduce(f64::min) }
    }

    fn ours(&self) -> f64 {
        self.of(OURS).unwrap_or(f64::NAN)
    }

    fn more_is_better(&self) -> bool {
        matches!(self.unit.as_str(), "M/s" | "1/s" | "ratio")
    }

    /// The goal in words, what came of it, and whether it is reached; `None` where no peer was measured.
    fn verdict(&self, goal: &Goal) -> Option<(String, f64, bool)> {
        let theirs = goal.peers.iter().filter_map(|peer| self.of(peer));
        let best = if self.more_is_better() { theirs.reduce(f64::max) } else { theirs.reduce(f64::min) }?;
        let peers = goal.peers.join(", ");
        let (ours, ratio) = (self.ours(), self.ours() / best);
        Some(match goal.bound {
            Bound::Most(factor) => (format!("≤ {factor} × {peers}"), ratio, ours <= best * factor),
            Bound::Least(factor) => (format!("≥ {factor} × {peers}"), ratio, ours >= best * factor),
            Bound::LeastLess(less) => (format!("≥ {peers} − {less}"), ours - best, ours >= best - less),
        })
    }
}

impl Figure {
    fn new(samples: &Samples) -> Self {
        let [quarter, median, three_quarters] = [0.25, 0.5, 0.75].map(|part| samples.quantile(part));
        Self { name: samples.name.into(), median, quarter, three_quarters }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} [{}]", self.name, self.about, self.unit)?;
        let places = if self.unit == "ratio" { 4 } else { 1 };
        for figure in &self.figures {
            let Figure { name, median, quarter, three_quarters } = figure;
            let half = format!("{quarter:.places$} – {three_quarters:.places$}");
            writeln!(f, "  {name:<14}{median:>12.places$}  {half:>24}  ours is {:>7.3} ×", self.ours() / median)?;
        }
        for (text, ratio, reached) in self.goals.iter().filter_map(|goal| self.verdict(goal)) {
            writeln!(f, "  goal {text}: {ratio:.3} {}", if reached { "✓" } else { "✗" })?;
        }
        Ok(())
    }
}

/// All goals in one table.
pub(crate) struct Verdicts<'a>(pub(crate) &'a [Row]);

impl fmt::Display for Verdicts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| measurement | ours | goal | measured | |\n|---|---|---|---|---|")?;
        for row in self.0 {
            for (text, ratio, reached) in row.goals.iter().filter_map(|goal| row.verdict(goal)) {
                let (name, ours, unit) = (&row.name, row.ours(), &row.unit);
                let mark = if reached { "✓" } else { "✗" };
                writeln!(f, "| {name} | {ours:.1} {unit} | {text} | {ratio:.3} | {mark} |")?;
            }
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Line<'a> {
    unit: &'a str,
    ours: f64,
    peers: BTreeMap<&'a str, f64>,
}

pub(crate) fn write_json(path: &Path, rows: &[Row]) -> Result<(), String> {
    let lines: BTreeMap<&str, Line<'_>> = rows.iter().map(|row| (row.name.as_str(), Line::new(row))).collect();
    let failed = |problem: &dyn fmt::Display| format!("{}: {problem}", path.display());
    let file = File::create(path).map_err(|problem| failed(&problem))?;
    serde_json::to_writer_pretty(file, &lines).map_err(|problem| failed(&problem))
}

impl<'a> Line<'a> {
    fn new(row: &'a Row) -> Self {
        let peers = row.figures.iter().map(|figure| figure.name.as_str()).filter(|name| *name != OURS);
        let peers = peers.filter_map(|name| Some((name, row.of(name)?))).collect();
        Self { unit: &row.unit, ours: row.ours(), peers }
    }
}
