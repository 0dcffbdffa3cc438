//! Reading a file of cases and keeping the score.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::Value;

/// The cases of one file.
pub(crate) fn cases(file: &str) -> Vec<Value> {
    let folder = std::env::var_os("VECTORS_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors"), PathBuf::from);
    let path = folder.join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut suite: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    match suite["cases"].take() {
        Value::Array(cases) => cases,
        other => panic!("{}: `cases` is no list: {other}", path.display()),
    }
}

/// What became of one case.
pub(crate) enum Verdict {
    /// It ran and matched.
    Matched,
    /// It ran and did not match: what differed.
    Differed(String),
    /// It was left out, by this rule of the vectors' README.
    LeftOut(&'static str),
}

/// The score of one file.
#[derive(Default)]
pub(crate) struct Score {
    file: String,
    matched: usize,
    differed: Vec<String>,
    left_out: BTreeMap<&'static str, usize>,
}

impl Score {
    /// An empty score for `file`.
    pub(crate) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), ..Self::default() }
    }

    /// Counts a case.
    pub(crate) fn count(&mut self, id: &str, verdict: Verdict) {
        match verdict {
            Verdict::Matched => self.matched += 1,
            Verdict::Differed(how) => self.differed.push(format!("{id}: {how}")),
            Verdict::LeftOut(rule) => *self.left_out.entry(rule).or_default() += 1,
        }
    }

    /// Prints the score and fails when a case differed, or when none ran.
    pub(crate) fn finish(self) {
        let ran = self.matched + self.differed.len();
        println!(
            "{}: {ran} ran, {} matched, {} left out",
            self.file,
            self.matched,
            self.left_out.values().sum::<usize>()
        );
        for (rule, count) in &self.left_out {
            println!("  left out {count}: {rule}");
        }
        for line in &self.differed {
            println!("  differed {line}");
        }
        assert!(ran > 0, "{}: no case ran", self.file);
        assert!(self.differed.is_empty(), "{}: {} of {ran} cases differ", self.file, self.differed.len());
    }
}
