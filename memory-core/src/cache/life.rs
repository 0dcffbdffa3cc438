//! How long a value is kept: the decision, apart from storing it.

use std::time::Duration;

use super::outcome::Verdict;
use crate::{error::FmError, time::Expiry};

/// What a cache does with entries that do not say it themselves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Defaults {
    pub(crate) expiry: Expiry,
    pub(crate) jitter: f64,
}

impl Default for Defaults {
    /// Five minutes, without jitter.
    fn default() -> Self {
        Self { expiry: Expiry::after(Duration::from_secs(300)), jitter: 0.0 }
    }
}

/// How long one value is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Life {
    pub(crate) expiry: Expiry,
    pub(crate) idle: Option<Duration>,
}

impl Life {
    /// The life of a value with this verdict; `None` when it is not stored.
    ///
    /// # Errors
    ///
    /// An expiry that is no length of time.
    pub(crate) fn decide(verdict: Verdict, defaults: Defaults) -> Result<Option<Self>, FmError> {
        if !verdict.store {
            return Ok(None);
        }
        let expiry = verdict.expiry.unwrap_or(Ok(defaults.expiry))?;
        let idle = verdict.idle.transpose()?;
        if expiry.is_zero() || idle.is_some_and(|idle| idle.is_zero()) {
            return Ok(None);
        }
        Ok(Some(Self { expiry: shorten(expiry, verdict.jitter.unwrap_or(defaults.jitter), fastrand::f64()), idle }))
    }

    /// How long a shared store must keep the entry from now on.
    pub(crate) fn store_for(&self) -> Option<Duration> {
        match (self.expiry.duration(), self.idle) {
            (Some(life), Some(idle)) => Some(life.min(idle)),
            (life, idle) => life.or(idle),
        }
    }
}

/// `expiry` less a random part of up to `jitter`; `draw` is uniform between 0 and 1.
fn shorten(expiry: Expiry, jitter: f64, draw: f64) -> Expiry {
    match expiry.duration() {
        Some(life) if jitter > 0.0 => {
            let seconds = life.as_secs_f64() * (1.0 - jitter.min(1.0) * draw);
            let kept = Duration::try_from_secs_f64(seconds).unwrap_or(life);
            // A life that jitter rounds down to nothing would mean "do not store".
            Expiry::after(kept.max(Duration::from_nanos(1)))
        }
        _ => expiry,
    }
}

/// Checks a jitter given by hand.
///
/// # Errors
///
/// One outside 0 to 1.
pub(crate) fn check_jitter(jitter: f64) -> Result<f64, FmError> {
    if (0.0..=1.0).contains(&jitter) {
        return Ok(jitter);
    }
    Err(FmError::new(
        crate::error::Kind::Config,
        format!("a jitter of {jitter} makes no sense: give the part of the expiry to take off at most, from 0 to 1"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{FOREVER, IntoExpiry};

    #[test]
    fn jitter_shortens_by_no_more_than_its_part() {
        let hour = Expiry::after(Duration::from_secs(3600));
        assert_eq!(shorten(hour, 0.1, 0.0), hour);
        assert_eq!(shorten(hour, 0.1, 1.0), Expiry::after(Duration::from_secs(3240)));
        assert_eq!(shorten(FOREVER, 0.1, 0.5), FOREVER);
        assert!(!shorten(hour, 1.0, 1.0).is_zero());
        assert_eq!(shorten(Expiry::after(Duration::MAX), 0.1, 0.0), Expiry::after(Duration::MAX));
    }

    #[test]
    fn zero_is_not_stored_and_bad_expiries_are_refused() {
        let with = |expiry| Verdict { expiry, ..Verdict::keep() };
        assert_eq!(Life::decide(with(Some(0.into_expiry())), Defaults::default()).unwrap(), None);
        assert!(Life::decide(with(Some((-1).into_expiry())), Defaults::default()).unwrap_err().is_config());
        let life = Life::decide(Verdict::keep(), Defaults::default()).unwrap().unwrap();
        assert_eq!(life.expiry.duration(), Some(Duration::from_secs(300)));
        assert!(check_jitter(f64::NAN).is_err() && check_jitter(1.5).is_err() && check_jitter(0.5).is_ok());
    }
}
