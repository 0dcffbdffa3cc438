//! One request, from the look into the cache to the answer.

use std::{future::Future, sync::Arc, time::SystemTime};

use axum::{
    body::{Body, HttpBody},
    http::{self, HeaderMap, StatusCode, header::CONTENT_TYPE, request::Parts},
    response::Response,
};
use tokio::{
    runtime::Handle,
    time::{Instant, timeout_at},
};
use tracing::Instrument;

use super::{
    super::{
        body::{Read, read},
        cache::{
            Asked, Decision, Elsewhere, Method, Shelf, Storable, Stored, Variant, age_of, conditional, decide, excuses,
            is_same_head, may_have, storable, update, user,
        },
    },
    FmResponseCacheLayer, Request,
    errand::Errand,
    key::Place,
    origin::{HasStandIn, Origin},
    told::{Told, Why},
};
use crate::{
    FmCache,
    cache::{Context, Held, Holding, Since},
    flight::{Join, Lead as AnyLead, Waited},
    key::Key,
    time::Tick,
};

/// What a request that others wait for tells them.
pub(super) enum Landed {
    /// A response that was stored, and in which cache.
    Stored(Variant, FmCache),
    /// Nothing that they may have.
    NotShared,
    /// That the origin failed: with an error, or because it can't be reached.
    Failed { is_reached: bool },
}

type Lead = AnyLead<Errand, Landed>;

/// One request that may be answered from the cache.
pub(super) struct Exchange {
    pub(super) shared: Arc<FmResponseCacheLayer>,
    pub(super) cache: FmCache,
    pub(super) key: Key,
    pub(super) asked: Asked,
    pub(super) parts: Parts,
}

/// What a cache has to do with a request.
pub(super) enum Begun {
    /// It may be answered from the cache.
    Look(Box<Exchange>),
    /// It may change what is stored for a place.
    Change(Box<Exchange>, Body, Place),
    /// Nothing, for this reason.
    PassOn(FmCache, Request, Why),
}

impl Begun {
    /// A look at a request.
    pub(super) fn of(shared: &Arc<FmResponseCacheLayer>, request: Request) -> Self {
        let cache = shared.chosen();
        let (parts, body) = request.into_parts();
        let (mut asked, place) = (Asked::of(&parts), Place::of(&parts));
        asked.bypasses |= !body.is_end_stream() && body.size_hint().exact() != Some(0);
        let place = place.filter(|_| !cache.core().is_closed());
        let method = asked.method;
        let exchange = |place: &Place, cache, asked, parts| {
            Box::new(Exchange { shared: Arc::clone(shared), cache, key: shared.key_of(place), asked, parts })
        };
        match (method, place) {
            (Method::Get | Method::Head, Some(place)) if !asked.bypasses => {
                Self::Look(exchange(&place, cache, asked, parts))
            }
            (Method::Unsafe, Some(place)) => Self::Change(exchange(&place, cache, asked, parts), body, place),
            (method, _) => {
                let is_other = matches!(method, Method::Other | Method::Unsafe);
                let why = if is_other { Why::Method } else { Why::Bypass };
                Self::PassOn(cache, Request::from_parts(parts, body), why)
            }
        }
    }

    /// The answer, where it is in memory and fresh.
    pub(super) fn at_hand(&self) -> Option<Response> {
        match self {
            Self::Look(exchange) => exchange.at_hand(),
            Self::Change(..) | Self::PassOn(..) => None,
        }
    }

    /// The answer.
    pub(super) async fn answer<S: Origin>(self, inner: S) -> Result<Response, S::Failure> {
        match self {
            Self::Look(exchange) => exchange.look(inner).await,
            Self::Change(exchange, body, place) => exchange.change(inner, body, place).await,
            Self::PassOn(cache, request, why) => {
                let answer = inner.ask(request).await?;
                Ok(passed_on(answer, Told::Forwarded(why, false), &cache))
            }
        }
    }
}

/// How often a request waits for others before it goes by itself.
const WAITS: usize = 3;

impl Exchange {
    fn at_hand(&self) -> Option<Response> {
        let select = |shelf: &Shelf, age| shelf.select(&self.asked, &self.parts.headers, age, &self.shared.policy);
        let variant = self.cache.core().see_held(self.key.as_key(), select).flatten()?;
        let is_fresh = self.decide(Some(&variant)) == Decision::Serve;
        is_fresh.then(|| self.serve_or_refuse(Some(variant)))
    }

