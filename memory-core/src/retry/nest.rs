//! Retries inside of retries: the inner one knows, so that attempts add up and do not multiply.
//!
//! Where an inner retry has given up, the attempts of the outer one repeat it: from then on each of them is one call to
//! the inner, which is not repeated there, and which the inner one's budget has to pay for as well. So behind however
//! many layers, an upstream sees no more extra calls than the budget next to it allows.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use super::budget::RetryBudget;

/// A retried call under way, as the retries inside of its attempts see it.
#[derive(Clone)]
pub(crate) struct Nest(Arc<Layer>);

struct Layer {
    outer: Option<Nest>,
    /// The attempt under way is not the first.
    repeats: AtomicBool,
    /// An inner retry has given up.
    given_up: AtomicBool,
    /// Budgets of the inner retries that have given up.
    inner: Mutex<Vec<RetryBudget>>,
}

impl Nest {
    /// A retried call that begins inside of an attempt of `outer`.
    pub(crate) fn inside(outer: Option<Self>) -> Self {
        let (repeats, given_up) = (AtomicBool::new(false), AtomicBool::new(false));
        Self(Arc::new(Layer { outer, repeats, given_up, inner: Mutex::default() }))
    }

    /// Whether this call is itself part of a repetition, and so pays nothing into a budget.
    pub(crate) fn is_repetition(&self) -> bool {
        self.outers().any(|outer| outer.repeats.load(Ordering::Relaxed))
    }

    /// Whether it is left to an outer retry to repeat this call.
    pub(crate) fn leaves_it_to_the_outer(&self) -> bool {
        self.outers().any(|outer| outer.repeats.load(Ordering::Relaxed) && outer.given_up.load(Ordering::Relaxed))
    }

    /// Whether `budget` and those of the inner retries that have given up pay for another attempt.
    pub(crate) fn affords(&self, budget: &RetryBudget) -> bool {
        let inner = self.0.inner.lock().unwrap_or_else(PoisonError::into_inner).clone();
        budget.withdraw() && inner.iter().filter(|inner| !inner.is(budget)).all(RetryBudget::withdraw)
    }

    /// Another attempt follows.
    pub(crate) fn repeat(&self) {
        self.0.repeats.store(true, Ordering::Relaxed);
    }

    /// This retry gives up: whoever repeats it repeats calls that `budget` is for.
    pub(crate) fn give_up(&self, budget: &RetryBudget) {
        for outer in self.outers() {
            let mut inner = outer.inner.lock().unwrap_or_else(PoisonError::into_inner);
            if budget.is_limited() && !inner.iter().any(|known| known.is(budget)) {
                inner.push(budget.clone());
            }
            outer.given_up.store(true, Ordering::Relaxed);
        }
    }

    /// Whether both are one call.
    #[cfg(test)]
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn outers(&self) -> impl Iterator<Item = &Layer> {
        std::iter::successors(self.0.outer.as_ref(), |layer| layer.0.outer.as_ref()).map(|nest| &*nest.0)
    }
}
