//! The decisions of one retried call: another attempt or not, and after which wait. It never sleeps itself.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    around::Around,
    budget::RetryBudget,
    entropy::Entropy,
    stop::Stop,
    wait::{Backoff, Jitter, Wait},
};
use crate::{
    cache::Context,
    stats::{Event, Ledger},
};

/// The longest delay asked for by an error that is waited for, where nothing else was said.
const LONGEST_DELAY: Duration = Duration::from_secs(300);

/// What a retry does, apart from which outcomes it repeats.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) stop: Stop,
    pub(crate) wait: Wait,
    pub(crate) jitter: Jitter,
    pub(crate) deadline: Option<Duration>,
    pub(crate) attempt_timeout: Option<Duration>,
    pub(crate) seed: Option<u64>,
    pub(crate) budget: RetryBudget,
    /// A delay that an error asks for and that is longer is not waited for.
    pub(crate) longest_delay: Duration,
    pub(crate) ledger: Option<Ledger>,
}

/// One retried call under way.
pub(crate) struct Attempts {
    stop: Stop,
    backoff: Backoff,
    deadline: Option<Duration>,
    attempt_timeout: Option<Duration>,
    budget: RetryBudget,
    longest_delay: Duration,
    ledger: Option<Ledger>,
    started: Instant,
    made: u32,
    /// What it is to the calls inside of it.
    around: Around,
    /// When the calls around it have to end, or this one has.
    ends: Option<Instant>,
}

/// Which limit ends an attempt that is still running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// `attempt_timeout`: another attempt may follow.
    Attempt,
    /// `deadline`: it is over.
    Deadline,
}

impl Plan {
    /// Neither jitter nor limits, and a budget without bound.
    pub(crate) const fn new(stop: Stop, wait: Wait) -> Self {
        Self {
            stop,
            wait,
            jitter: Jitter::None,
            deadline: None,
            attempt_timeout: None,
            seed: None,
            budget: RetryBudget::unlimited(),
            longest_delay: LONGEST_DELAY,
            ledger: None,
        }
    }

    /// Begins a call now, by tokio's clock.
    pub(crate) fn begin(self) -> Attempts {
        let around = Around::beginning();
        if !around.is_repetition() {
            self.budget.deposit();
        }
        self.go_on(around)
    }

    /// Goes on with a call whose first attempt has ended, and which has paid into its budget: where nothing depends on when it began.
    pub(crate) fn go_on(self, around: Around) -> Attempts {
        let entropy = self.seed.map_or_else(Entropy::fresh, Entropy::seeded);
        let started = Instant::now();
        let own = self.deadline.and_then(|deadline| started.checked_add(deadline));
        Attempts {
            stop: self.stop,
            backoff: Backoff::new(self.wait, self.jitter, entropy),
            deadline: self.deadline,
            attempt_timeout: self.attempt_timeout,
            budget: self.budget,
            longest_delay: self.longest_delay,
            ledger: self.ledger,
            started,
            made: 0,
            around,
            ends: own.into_iter().chain(Context::deadline()).min(),
        }
    }
}

impl Attempts {
    /// How many calls were made.
    pub(crate) fn made(&self) -> u32 {
        self.made
    }

    /// How long ago the first call began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// How long the next attempt may take, and by which limit.
    pub(crate) fn limit(&self) -> Option<(Duration, Limit)> {
        let left = self.deadline.map(|deadline| deadline.saturating_sub(self.elapsed()));
        match (self.attempt_timeout, left) {
            (Some(timeout), Some(left)) if left <= timeout => Some((left, Limit::Deadline)),
            (Some(timeout), _) => Some((timeout, Limit::Attempt)),
            (None, Some(left)) => Some((left, Limit::Deadline)),
            (None, None) => None,
        }
    }

    /// How long there is until this call has to end, or one around it.
    #[cfg(feature = "client")]
    pub(crate) fn left(&self) -> Option<Duration> {
        self.ends.map(|ends| ends.saturating_duration_since(Instant::now()))
    }

    /// An attempt begins.
    pub(crate) fn attempt(&self) {
        self.note(Event::Attempt(self.made.saturating_add(1)));
    }

    /// What an attempt runs in, so that the retries inside of it know of this one.
    pub(crate) fn around(&mut self) -> &mut Around {
        &mut self.around
    }

    /// As [`around`](Self::around), with the deadline. An attempt begins.
    pub(crate) fn surroundings(&mut self) -> Context {
        self.attempt();
        Context { retry: Some(self.around.name()), deadline: self.ends, ..Context::current() }
    }

    /// An attempt has ended.
    pub(crate) fn count(&mut self) {
        self.made = self.made.saturating_add(1);
    }

    /// An attempt was cut.
    pub(crate) fn was_cut(&mut self, limit: Limit) {
        self.note(Event::TimedOut { limit: if limit == Limit::Attempt { "attempt" } else { "deadline" } });
        if limit == Limit::Deadline {
            self.gives_up("deadline");
        }
    }

    /// The wait before another attempt, or `None` to give up. Called once after each attempt that is to be repeated;
    /// `delay` is what the error asks for.
    pub(crate) fn next_wait(&mut self, delay: Option<Duration>) -> Option<Duration> {
        self.wait_or_why(delay).ok()
    }

    /// As [`next_wait`](Self::next_wait), and says why there is none.
    pub(crate) fn wait_or_why(&mut self, delay: Option<Duration>) -> Result<Duration, &'static str> {
        let decided = self.decide(delay);
        match decided {
            Ok(wait) => {
                self.around.name().repeat();
                self.note(Event::Backoff { attempt: self.made, wait });
            }
            Err(why) => self.gives_up(why),
        }
        decided
    }

    fn decide(&mut self, delay: Option<Duration>) -> Result<Duration, &'static str> {
        let backoff = self.backoff.next().unwrap_or_default();
        let wait = delay.unwrap_or(backoff);
        if delay.is_some_and(|delay| delay > self.longest_delay) {
            return Err("delay");
        }
        let elapsed = self.elapsed();
        if self.stop.is_reached(self.made, elapsed, wait) {
            return Err("stop");
        }
        if self.ends.is_some_and(|ends| wait >= ends.saturating_duration_since(Instant::now())) {
            return Err("deadline");
        }
        let nest = self.around.name();
        if nest.leaves_it_to_the_outer() {
            return Err("nested");
        }
        if nest.affords(&self.budget) { Ok(wait) } else { Err("budget") }
    }

    fn gives_up(&mut self, why: &'static str) {
        self.around.name().give_up(&self.budget);
        self.note(Event::Exhausted { attempts: self.made, why });
    }

    fn note(&self, event: Event) {
        match &self.ledger {
            Some(ledger) => ledger.note(event),
            None => event.trace(""),
        }
    }
}
