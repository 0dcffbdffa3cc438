//! Hedging: where a call takes longer than most, another one is made, and the first answer counts.

use std::{
    collections::VecDeque,
    fmt,
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::config::Refused;
use crate::{
    error::{FmError, Kind},
    retry::{IntoCount, RetryBudget},
    stats::{Event, Ledger},
    sync::lock,
    time::IntoDuration,
};

/// How many latencies a quantile is taken of, and how many there must be.
const MOST: usize = 200;
const FEWEST: usize = 20;
/// After so many new ones the quantile is taken anew.
const OFTEN: u32 = 10;

/// Makes a call again while it is still under way, if it takes longer than most; the first `Ok` counts and the others are
/// cancelled. Only for calls that may be made twice.
///
/// How long is long is fixed ([`after`](HedgeBuilder::after)) or a quantile of the recent latencies. A call that fails
/// before is not hedged: that is for a retry. Each hedge is paid from a [`RetryBudget`], so that a slow upstream is not
/// overrun. Clones are one hedge.
///
/// # Examples
///
/// ```
/// use std::{cell::Cell, time::Duration};
/// use memory_core::{FmError, Hedge};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), FmError> {
/// let hedge = Hedge::builder().after(0.01).build()?;
/// let calls = Cell::new(0);
/// let answer = hedge.run(|| async {
///     calls.set(calls.get() + 1);
///     if calls.get() == 1 {
///         tokio::time::sleep(Duration::from_secs(3600)).await;
///     }
///     Ok::<_, FmError>(calls.get())
/// });
/// assert_eq!(answer.await?, 2);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Hedge(Arc<Shared>);

struct Shared {
    ledger: Ledger,
    delay: Delay,
    max_hedges: u32,
    budget: RetryBudget,
}

enum Delay {
    Fixed(Duration),
    Quantile(Mutex<Latencies>),
}

/// The recent latencies, and what was last made of them.
struct Latencies {
    share: f64,
    recent: VecDeque<Duration>,
    fresh: u32,
    quantile: Option<Duration>,
}

impl Hedge {
    /// Begins a hedge.
    pub fn builder() -> HedgeBuilder {
        HedgeBuilder::default()
    }

    /// Makes the call, and makes it again where it takes long.
    ///
    /// # Errors
    ///
    /// If all calls under way fail, the error of the last of them.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops every call under way.
    pub async fn run<T, E, F, Fut>(&self, mut operation: F) -> Result<T, E>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let shared = &*self.0;
        shared.budget.deposit();
        let began = Instant::now();
        // Told even when this is dropped half-way: that a call took at least so long is worth knowing.
        let _latency = Timed { delay: &shared.delay, began };
        let mut first = pin!(operation());
        let mut others = Others::default();
        let Some(delay) = shared.delay.now() else { return first.await };
        let mut first_failed = false;
        for hedge in 1..=shared.max_hedges {
            let ended = until(sleep(delay), first.as_mut(), &mut first_failed, &mut others).await;
            match ended {
                Some(ended) => return shared.won(ended),
                None if shared.budget.withdraw() => {
                    shared.ledger.note(Event::Hedge(hedge + 1));
                    others.push(operation());
                }
                None => break,
            }
        }
        let ended = until(std::future::pending(), first.as_mut(), &mut first_failed, &mut others).await;
        match ended {
            Some(ended) => shared.won(ended),
            None => std::future::pending().await,
        }
    }
}

impl Shared {
    fn won<T, E>(&self, (attempt, outcome): (u32, Result<T, E>)) -> Result<T, E> {
        if attempt > 1 && outcome.is_ok() {
            self.ledger.note(Event::HedgeWon(attempt));
        }
        outcome
    }
}

/// The first `Ok`, or the last `Err` when none is left under way, with its number from 1; `None` when the time comes first.
async fn until<T, E, Fut: Future<Output = Result<T, E>>>(
    time: impl Future<Output = ()>,
    mut first: Pin<&mut Fut>,
    first_failed: &mut bool,
    others: &mut Others<Fut>,
) -> Option<(u32, Result<T, E>)> {
    let mut time = pin!(time);
    std::future::poll_fn(|task| {
        let mut failed = None;
        if !*first_failed && let Poll::Ready(outcome) = first.as_mut().poll(task) {
            if outcome.is_ok() {
                return Poll::Ready(Some((1, outcome)));
            }
            *first_failed = true;
            failed = Some((1, outcome));
        }
        match others.poll(task) {
            Some((number, Ok(value))) => return Poll::Ready(Some((number, Ok(value)))),
            Some(error) => failed = Some(error),
            None => {}
        }
        if *first_failed && others.is_empty() {
            return Poll::Ready(failed);
        }
        time.as_mut().poll(task).map(|()| None)
    })
    .await
}

/// The hedges under way, with their numbers.
struct Others<Fut>(Vec<(u32, Pin<Box<Fut>>)>, u32);

impl<Fut> Default for Others<Fut> {
    fn default() -> Self {
        Self(Vec::new(), 1)
    }
}

