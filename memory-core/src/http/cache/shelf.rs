//! The responses of one resource, each for the requests that select it.

use std::{sync::Arc, time::Duration};

use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::{
    Asked, Policy,
    stored::{self, Stored},
};

/// The responses of one resource, the latest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::http) struct Shelf {
    variants: Vec<Variant>,
}

/// One of the responses.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::http) struct Variant {
    #[serde(with = "stored::shared")]
    pub(in crate::http) response: Arc<Stored>,
    /// How old it was when the shelf was stored.
    pub(in crate::http) age: Duration,
}

/// No more responses than this are kept of one resource; the oldest go.
const MOST: usize = 32;

impl Shelf {
    /// The latest response for a request, and its age now, when the shelf has been stored for `stored_for`.
    pub(in crate::http) fn select(
        &self,
        asked: &Asked,
        headers: &HeaderMap,
        stored_for: Duration,
        policy: &Policy,
    ) -> Option<Variant> {
        let variant = self.variants.iter().find(|variant| variant.response.answers(asked, headers, policy))?;
        Some(variant.after(stored_for))
    }

    /// The shelf with a new response, in the place of those that answer the same requests, after it was stored for `stored_for`.
    pub(in crate::http) fn with(self, new: Variant, stored_for: Duration, policy: &Policy) -> Self {
        let is_kept =
            |variant: &Variant| !new.response.replaces(&variant.response) && !variant.use_left(policy).is_zero();
        let aged = self.variants.iter().map(|variant| variant.after(stored_for));
        let kept: Vec<Variant> = aged.filter(is_kept).take(MOST - 1).collect();
        Self { variants: std::iter::once(new).chain(kept).collect() }
    }

    /// All of them.
    pub(in crate::http) fn responses(&self) -> impl Iterator<Item = &Stored> {
        self.variants.iter().map(|variant| &*variant.response)
    }

    /// For how long any of it is of use.
    pub(in crate::http) fn use_left(&self, policy: &Policy) -> Duration {
        self.variants.iter().map(|variant| variant.use_left(policy)).max().unwrap_or_default()
    }
}

impl Variant {
    fn after(&self, time: Duration) -> Self {
        Self { response: Arc::clone(&self.response), age: self.age.saturating_add(time) }
    }

    /// For how long it is still fresh.
    pub(in crate::http) fn fresh_left(&self) -> Duration {
        self.response.terms.lifetime.saturating_sub(self.age)
    }

    /// For how long it has been stale.
    pub(in crate::http) fn stale_for(&self) -> Duration {
        self.age.saturating_sub(self.response.terms.lifetime)
    }

    fn use_left(&self, policy: &Policy) -> Duration {
        let terms = &self.response.terms;
        let late = terms.stale_while_revalidate.max(terms.stale_if_error.unwrap_or_default()).max(policy.grace);
        terms.lifetime.saturating_add(late).saturating_sub(self.age)
    }
}