    async fn look<S: Origin>(self, inner: S) -> Result<Response, S::Failure> {
        let (held, since) = self.cache.core().held::<Shelf>(&self.key).await;
        let variant = self.select(held.as_ref()).filter(|variant| may_have(&self.asked, variant, &self.shared.policy));
        match self.decide(variant.as_ref()) {
            Decision::Serve => Ok(self.serve_or_refuse(variant)),
            Decision::ServeAndRefresh => {
                let answer = self.serve_or_refuse(variant.clone());
                self.refresh(inner, variant, held);
                Ok(answer)
            }
            Decision::Refuse => Ok(self.serve_or_refuse(None)),
            Decision::Forward | Decision::Validate if self.asked.method == Method::Head => {
                self.forward_head(inner, variant, held, since).await
            }
            Decision::Forward => {
                let why = if held.is_some() { Why::VaryMiss } else { Why::Miss };
                self.forward(inner, Plan { stored: None, found: held, since, why }).await
            }
            Decision::Validate => {
                self.forward(inner, Plan { stored: variant, found: held, since, why: Why::Stale }).await
            }
        }
    }

    fn select(&self, held: Option<&Held<Shelf>>) -> Option<Variant> {
        held.and_then(|held| held.value.select(&self.asked, &self.parts.headers, held.age, &self.shared.policy))
    }

    fn decide(&self, variant: Option<&Variant>) -> Decision {
        decide(&self.asked, variant, &self.shared.policy)
    }

    fn serve_or_refuse(&self, variant: Option<Variant>) -> Response {
        let Some(variant) = variant else {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::GATEWAY_TIMEOUT;
            return self.passed_on(response, Told::Refused);
        };
        let told = if variant.fresh_left().is_zero() { Told::Stale } else { Told::Hit };
        self.serve(&variant, told)
    }

    fn serve(&self, variant: &Variant, told: Told) -> Response {
        self.cache.core().note_held(self.key.as_key(), told.outcome());
        told.answer(&self.asked, &self.parts.headers, variant, self.cache.prefix())
    }

    pub(super) fn passed_on(&self, response: Response, told: Told) -> Response {
        self.cache.core().note_held(self.key.as_key(), told.outcome());
        passed_on(response, told, &self.cache)
    }

    /// Asks the origin, together with whoever asks it for the same.
    async fn forward<S: Origin>(self, inner: S, plan: Plan) -> Result<Response, S::Failure> {
        let (errand, waits, began) = (self.errand(), if self.may_wait() { WAITS } else { 0 }, Instant::now());
        let until = inner.patience().map(|patience| began + patience);
        for _ in 0..waits {
            let landed = match self.shared.flights.join(&errand, Context::current_run()) {
                Join::Lead(lead) => return self.lead(inner.after(began.elapsed()), lead, plan).await,
                Join::Cycle => break,
                Join::Ready(landed) => landed,
                Join::Wait(wait) => match within(until, wait).await {
                    Some(Waited::Done(landed)) => landed,
                    Some(Waited::Lead(lead)) => return self.lead(inner.after(began.elapsed()), lead, plan).await,
                    // As long as it would have waited for an answer of its own.
                    None => break,
                },
            };
            match &*landed {
                Landed::Stored(variant, cache) if self.may_take(variant, cache) => {
                    return Ok(self.serve(variant, Told::Collapsed));
                }
                // Another variant: this one may be on its way, too.
                Landed::Stored(variant, _) if !self.is_answered_by(variant) => {}
                Landed::Stored(..) | Landed::NotShared => break,
                Landed::Failed { is_reached } => {
                    if let Some(stored) = plan.stored.as_ref().filter(|stored| self.is_excused(stored, *is_reached)) {
                        return Ok(self.serve(stored, Told::Stale));
                    }
                    break;
                }
            }
        }
        let lead = self.shared.flights.lead_if_idle(&errand);
        self.fetch(inner.after(began.elapsed()), lead, plan).await
    }

    /// Whether it waits for those who have asked the origin for the same.
    fn may_wait(&self) -> bool {
        self.asked.may_wait(&self.shared.policy) && !self.shared.unshared.contains(self.key.as_key())
    }

    fn errand(&self) -> Errand {
        let is_apart = self.asked.method != Method::Get || !self.asked.may_wait(&self.shared.policy);
        Errand { key: self.key.clone(), user: user(&self.parts.headers, &self.shared.policy), is_apart }
    }