impl<T, E, Fut: Future<Output = Result<T, E>>> Others<Fut> {
    fn push(&mut self, call: Fut) {
        self.1 += 1;
        self.0.push((self.1, Box::pin(call)));
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first `Ok`, or the last `Err` of those that have ended; they are dropped.
    fn poll(&mut self, task: &mut Context<'_>) -> Option<(u32, Result<T, E>)> {
        let mut failed = None;
        let mut index = 0;
        while let Some((number, call)) = self.0.get_mut(index) {
            let number = *number;
            match call.as_mut().poll(task) {
                Poll::Pending => index += 1,
                Poll::Ready(outcome) => {
                    self.0.swap_remove(index);
                    if outcome.is_ok() {
                        return Some((number, outcome));
                    }
                    failed = Some((number, outcome));
                }
            }
        }
        failed
    }
}

/// Tells how long a call took.
struct Timed<'a> {
    delay: &'a Delay,
    began: Instant,
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        if let Delay::Quantile(latencies) = self.delay {
            lock(latencies).add(self.began.elapsed());
        }
    }
}

impl Delay {
    /// `None`: nobody knows yet.
    fn now(&self) -> Option<Duration> {
        match self {
            Self::Fixed(length) => Some(*length),
            Self::Quantile(latencies) => lock(latencies).quantile,
        }
    }
}

impl Latencies {
    fn add(&mut self, latency: Duration) {
        if self.recent.len() == MOST {
            self.recent.pop_front();
        }
        self.recent.push_back(latency);
        self.fresh += 1;
        if self.recent.len() >= FEWEST && (self.fresh >= OFTEN || self.quantile.is_none()) {
            self.fresh = 0;
            self.quantile = Some(self.taken());
        }
    }

    fn taken(&self) -> Duration {
        let mut sorted: Vec<Duration> = self.recent.iter().copied().collect();
        // A share of at most 1 of at most 200.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let rank = (sorted.len() as f64 * self.share).ceil() as usize;
        let (_, quantile, _) = sorted.select_nth_unstable(rank.clamp(1, self.recent.len()) - 1);
        *quantile
    }
}

/// Settings of a [`Hedge`].
///
/// # Default
///
/// One hedge, from a budget of its own of 20 % of the recent calls and a reserve of 100. `after` or `quantile` has to be given.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct HedgeBuilder {
    after: Option<Duration>,
    quantile: Option<f64>,
    max_hedges: u32,
    budget: Option<RetryBudget>,
    name: Option<String>,
    refused: Refused,
}

impl Default for HedgeBuilder {
    fn default() -> Self {
        let (budget, name, refused) = (None, None, Refused::default());
        Self { after: None, quantile: None, max_hedges: 1, budget, name, refused }
    }
}

impl HedgeBuilder {
    /// Hedges a call that takes this long, in seconds or as a `Duration`.
    pub fn after(mut self, length: impl IntoDuration) -> Self {
        self.after = Some(self.refused.span("after", length));
        self
    }

    /// Hedges a call that takes longer than this share of the last 200; before there were 20, none.
    pub fn quantile(mut self, share: f64) -> Self {
        self.quantile = Some(self.refused.share("quantile", share));
        self
    }

    /// How many more calls may be made for one, each after the same time again. Default: 1.
    pub fn max_hedges(mut self, calls: impl IntoCount) -> Self {
        self.max_hedges = self.refused.some("max_hedges", calls.into_count());
        self
    }

    /// What hedges are paid from; clones of a budget are one.
    pub fn budget(mut self, budget: impl Into<RetryBudget>) -> Self {
        self.budget = Some(budget.into());
        self
    }

    /// Its name in the log and in [`FmStats::resilience`](crate::FmStats::resilience).
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The name, unless it has one.
    pub(crate) fn named_or(mut self, name: &str) -> Self {
        self.name.get_or_insert_with(|| name.to_owned());
        self
    }

    /// Builds it.
    ///
    /// # Errors
    ///
    /// [`is_config`](FmError::is_config): neither or both of `after` and `quantile`, or one that can't be.
    pub fn build(self) -> Result<Hedge, FmError> {
        self.refused.into_result()?;
        let delay = match (self.after, self.quantile) {
            (Some(length), None) => Delay::Fixed(length),
            (None, Some(share)) => {
                Delay::Quantile(Mutex::new(Latencies { share, recent: VecDeque::new(), fresh: 0, quantile: None }))
            }
            _ => return Err(FmError::new(Kind::Config, "a hedge needs either `after` or `quantile`")),
        };
        Ok(Hedge(Arc::new(Shared {
            ledger: Ledger::named(self.name.as_deref().unwrap_or("hedge")),
            delay,
            max_hedges: self.max_hedges,
            budget: self.budget.unwrap_or_default(),
        })))
    }
}

impl From<&Self> for Hedge {
    fn from(hedge: &Self) -> Self {
        hedge.clone()
    }
}

impl fmt::Debug for Hedge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hedge").field("after", &self.0.delay.now()).finish_non_exhaustive()
    }
}
