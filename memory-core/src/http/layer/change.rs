//! Requests that may change what is stored (RFC 9111, section 4.4).

use std::sync::Arc;

use axum::{
    body::Body,
    http::{
        self, HeaderMap, StatusCode,
        header::{CONTENT_LOCATION, LOCATION},
    },
    response::Response,
};

use tokio::runtime::Handle;

use super::{
    super::cache::{Asked, is_explicit},
    FmResponseCacheLayer, Request,
    exchange::{Exchange, Landing},
    key::Place,
    origin::Origin,
    told::{Told, Why},
};
use crate::{FmCache, cache::Context, time::Tick};

impl Exchange {
    /// Passes an unsafe request on. Its success invalidates what it may have changed; the answer to a POST may be one to later
    /// GETs.
    pub(super) async fn change<S: Origin>(self, inner: S, body: Body, place: Place) -> Result<Response, S::Failure> {
        let sent = Tick::now();
        let mut unanswered = Unanswered(Some((Arc::clone(&self.shared), self.cache.clone(), place.clone())));
        let answer = inner.ask(Request::from_parts(self.parts.clone(), body)).await?;
        if answer.status().is_success() || answer.status().is_redirection() {
            self.shared.invalidate_changed(&self.cache, &place, answer.headers()).await;
        }
        unanswered.0 = None;
        if !self.is_shown(&place, &answer) {
            return Ok(self.passed_on(answer, Told::Forwarded(Why::Method, false)));
        }
        let shown = Self { asked: Asked { bypasses: false, ..self.asked.clone() }, ..self };
        let landing = Landing::beside(&shown, sent).await;
        Ok(shown.landed(landing, answer).await)
    }

    /// Whether the answer to a POST is what a GET would show, for as long as it says (RFC 9110, section 9.3.3).
    fn is_shown(&self, place: &Place, answer: &Response) -> bool {
        self.parts.method == http::Method::POST
            && answer.status() == StatusCode::OK
            && !self.asked.is_conditional
            && named(place, answer.headers(), &[CONTENT_LOCATION]).any(|named| named == *place)
            && is_explicit(answer.headers(), &self.shared.policy)
    }
}

/// A request that may change something, and has no answer: when its client goes away, or the service fails, it may have done so.
struct Unanswered(Option<(Arc<FmResponseCacheLayer>, FmCache, Place)>);

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some((shared, cache, place)) = self.0.take() {
            shared.invalidate_behind(cache, place);
        }
    }
}

impl FmResponseCacheLayer {
    /// Invalidates what a request has changed.
    pub(super) async fn invalidate_changed(&self, cache: &FmCache, place: &Place, answer: &HeaderMap) {
        for place in named(place, answer, &[LOCATION, CONTENT_LOCATION]).chain([place.clone()]) {
            // Without `.strict()` a removal does not fail: it is queued.
            let _ = self.remove(cache, &self.key_of(&place)).await;
        }
    }

    /// Invalidates what a request without an answer may have changed, in a task that nobody waits for.
    pub(super) fn invalidate_behind(self: Arc<Self>, cache: FmCache, place: Place) {
        let Ok(runtime) = Handle::try_current() else { return };
        let task = async move { self.invalidate_changed(&cache, &place, &HeaderMap::new()).await };
        runtime.spawn(Context::behind().scope(task));
    }
}

/// The resources of the same host that a response names.
fn named<'a>(
    place: &'a Place,
    answer: &'a HeaderMap,
    fields: &'static [http::HeaderName],
) -> impl Iterator<Item = Place> + 'a {
    fields.iter().filter_map(|name| place.refer(answer.get(name)?.to_str().ok()?))
}