    /// Whether the answer to another request is one to this.
    fn may_take(&self, variant: &Variant, cache: &FmCache) -> bool {
        std::ptr::eq(cache.core(), self.cache.core())
            && self.is_answered_by(variant)
            && self.decide(Some(variant)) == Decision::Serve
    }

    fn is_answered_by(&self, variant: &Variant) -> bool {
        variant.response.answers(&self.asked, &self.parts.headers, &self.shared.policy)
    }

    /// Asks in a task of its own, which goes on when the client goes away.
    async fn lead<S: Origin>(self, inner: S, mut lead: Lead, mut plan: Plan) -> Result<Response, S::Failure> {
        // Somebody may have stored it since the look.
        let held = self.cache.core().held_here::<Shelf>(self.key.as_key());
        if let Some(variant) =
            self.select(held.as_ref()).filter(|variant| self.decide(Some(variant)) == Decision::Serve)
        {
            lead.answer(Arc::new(Landed::Stored(variant.clone(), self.cache.clone())));
            return Ok(self.serve_or_refuse(Some(variant)));
        }
        plan.found = held.or(plan.found);
        let Ok(runtime) = Handle::try_current() else { return self.fetch(inner, Some(lead), plan).await };
        let _edge = lead.take_edge();
        let surroundings = Context { run: Some(lead.id()), ..Context::current() };
        let task = surroundings.scope(self.fetch(inner, Some(lead), plan));
        match runtime.spawn(task.in_current_span()).await {
            Ok(answer) => answer,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => std::panic::resume_unwind(Box::new("the tokio runtime that ran a request was shut down")),
        }
    }

    /// Validates a stale response that is being answered, in a task that nobody waits for.
    fn refresh<S: Origin>(mut self, inner: S, stored: Option<Variant>, found: Option<Held<Shelf>>) {
        // The answer to a HEAD has no body to store.
        (self.parts.method, self.asked.method) = (http::Method::GET, Method::Get);
        let Ok(runtime) = Handle::try_current() else { return };
        let Some(lead) = self.shared.flights.lead_if_idle(&self.errand()) else { return };
        let task = Context::behind().scope(async move {
            let (_, since) = self.cache.core().held::<Shelf>(&self.key).await;
            let _ = self.fetch(inner, Some(lead), Plan { stored, found, since, why: Why::Stale }).await;
        });
        runtime.spawn(task.in_current_span());
    }

    /// Asks the origin. What comes is stored by whoever has the `lead`.
    async fn fetch<S: Origin>(self, inner: S, lead: Option<Lead>, plan: Plan) -> Result<Response, S::Failure> {
        let Plan { stored, found, since, why } = plan;
        let is_found_there = since.is_stamped();
        let since = self.cache.core().since(&self.key, since).await;
        let conditional = stored.as_ref().and_then(|stored| conditional(&self.parts, &stored.response));
        let is_conditional = conditional.is_some();
        let mut parts = conditional.unwrap_or_else(|| self.parts.clone());
        if stored.as_ref().is_some_and(|stored| self.is_excused(stored, true)) {
            parts.extensions.insert(HasStandIn);
        }
        let sent = Tick::now();
        let answer = self.ask(inner.clone(), Some(parts)).await;
        let landing = Landing { lead, found, is_found_there, since, why, sent };
        let response = match answer {
            Ok(response) => response,
            Err(failure) => return self.failed::<S>(landing, stored, failure),
        };
        match stored {
            Some(stored) if is_conditional && response.status() == StatusCode::NOT_MODIFIED => {
                self.validated(inner, landing, stored, response).await
            }
            Some(stored) if response.status().is_server_error() && self.is_excused(&stored, true) => {
                landing.give_up(Landed::Failed { is_reached: true });
                Ok(self.serve(&stored, Told::Stale))
            }
            _ => Ok(self.landed(landing, response).await),
        }
    }

    fn ask<S: Origin>(
        &self,
        inner: S,
        parts: Option<Parts>,
    ) -> impl Future<Output = Result<Response, S::Failure>> + Send + use<S> {
        let parts = parts.unwrap_or_else(|| self.parts.clone());
        inner.ask(Request::from_parts(parts, Body::empty()))
    }

