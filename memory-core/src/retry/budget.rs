//! How many retries there may be, measured by the calls there are.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::number::IntoCount;
use crate::{stats::Calls, time::Tick};

/// Part of a retry in which the budget counts, so that a share of a call is exact.
const RETRY: u64 = 1_000_000;

/// How long a call counts as recent.
const RECENT: Duration = Duration::from_secs(10);

/// How long a retry that was taken from the reserve is missing there.
const MISSING: Duration = Duration::from_secs(300);

/// Steps in which calls cease to be recent, and retries return to the reserve.
const SLOTS: u64 = 10;

/// Bounds retries by a share of the recent calls, so that an upstream that is down is not overrun by them.
///
/// Every call pays a share of a retry in, for about 10 s; every retry takes a whole one out, or else one from the reserve, where it
/// is missing for five minutes. Without either there is no retry: the last error is returned. The reserve is for functions
/// that are rarely called. Calls made *by* a retry pay nothing in.
///
/// Each function with a retry attribute has a budget of its own, and so has each `FmResilientClient`. Clones share one
/// budget: hand the same one to several functions that call the same upstream (`budget = ..`).
///
/// # Default
///
/// A share of 20 % and a reserve of 100 retries.
///
/// # Examples
///
/// ```
/// use memory_core::RetryBudget;
///
/// let budget = RetryBudget::new().share(0.2).reserve(1);
/// assert!(budget.withdraw());
/// assert!(!budget.withdraw(), "the reserve is spent");
/// for _ in 0..5 {
///     budget.deposit();
/// }
/// assert!(budget.withdraw(), "five calls pay for a retry");
/// ```
#[derive(Clone)]
pub struct RetryBudget {
    /// `None`: without bound.
    account: Option<Arc<Account>>,
}

struct Account {
    /// What a call pays in, in parts of a [`RETRY`].
    share: u64,
    reserve: u64,
    /// Calls that pay in when the account is looked at, since they should cost nothing.
    calls: Option<Arc<Calls>>,
    state: Mutex<State>,
}

struct State {
    /// How many of those calls have paid in, and when they were counted.
    seen: u64,
    looked: Tick,
    /// What recent calls have paid in, and no retry has taken out.
    paid: u64,
    calls: Lately,
    /// Retries taken from the reserve.
    missing: Lately,
}

/// How often something happened lately.
struct Lately {
    /// How long a slot is, in nanoseconds.
    slot: u64,
    /// The newest slot, counted since the beginning of the clock.
    newest: u64,
    /// How often, by slot; the slot `n` is at `n % SLOTS`.
    counts: [u64; SLOTS as usize],
}

impl RetryBudget {
    /// A budget of 20 % of the recent calls and a reserve of 100 retries.
    pub fn new() -> Self {
        Self::of(RETRY / 5, 100)
    }

    /// A budget without bound: retries are limited by their own policy alone.
    pub const fn unlimited() -> Self {
        Self { account: None }
    }

    /// What each call pays in, from 0 to 1 retries. A negative share or NaN counts as 0, a larger one as 1.
    ///
    /// Makes a new budget, which shares nothing with clones of this one.
    #[must_use]
    pub fn share(self, share: f64) -> Self {
        // Neither bound nor rounding can leave the range of an integer.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let share = (share.clamp(0.0, 1.0) * RETRY as f64).round() as u64;
        let reserve = self.account.map_or(100, |account| account.reserve);
        Self::of(share, reserve)
    }

    /// How many retries there are in five minutes that no call has paid for.
    ///
    /// Makes a new budget, which shares nothing with clones of this one.
    #[must_use]
    pub fn reserve(self, retries: impl IntoCount) -> Self {
        let share = self.account.map_or(RETRY / 5, |account| account.share);
        Self::of(share, u64::from(retries.into_count()))
    }

    /// A call begins that is no repetition of another.
    pub fn deposit(&self) {
        let Some(account) = &self.account else { return };
        let mut state = account.settled();
        state.calls.count(1);
        state.paid += account.share;
    }

