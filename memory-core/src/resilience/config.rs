//! Settings that are checked when a policy is built.

use std::time::Duration;

use crate::{
    error::{FmError, Kind},
    time::IntoDuration,
};

/// The first setting that was refused.
#[derive(Clone, Debug, Default)]
pub(super) struct Refused(Option<FmError>);

impl Refused {
    pub(super) fn into_result(self) -> Result<(), FmError> {
        self.0.map_or(Ok(()), Err)
    }

    /// A length of time.
    pub(super) fn length(&mut self, length: impl IntoDuration) -> Duration {
        length.into_duration().unwrap_or_else(|error| {
            self.0.get_or_insert(error);
            Duration::ZERO
        })
    }

    /// Refuses unless `holds`.
    pub(super) fn unless(&mut self, holds: bool, why: impl FnOnce() -> String) {
        if !holds {
            self.0.get_or_insert_with(|| FmError::new(Kind::Config, why()));
        }
    }

    /// A share that is above 0 and not above 1.
    pub(super) fn share(&mut self, setting: &str, share: f64) -> f64 {
        self.unless(share > 0.0 && share <= 1.0, || format!("`{setting}` is {share}: give a share above 0, up to 1"));
        share
    }

    /// A share from 0 to 1.
    pub(super) fn rate(&mut self, setting: &str, rate: f64) -> f64 {
        self.unless((0.0..=1.0).contains(&rate), || format!("`{setting}` is {rate}: give a share from 0 to 1"));
        rate
    }

    /// A number of at least 1.
    pub(super) fn some(&mut self, setting: &str, number: u32) -> u32 {
        self.unless(number > 0, || format!("`{setting}` is 0: give at least 1"));
        number
    }

    /// A length above zero.
    pub(super) fn span(&mut self, setting: &str, length: impl IntoDuration) -> Duration {
        let length = self.length(length);
        self.unless(!length.is_zero(), || format!("`{setting}` is 0: give a length of time above zero"));
        length
    }
}
