//! What is measured, one file each.

mod hit;

use crate::rounds::Contender;

pub(crate) struct Measurement {
    /// What `--only` takes.
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Ours comes first: the ratios are to it.
    pub(crate) contenders: fn() -> Vec<Contender>,
}

pub(crate) const ALL: &[Measurement] = &[hit::MEASUREMENT];
