//! How long a value is kept, and of what use it is when: the decision, apart from storing it.

use std::time::Duration;

use super::outcome::Verdict;
use crate::{
    entry::Late,
    error::{FmError, Kind},
    time::Expiry,
};

/// What a cache does with entries and runs that do not say it themselves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Defaults {
    pub(crate) expiry: Expiry,
    pub(crate) jitter: f64,
    pub(crate) idle: Option<Duration>,
    pub(crate) stale_while_revalidate: Option<Duration>,
    pub(crate) stale_if_error: Option<Duration>,
    pub(crate) refresh_ahead: Option<f64>,
    pub(crate) limits: Limits,
    /// After a refresh that failed, or was asked for, nobody is asked again for so long.
    pub(crate) throttle: Duration,
}

/// How long a call waits for its run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// After this, a stale value that is at hand is answered, and the run goes on.
    pub soft: Option<Duration>,
    /// After this, the run is aborted and everybody told.
    pub hard: Option<Duration>,
}

impl Limits {
    /// These, and `others` where nothing was said.
    pub(crate) fn or(self, others: Self) -> Self {
        Self { soft: self.soft.or(others.soft), hard: self.hard.or(others.hard) }
    }
}

impl Default for Defaults {
    /// Five minutes, and nothing else.
    fn default() -> Self {
        Self {
            expiry: Expiry::after(Duration::from_secs(300)),
            jitter: 0.0,
            idle: None,
            stale_while_revalidate: None,
            stale_if_error: None,
            refresh_ahead: None,
            limits: Limits::default(),
            throttle: Duration::from_secs(5),
        }
    }
}

/// How long one value is kept, counted from its birth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Life {
    pub(crate) expiry: Expiry,
    pub(crate) idle: Option<Duration>,
    pub(crate) late: Late,
    /// A read after this asks for a refresh.
    pub(crate) due: Option<Duration>,
}

impl Life {
    /// The life of a value with this verdict, in a call with these limits; `None` when it is not stored.
    ///
    /// # Errors
    ///
    /// An expiry that is no length of time.
    pub(crate) fn decide(verdict: &Verdict, limits: Limits, defaults: &Defaults) -> Result<Option<Self>, FmError> {
        if !verdict.store {
            return Ok(None);
        }
        let expiry = verdict.expiry.clone().unwrap_or(Ok(defaults.expiry))?;
        let idle = said(&verdict.idle, defaults.idle)?;
        if expiry.is_zero() || idle.is_some_and(|idle| idle.is_zero()) {
            return Ok(None);
        }
        let ahead = verdict.refresh_ahead.or(defaults.refresh_ahead);
        let expiry = shorten(expiry, verdict.jitter.unwrap_or(defaults.jitter), fastrand::f64());
        Ok(Some(Self {
            expiry,
            idle,
            late: late(verdict, limits.or(defaults.limits), defaults, expiry)?,
            due: expiry.duration().zip(ahead).map(|(life, part)| share(life, part)),
        }))
    }

    /// How long a shared store must keep the entry from its birth on. (There, what nobody reads goes when it has been idle.)
    pub(crate) fn store_for(&self) -> Option<Duration> {
        let life = self.expiry.duration().map(|life| life.saturating_add(self.late.longest()));
        match (life, self.idle) {
            (Some(life), Some(idle)) => Some(life.min(idle)),
            (life, idle) => life.or(idle),
        }
    }
}

fn late(verdict: &Verdict, limits: Limits, defaults: &Defaults, expiry: Expiry) -> Result<Late, FmError> {
    let answers = said(&verdict.stale_while_revalidate, defaults.stale_while_revalidate)?;
    let excuses = said(&verdict.stale_if_error, defaults.stale_if_error)?;
    // Who sets a soft timeout and says nothing of stale values wants some to be there when it passes.
    let is_wanted = limits.soft.is_some() && answers.is_none() && excuses.is_none();
    let bridges = expiry.duration().filter(|_| is_wanted);
    Ok(Late {
        answers: answers.unwrap_or_default(),
        excuses: excuses.unwrap_or_default(),
        bridges: bridges.unwrap_or_default(),
    })
}

fn said(given: &Option<Result<Duration, FmError>>, default: Option<Duration>) -> Result<Option<Duration>, FmError> {
    given.clone().transpose().map(|given| given.or(default))
}

/// `expiry` less a random part of up to `jitter`; `draw` is uniform between 0 and 1.
fn shorten(expiry: Expiry, jitter: f64, draw: f64) -> Expiry {
    match expiry.duration() {
        Some(life) if jitter > 0.0 => Expiry::after(share(life, 1.0 - jitter.min(1.0) * draw)),
        _ => expiry,
    }
}