    /// The origin can't be reached.
    fn failed<S: Origin>(
        &self,
        landing: Landing,
        stored: Option<Variant>,
        failure: S::Failure,
    ) -> Result<Response, S::Failure> {
        let is_reached = !S::is_unreached(&failure);
        landing.give_up(if is_reached { Landed::NotShared } else { Landed::Failed { is_reached } });
        match stored.filter(|stored| !is_reached && self.is_excused(stored, false)) {
            Some(stored) => Ok(self.serve(&stored, Told::Stale)),
            None => Err(failure),
        }
    }

    fn is_excused(&self, stored: &Variant, is_reached: bool) -> bool {
        excuses(&self.asked, stored, is_reached, &self.shared.policy)
    }

    /// The stored response still holds.
    async fn validated<S: Origin>(
        &self,
        inner: S,
        landing: Landing,
        stored: Variant,
        response: Response,
    ) -> Result<Response, S::Failure> {
        let is_about_it = response.extensions().get::<Elsewhere>().is_none();
        let updated = is_about_it.then(|| self.update(&stored.response, response.headers())).flatten();
        let Some(updated) = updated else {
            // It is about something else, or forbids to keep what is stored: ask for a response.
            let response = self.ask(inner, None).await?;
            return Ok(self.landed(landing, response).await);
        };
        let why = landing.why;
        let age = landing.age(response.headers());
        let variant = Variant { response: Arc::new(updated), age };
        let stored = self.keep(landing, &variant).await;
        Ok(self.serve(&variant, Told::Forwarded(why, stored)))
    }

    fn update(&self, stored: &Stored, fresh: &HeaderMap) -> Option<Stored> {
        update(&self.asked, &self.parts.headers, stored, fresh, &self.shared.policy)
    }

    /// A response has come: it is stored where it may be, else passed on as it comes.
    pub(super) async fn landed(&self, landing: Landing, response: Response) -> Response {
        let why = landing.why;
        let (head, body) = response.into_parts();
        let to_store = storable(&self.asked, &self.parts.headers, &head, &self.shared.policy)
            .filter(|to_store| self.is_bounded(to_store, &head.headers));
        // An error passes, and what one user gets says nothing about what others get.
        if to_store.is_none() && self.asked.may_wait(&self.shared.policy) && !head.status.is_server_error() {
            self.shared.unshared.set(self.key.as_key(), true);
        }
        let Some(to_store) = to_store.filter(|_| landing.lead.is_some()) else {
            landing.give_up(Landed::NotShared);
            return self.passed_on(Response::from_parts(head, body), Told::Forwarded(why, false));
        };
        let body = match read(body, self.shared.policy.longest_body).await {
            Read::Whole(body) => body,
            Read::Part(body) => {
                self.shared.unshared.set(self.key.as_key(), true);
                landing.give_up(Landed::NotShared);
                return self.passed_on(Response::from_parts(head, body), Told::Forwarded(why, false));
            }
        };
        let Some(response) = to_store.with_body(body.clone()) else {
            landing.give_up(Landed::NotShared);
            return self.passed_on(Response::from_parts(head, Body::from(body)), Told::Forwarded(why, false));
        };
        let variant = Variant { response: Arc::new(response), age: landing.age(&head.headers) };
        let stored = self.keep(landing, &variant).await;
        // Who asked gets the fields, too, that are not for those who ask later.
        let fields = variant.response.with_all_fields(head.headers);
        self.serve(&Variant { response: Arc::new(fields), ..variant }, Told::Forwarded(why, stored))
    }

    fn is_bounded(&self, to_store: &Storable, headers: &HeaderMap) -> bool {
        let is_stream = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        !is_stream && to_store.length().is_none_or(|length| length <= self.shared.policy.longest_body)
    }

    /// Stores a response, and tells those who wait; whether it is stored.
    async fn keep(&self, landing: Landing, variant: &Variant) -> bool {
        let Landing { lead: Some(lead), found, is_found_there, since, .. } = landing else { return false };
        let policy = self.shared.policy;
        self.shared.unshared.set(self.key.as_key(), variant.response.terms.no_cache || variant.fresh_left().is_zero());
        let others = found.as_ref().map(|held| held.value.use_left(&policy)).unwrap_or_default();
        let shelf = Shelf::default().with(variant.clone(), Default::default(), &policy);
        let holding =
            Holding { life: shelf.use_left(&policy).max(others), tags: self.tags_of_all(variant, found.as_ref()) };
        let told = Arc::new(Landed::Stored(variant.clone(), self.cache.clone()));
        // What was found in memory may have been invalidated before the shared store was asked what it knows.
        let found = found.filter(|_| is_found_there);
        let new = variant.clone();
        let make = move |held: Option<Held<Shelf>>| match held {
            Some(held) => held.value.with(new, held.age, &policy),
            None => shelf,
        };
        self.cache.core().hold((lead, &self.key), told, since, holding, found, make).await
    }