    /// Takes a retry out; `false`: there is none.
    #[must_use = "where there is no retry in the budget, none may be made"]
    pub fn withdraw(&self) -> bool {
        let Some(account) = &self.account else { return true };
        let mut state = account.settled();
        if let Some(left) = state.paid.checked_sub(RETRY) {
            state.paid = left;
            return true;
        }
        let is_left = state.missing.total() < account.reserve;
        if is_left {
            state.missing.count(1);
        }
        is_left
    }

    /// How many retries are in it now; `None`: without bound.
    pub fn available(&self) -> Option<u64> {
        self.account.as_ref().map(|account| {
            let state = account.settled();
            state.paid / RETRY + account.reserve.saturating_sub(state.missing.total())
        })
    }

    /// A budget as [`new`](Self::new) makes it, into which these calls pay.
    pub(crate) fn fed_by(calls: Arc<Calls>) -> Self {
        let budget = Self::account(RETRY / 5, 100, Some(calls));
        Self { account: Some(Arc::new(budget)) }
    }

    /// Takes note of when the calls were made that feed it.
    #[cold]
    pub(crate) fn look(&self) {
        if let Some(account) = &self.account {
            drop(account.settled());
        }
    }

    pub(crate) const fn is_limited(&self) -> bool {
        self.account.is_some()
    }

    /// Whether both are one budget.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (&self.account, &other.account) {
            (Some(account), Some(other)) => Arc::ptr_eq(account, other),
            _ => false,
        }
    }

    fn of(share: u64, reserve: u64) -> Self {
        Self { account: Some(Arc::new(Self::account(share, reserve, None))) }
    }

    fn account(share: u64, reserve: u64, calls: Option<Arc<Calls>>) -> Account {
        let (recent, missing) = (Lately::within(RECENT), Lately::within(MISSING));
        let state = State { seen: 0, looked: Tick::now(), paid: 0, calls: recent, missing };
        Account { share, reserve, calls, state: Mutex::new(state) }
    }
}

impl Account {
    /// The state as of now: what calls have paid in that are no longer recent is forfeit.
    fn settled(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Tick::now();
        state.calls.advance(now);
        state.missing.advance(now);
        if let Some(calls) = &self.calls {
            let recent = state.recent_of(calls.total(), now);
            state.calls.count(recent);
            state.paid += self.share * recent;
        }
        state.paid = state.paid.min(self.share.saturating_mul(state.calls.total()));
        state
    }
}

impl State {
    /// How many of these calls are new and recent; between two looks they are taken to be spread evenly.
    fn recent_of(&mut self, calls: u64, now: Tick) -> u64 {
        let (fresh, passed) = (calls.saturating_sub(self.seen), now.since(self.looked));
        (self.seen, self.looked) = (calls, now);
        if passed <= RECENT {
            return fresh;
        }
        let recent = u128::from(fresh) * RECENT.as_nanos() / passed.as_nanos();
        u64::try_from(recent).unwrap_or(fresh)
    }
}

impl Lately {
    fn within(length: Duration) -> Self {
        // Both lengths are a few minutes at most.
        #[allow(clippy::cast_possible_truncation)]
        let slot = length.as_nanos() as u64 / SLOTS;
        Self { slot, newest: 0, counts: [0; SLOTS as usize] }
    }

    fn advance(&mut self, now: Tick) {
        let slot = now.as_nanos() / self.slot;
        let passed = slot.saturating_sub(self.newest).min(SLOTS);
        for gone in 0..passed {
            self.counts[((slot - gone) % SLOTS) as usize] = 0;
        }
        self.newest = self.newest.max(slot);
    }

    fn count(&mut self, times: u64) {
        self.counts[(self.newest % SLOTS) as usize] += times;
    }

    fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self::new()
    }
}