/// A part of a life, and never nothing: that would mean "do not store".
fn share(life: Duration, part: f64) -> Duration {
    Duration::try_from_secs_f64(life.as_secs_f64() * part).unwrap_or(life).max(Duration::from_nanos(1))
}

/// Checks a jitter given by hand.
///
/// # Errors
///
/// One outside 0 to 1.
pub(crate) fn check_jitter(jitter: f64) -> Result<f64, FmError> {
    check_part(jitter, "jitter", "the part of the expiry to take off at most")
}

/// Checks a part of the life after which values are refreshed, given by hand.
///
/// # Errors
///
/// One outside 0 to 1.
pub(crate) fn check_refresh_ahead(part: f64) -> Result<f64, FmError> {
    check_part(part, "refresh_ahead", "the part of the expiry after which the value is refreshed")
}

fn check_part(part: f64, name: &str, meaning: &str) -> Result<f64, FmError> {
    if (0.0..=1.0).contains(&part) {
        return Ok(part);
    }
    Err(FmError::new(Kind::Config, format!("a {name} of {part} makes no sense: give {meaning}, from 0 to 1")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{FOREVER, IntoDuration, IntoExpiry};

    fn decide(verdict: &Verdict, limits: Limits) -> Life {
        Life::decide(verdict, limits, &Defaults::default()).unwrap().unwrap()
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn jitter_shortens_by_no_more_than_its_part() {
        let hour = Expiry::after(HOUR);
        assert_eq!(shorten(hour, 0.1, 0.0), hour);
        assert_eq!(shorten(hour, 0.1, 1.0), Expiry::after(Duration::from_secs(3240)));
        assert_eq!(shorten(FOREVER, 0.1, 0.5), FOREVER);
        assert!(!shorten(hour, 1.0, 1.0).is_zero());
        assert_eq!(shorten(Expiry::after(Duration::MAX), 0.1, 0.0), Expiry::after(Duration::MAX));
    }

    #[test]
    fn zero_is_not_stored_and_bad_expiries_are_refused() {
        let with = |expiry| Verdict { expiry, ..Verdict::keep() };
        let life = |verdict| Life::decide(&verdict, Limits::default(), &Defaults::default());
        assert_eq!(life(with(Some(0.into_expiry()))).unwrap(), None);
        assert!(life(with(Some((-1).into_expiry()))).unwrap_err().is_config());
        let negative = Verdict { stale_if_error: Some((-1).into_duration()), ..Verdict::keep() };
        assert!(life(negative).unwrap_err().is_config());
        assert_eq!(decide(&Verdict::keep(), Limits::default()).expiry.duration(), Some(Duration::from_secs(300)));
        assert!(check_jitter(f64::NAN).is_err() && check_jitter(1.5).is_err() && check_jitter(0.5).is_ok());
        assert!(check_refresh_ahead(-0.1).is_err() && check_refresh_ahead(0.8).is_ok());
    }

    #[test]
    fn a_shared_store_keeps_a_value_for_as_long_as_it_is_of_use() {
        let verdict = Verdict {
            expiry: Some(60.into_expiry()),
            stale_if_error: Some(3600.into_duration()),
            stale_while_revalidate: Some(30.into_duration()),
            refresh_ahead: Some(0.8),
            ..Verdict::keep()
        };
        let life = decide(&verdict, Limits::default());
        assert_eq!(life.store_for(), Some(Duration::from_secs(3660)));
        assert_eq!(life.due, Some(Duration::from_secs(48)));
        let idle = Verdict { idle: Some(10.into_duration()), ..verdict };
        assert_eq!(decide(&idle, Limits::default()).store_for(), Some(Duration::from_secs(10)));
        let forever = Verdict { expiry: Some(Ok(FOREVER)), ..Verdict::keep() };
        assert_eq!(decide(&forever, Limits::default()).store_for(), None);
    }

    #[test]
    fn a_soft_timeout_alone_keeps_a_value_for_another_life() {
        let soft = Limits { soft: Some(Duration::from_millis(200)), hard: None };
        let verdict = Verdict { expiry: Some(60.into_expiry()), ..Verdict::keep() };
        assert_eq!(decide(&verdict, soft).late.bridges, Duration::from_secs(60));
        let said = Verdict { stale_if_error: Some(5.into_duration()), ..verdict };
        assert_eq!(decide(&said, soft).late, Late { excuses: Duration::from_secs(5), ..Late::default() });
    }
}
