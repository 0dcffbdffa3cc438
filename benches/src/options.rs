//! The command line.

use std::path::PathBuf;

use crate::{measurements, rounds::Effort};

#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) quick: bool,
    only: Option<String>,
    pub(crate) json: Option<PathBuf>,
    /// The only contender, for a look at it with a profiler.
    contender: Option<&'static str>,
    /// The process of one measurement, which tells the other one its rows.
    pub(crate) is_child: bool,
}

/// What a child is started with.
pub(crate) const CHILD: &str = "--child";

impl Options {
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == name)
    }

    pub(crate) fn effort(&self) -> Effort {
        let effort = if self.quick { Effort::QUICK } else { Effort::FULL };
        Effort { contender: self.contender, ..effort }
    }
}

pub(crate) fn from_arguments(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} wants a value"));
        match argument.as_str() {
            "--quick" => options.quick = true,
            "--only" => options.only = Some(known(value()?)?),
            "--json" => options.json = Some(value()?.into()),
            "--contender" => options.contender = Some(value()?.leak()),
            CHILD => options.is_child = true,
            _ => return Err(format!("unknown argument {argument}: [--quick] [--only NAME] [--json FILE]")),
        }
    }
    Ok(options)
}

fn known(name: String) -> Result<String, String> {
    let names: Vec<&str> = measurements::ALL.iter().map(|measurement| measurement.name).collect();
    if names.contains(&name.as_str()) { Ok(name) } else { Err(format!("no measurement {name}: {}", names.join(", "))) }
}