    /// The variants of a resource are stored together: the tags of each are those of all.
    fn tags_of_all(&self, new: &Variant, found: Option<&Held<Shelf>>) -> Vec<String> {
        let stored = found.into_iter().flat_map(|held| held.value.responses());
        let mut tags: Vec<String> = stored.chain([&*new.response]).flat_map(|response| self.tags(response)).collect();
        tags.sort_unstable();
        tags.dedup();
        tags
    }

    fn tags(&self, response: &Stored) -> Vec<String> {
        let Some(name) = &self.shared.tags else { return Vec::new() };
        let lines = response.headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split([',', ' '])).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
    }

    /// A HEAD request is passed on; its answer says whether the stored response still holds (RFC 9111, section 4.3.5).
    async fn forward_head<S: Origin>(
        self,
        inner: S,
        stored: Option<Variant>,
        found: Option<Held<Shelf>>,
        since: Since,
    ) -> Result<Response, S::Failure> {
        let why = if stored.is_some() { Why::Stale } else { Why::Miss };
        let is_found_there = since.is_stamped();
        let since = self.cache.core().since(&self.key, since).await;
        // From before the request on, so that nothing is stored that was invalidated meanwhile.
        let lead = stored.as_ref().and_then(|_| self.shared.flights.lead_if_idle(&self.errand()));
        let sent = Tick::now();
        let answer = self.ask(inner, None).await;
        let landing = Landing { lead, found, is_found_there, since, why, sent };
        let response = match answer {
            Ok(response) => response,
            Err(failure) => return self.failed::<S>(landing, stored, failure),
        };
        if let Some(stored) = stored.filter(|_| response.status() == StatusCode::OK) {
            self.compare(landing, &stored, response.headers()).await;
        }
        Ok(self.passed_on(response, Told::Forwarded(why, false)))
    }

    async fn compare(&self, landing: Landing, stored: &Variant, head: &HeaderMap) {
        let updated = is_same_head(&stored.response, head).then(|| self.update(&stored.response, head)).flatten();
        match updated {
            Some(updated) => {
                let variant = Variant { response: Arc::new(updated), age: landing.age(head) };
                self.keep(landing, &variant).await;
            }
            None => {
                // Without `.strict()` a removal does not fail: it is queued.
                let _ = self.shared.remove(&self.cache, &self.key).await;
            }
        }
    }
}

/// What is known before the origin is asked.
struct Plan {
    /// The response to be validated.
    stored: Option<Variant>,
    /// All that is stored for the resource.
    found: Option<Held<Shelf>>,
    since: Since,
    why: Why,
}

/// What is known when the origin has answered.
pub(super) struct Landing {
    lead: Option<Lead>,
    found: Option<Held<Shelf>>,
    /// Whether that was found when the shared store was asked what it knows.
    is_found_there: bool,
    since: Since,
    why: Why,
    sent: Tick,
}

impl Landing {
    /// Of a response to a request that was not for what is stored.
    pub(super) async fn beside(exchange: &Exchange, sent: Tick) -> Self {
        let (found, since) = exchange.cache.core().held::<Shelf>(&exchange.key).await;
        let is_found_there = since.is_stamped();
        let since = exchange.cache.core().since(&exchange.key, since).await;
        let lead = exchange.shared.flights.lead_if_idle(&exchange.errand());
        Self { lead, found, is_found_there, since, why: Why::Method, sent }
    }

    /// Tells those who wait that there is nothing for them, and why.
    fn give_up(self, why: Landed) {
        if let Some(lead) = self.lead {
            lead.answer(Arc::new(why));
        }
    }

    fn age(&self, headers: &HeaderMap) -> std::time::Duration {
        age_of(headers, SystemTime::now(), Tick::now().since(self.sent))
    }
}

/// Waits until a moment, where there is one: the runtime of who sets no limit may have no timers.
async fn within<F: Future>(until: Option<Instant>, future: F) -> Option<F::Output> {
    match until {
        Some(until) => timeout_at(until, future).await.ok(),
        None => Some(future.await),
    }
}

fn passed_on(mut response: Response, told: Told, cache: &FmCache) -> Response {
    told.tell(response.headers_mut(), cache.prefix(), None);
    response
}