impl From<&Self> for RetryBudget {
    fn from(budget: &Self) -> Self {
        budget.clone()
    }
}

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryBudget").field("available", &self.available()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As one would write it down without a thought for speed: every call and every retry with its moment.
    struct Model {
        share: f64,
        reserve: usize,
        paid: f64,
        calls: Vec<u64>,
        missing: Vec<u64>,
    }

    impl Model {
        fn settle(&mut self, second: u64) {
            self.calls.retain(|call| call + 10 > second);
            self.missing.retain(|taken| taken / 30 + 10 > second / 30);
            self.paid = self.paid.min(self.share * self.calls.len() as f64);
        }

        fn deposit(&mut self, second: u64) {
            self.calls.push(second);
            self.paid += self.share;
        }

        fn withdraw(&mut self, second: u64) -> bool {
            if self.paid > 1.0 - 1e-9 {
                self.paid -= 1.0;
                return true;
            }
            let is_left = self.missing.len() < self.reserve;
            self.missing.extend(is_left.then_some(second));
            is_left
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Call,
        Retry,
        Pass(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![5 => Just(Step::Call), 4 => Just(Step::Retry), 1 => (0u64..60).prop_map(Step::Pass)]
    }

    /// Time stands still but where it is moved, and begins at a whole second.
    fn paused(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(test);
    }

    proptest! {
        #[test]
        fn the_budget_is_what_the_model_says(
            steps in prop::collection::vec(step(), 0..400),
            share in prop::sample::select(vec![0.0, 0.1, 0.2, 0.5, 1.0]),
            reserve in 0usize..8,
        ) {
            paused(async {
                let budget = RetryBudget::new().share(share).reserve(reserve);
                let (mut calls, mut retries) = (0u32, 0u32);
                let mut model = Model { share, reserve, paid: 0.0, calls: Vec::new(), missing: Vec::new() };
                let (mut passed, mut refills) = (0, 1);
                // Slots are whole seconds of the clock.
                let slot = || Tick::now().as_nanos() / 1_000_000_000;
                for step in steps {
                    model.settle(slot());
                    match step {
                        Step::Pass(seconds) => {
                            passed += seconds;
                            refills = 1 + passed as usize / 270 + 1;
                            tokio::time::advance(Duration::from_secs(seconds)).await;
                        }
                        Step::Call => {
                            calls += 1;
                            budget.deposit();
                            model.deposit(slot());
                        }
                        Step::Retry => {
                            let granted = budget.withdraw();
                            assert_eq!(granted, model.withdraw(slot()));
                            retries += u32::from(granted);
                        }
                    }
                    assert!(f64::from(retries) <= (reserve * refills) as f64 + share * f64::from(calls) + 1e-6);
                }
            });
        }
    }

    #[test]
    fn what_old_calls_have_paid_in_is_forfeit() {
        paused(async {
            let budget = RetryBudget::new().reserve(2);
            (0..1000).for_each(|_| budget.deposit());
            assert_eq!(budget.available(), Some(202));
            tokio::time::advance(Duration::from_secs(11)).await;
            assert_eq!(budget.available(), Some(2));
            assert!(budget.withdraw() && budget.withdraw() && !budget.withdraw());
            tokio::time::advance(Duration::from_secs(301)).await;
            assert_eq!(budget.available(), Some(2), "the reserve is filled again");
        });
    }

    #[test]
    fn calls_that_only_feed_it_pay_in_like_the_others_and_for_as_long() {
        paused(async {
            let calls = Arc::new(Calls::default());
            let budget = RetryBudget::fed_by(Arc::clone(&calls));
            let call = |times: u32| (0..times).for_each(|_| assert!(calls.add_one() > 0));
            call(1000);
            assert_eq!(budget.available(), Some(300));
            tokio::time::advance(Duration::from_secs(11)).await;
            assert_eq!(budget.available(), Some(100), "they are no longer recent");
            tokio::time::advance(Duration::from_secs(989)).await;
            call(1000);
            tokio::time::advance(Duration::from_secs(11)).await;
            assert_eq!(budget.available(), Some(102), "as many as there are in 10 s of 1,000 s");
        });
    }

    #[test]
    fn odd_settings_are_taken_for_the_nearest_sensible_ones() {
        let budget = RetryBudget::new().share(f64::NAN).reserve(-3);
        budget.deposit();
        assert!(!budget.withdraw());
        assert!(RetryBudget::unlimited().withdraw() && RetryBudget::unlimited().available().is_none());
        assert_eq!(RetryBudget::new().share(7.0).reserve(u64::MAX).available(), Some(u64::from(u32::MAX)));
    }
}
