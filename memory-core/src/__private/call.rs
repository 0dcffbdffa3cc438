//! What the expansion of `#[memorize]` calls. See `memory-macros/src/memorize` for the other side.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    FmCache, FmError,
    cache::{
        Chosen, Exchange, FmOutcome, Hit, Job, Judge, Leading, Limits, Ours, Put, Remove, Renewal, Served, Show, Topic,
        Turn, Write, block_on,
        outcome::{BodyFuture, Face, Fate, Outcome, Share, Split, Verdict},
        start_of, with_current,
    },
    entry::{Entry, Standing},
    error::Kind,
    key::{Key, KeyBuf},
    time::Tick,
};

/// One call of a memorized function, but for its body.
pub struct Call<'a, S: Outcome, X, H> {
    /// The cache that `cache = EXPR` names; else the current one.
    pub cache: Option<&'a FmCache>,
    /// The key, its arguments pushed.
    pub key: &'a KeyBuf,
    /// The shape of the return type.
    pub shape: S,
    /// How values are weighed and encoded.
    pub face: X,
    /// How a failure is shared.
    pub share: H,
    /// How an error of ours becomes what the function returns, where it can.
    pub ours: Option<Ours<S::Return>>,
    /// Skip the lookup (`refresh_if`).
    pub refresh: bool,
    /// How long it waits for its run.
    pub limits: Limits,
    /// The HTTP request that it answers, and how its value is shown there.
    pub(super) exchange: Option<(Exchange, Show<S::Return>)>,
}

impl<S, X, H> Call<'_, S, X, H>
where
    S: Outcome,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
{
    /// How long the call waits for its run: `soft_timeout = ..`, `timeout = ..`. What is no length of time is left out, and
    /// logged once.
    #[must_use]
    pub fn within(mut self, soft: Option<Result<Duration, FmError>>, hard: Option<Result<Duration, FmError>>) -> Self {
        self.limits = Limits { soft: self.length(soft), hard: self.length(hard) };
        self
    }

    /// The call may be the answer to the HTTP request at hand, where its value can be shown to a client.
    #[must_use]
    #[inline]
    pub fn answering(mut self, show: Option<Show<S::Return>>) -> Self {
        let exchange = show.and_then(|show| Exchange::of_this_call().map(|exchange| (exchange, show)));
        if let Some((exchange, _)) = &exchange {
            self.refresh |= exchange.wish().refresh;
        }
        self.exchange = exchange;
        self
    }

    fn length(&self, given: Option<Result<Duration, FmError>>) -> Option<Duration> {
        given?.inspect_err(|error| self.refuse(error)).ok()
    }

    fn refuse(&self, error: &FmError) {
        self.with_cache(|cache| {
            if cache.core().told.first(Topic::Limit, self.key.as_key().number().into()) {
                tracing::error!(key = ?self.key, %error, "the call runs without this timeout");
            }
        });
    }

    /// The answer from memory.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn hit(&self) -> Hit<S::Return> {
        if self.refresh {
            return Hit::Nothing;
        }
        self.with_cache(|cache| match &self.exchange {
            None => cache.core().hit(self.key.as_key(), |stored: &S::Stored| self.shape.value(stored.clone())),
            Some((exchange, show)) => self.hit_shown(cache, exchange, *show),
        })
    }

    /// The answer from memory to an HTTP request.
    fn hit_shown(&self, cache: &FmCache, exchange: &Exchange, show: Show<S::Return>) -> Hit<S::Return> {
        let wish = exchange.wish();
        if wish.bypass {
            return Hit::Nothing;
        }
        let now = Tick::now();
        cache.core().hit_where(
            self.key.as_key(),
            now,
            |entry| wish.takes(entry, now),
            |entry, stored: &S::Stored| {
                let print = entry.print(|| show(self.shape.value(stored.clone())));
                exchange.tell(Served::of_entry(entry, now, print));
                self.shape.value(stored.clone())
            },
        )
    }

    /// The refresh behind an answer from memory, unless there is one already.
    #[cold]
    fn renewal(&self) -> Option<Renewal<S, X, H>>
    where
        S::Return: Send + 'static,
    {
        Arc::new(self.job()?).renewal()
    }

    /// The rest of a call that has found nothing in memory.
    fn missed(&self) -> Missed<Job<S, X, H>> {
        let exchange = self.exchange.as_ref().map(|(exchange, _)| exchange.clone());
        Missed { job: self.job(), refresh: self.refresh, exchange }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn with_cache<R>(&self, see: impl FnOnce(&FmCache) -> R) -> R {
        match self.cache {
            Some(cache) => see(cache),
            None => with_current(see),
        }
    }

    /// The job of a call that missed; `None`: the call can't be cached.
    pub(super) fn job(&self) -> Option<Job<S, X, H>> {
        let cache = self.with_cache(Clone::clone);
        if let Some(failure) = self.key.failure()
            && cache.core().told.first(Topic::Key, self.key.as_key().number().into())
        {
            tracing::error!(
                key = ?self.key,
                failure,
                "an argument can't be part of a key: this call runs uncached; write skip(..) or key = .."
            );
        }
        if self.key.failure().is_some() || cache.core().is_closed() {
            cache.core().count_bypass(self.key.as_key());
            return None;
        }
        let limits = self.limits.or(cache.core().defaults.limits);
        let (key, ours) = (self.key.to_key(), self.ours);
        let exchange = self.exchange.clone();
        let (shape, face, share) = (self.shape, self.face, self.share);
        Some(Job { cache, key, shape, face, share, ours, limits, exchange, gathering: None })
    }
}

/// A call whose body runs in a task of its own.
///
/// As in the other ways to call, `miss` makes what judges the returned value and what starts the body. Only then does the one
/// copy the arguments that it mentions, because only then the other takes them: a hit copies nothing.
///
/// The lookup is done at once, not when the result is first polled: what is awaited after a hit is no more than the value.
#[cfg_attr(not(debug_assertions), inline(always))]
pub fn detached<S, X, H, M, J, B>(
    call: Call<'_, S, X, H>,
    miss: M,
) -> Answered<S::Return, impl Future<Output = S::Return> + use<S, X, H, M, J, B>>
where
    M: FnOnce() -> (J, B),
    S: Outcome,
    S::Return: Send + 'static,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
    J: FnOnce(&S::Return) -> Verdict + Send + 'static,
    B: FnOnce() -> BodyFuture<S::Return>,
{
    match call.hit() {
        Hit::Answer(answer) => Answered::AtOnce(answer),
        Hit::Due(answer) => {
            if let Some(renewal) = call.renewal() {
                let (judge, start) = miss();
                renewal.spawn(Box::new(judge), start());
            }
            Answered::AtOnce(answer)
        }
        Hit::Nothing => Answered::later(missed_detached(call.missed().map(Arc::new), miss)),
    }
}

/// A call that has found nothing in memory, with what it needs from here on.
struct Missed<J> {
    job: Option<J>,
    refresh: bool,
    /// The HTTP request that it answers.
    exchange: Option<Exchange>,
}

impl<J> Missed<J> {
    fn map<K>(self, map: impl FnOnce(J) -> K) -> Missed<K> {
        Missed { job: self.job.map(map), refresh: self.refresh, exchange: self.exchange }
    }
}

/// Runs the body of a call that can't be cached.
async fn uncached<F: Future>(exchange: Option<Exchange>, body: F) -> F::Output {
    let returned = body.await;
    if let Some(exchange) = &exchange {
        exchange.tell(Served::unstored(FmOutcome::Bypassed));
    }
    returned
}

/// The only part of a miss that is compiled for each function.
async fn missed_detached<S, X, H, J, B>(missed: Missed<Arc<Job<S, X, H>>>, miss: impl FnOnce() -> (J, B)) -> S::Return
where
    S: Outcome,
    S::Return: Send + 'static,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
    J: FnOnce(&S::Return) -> Verdict + Send + 'static,
    B: FnOnce() -> BodyFuture<S::Return>,
{
    match missed.turn().await {
        Ok(answer) => answer,
        Err(way) => {
            let (judge, start) = miss();
            way.run(Box::new(judge), start()).await
        }
    }
}

/// How a call runs the body that has to run it.
enum Way<S: Outcome, X, H> {
    /// It can't be cached.
    Uncached(Option<Exchange>),
    /// For everybody who waits.
    Lead { job: Arc<Job<S, X, H>>, deadline: Option<Instant>, leading: Leading },
    /// For itself.
    Bypass(Arc<Job<S, X, H>>),
}

impl<S, X, H> Missed<Arc<Job<S, X, H>>>
where
    S: Outcome,
    S::Return: Send + 'static,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
{
    /// The answer of the run that this call joined; else how it has to run the body.
    async fn turn(self) -> Result<S::Return, Way<S, X, H>> {
        let Self { job, refresh, exchange } = self;
        let Some(job) = job else { return Err(Way::Uncached(exchange)) };
        let deadline = if refresh { None } else { job.soft_deadline() };
        match job.turn_detached(deadline, refresh).await {
            Turn::Answer(answer) => Ok(answer),
            Turn::Lead(leading) => Err(Way::Lead { job, deadline, leading }),
            Turn::Bypass => Err(Way::Bypass(job)),
        }
    }
}

impl<S, X, H> Way<S, X, H>
where
    S: Outcome,
    S::Return: Send + 'static,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
{
    async fn run(self, judge: Judge<S::Return>, body: BodyFuture<S::Return>) -> S::Return {
        match self {
            Self::Uncached(exchange) => Box::pin(uncached(exchange, body)).await,
            Self::Lead { job, deadline, leading } => job.lead_detached(deadline, leading, judge, body).await,
            Self::Bypass(job) => Box::pin(job.bypass(|| body)).await,
        }
    }
}

/// A call whose body runs in the caller's task.
#[cfg_attr(not(debug_assertions), inline(always))]
pub fn in_place<S, X, H, M, J, B, F>(
    call: Call<'_, S, X, H>,
    miss: M,
) -> Answered<S::Return, impl Future<Output = S::Return> + use<S, X, H, M, J, B, F>>
where
    M: FnOnce() -> (J, B),
    S: Outcome,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
    J: FnOnce(&S::Return) -> Verdict,
    B: FnOnce() -> F,
    F: Future<Output = S::Return>,
{
    match call.hit() {
        Hit::Answer(answer) => Answered::AtOnce(answer),
        Hit::Due(answer) => Answered::later(missed_in_place(call.missed(), Some(answer), miss)),
        Hit::Nothing => Answered::later(missed_in_place(call.missed(), None, miss)),
    }
}

async fn missed_in_place<S, X, H, J, B, F>(
    Missed { job, refresh, exchange }: Missed<Job<S, X, H>>,
    due: Option<S::Return>,
    miss: impl FnOnce() -> (J, B),
) -> S::Return
where
    S: Outcome,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
    J: FnOnce(&S::Return) -> Verdict,
    B: FnOnce() -> F,
    F: Future<Output = S::Return>,
{
    let Some(job) = job else { return Box::pin(uncached(exchange, start_of(miss)())).await };
    if job.is_to_bypass() {
        return Box::pin(job.bypass(start_of(miss))).await;
    }
    if let (None, Some(exchange)) = (&due, job.only_if_cached()) {
        return Box::pin(job.answer_if_cached(exchange)).await;
    }
    if let Some(answer) = due {
        return Box::pin(job.renew_here(answer, miss)).await;
    }
    let deadline = if refresh { None } else { job.soft_deadline() };
    match job.next_by(deadline, refresh).await {
        Err(answer) | Ok(Turn::Answer(answer)) => answer,
        Ok(Turn::Lead(leading)) => job.run_here(leading, miss).await,
        Ok(Turn::Bypass) => Box::pin(job.bypass(start_of(miss))).await,
    }
}

/// What a call comes to.
pub enum Answered<R, F> {
    /// The answer, from memory.
    AtOnce(R),
    /// What has to be awaited. Boxed, so that the future of a hit stays small.
    Later(Pin<Box<F>>),
}

impl<R, F> Answered<R, F> {
    #[cold]
    pub(super) fn later(future: F) -> Self {
        Self::Later(Box::pin(future))
    }
}

/// A call of a synchronous function.
pub fn blocking<S, X, H, J, B>(call: Call<'_, S, X, H>, miss: impl FnOnce() -> (J, B)) -> S::Return
where
    S: Outcome,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
    J: FnOnce(&S::Return) -> Verdict,
    B: FnOnce() -> S::Return,
{
    let due = match call.hit() {
        Hit::Answer(answer) => return answer,
        Hit::Due(answer) => Some(answer),
        Hit::Nothing => None,
    };
    let Some(job) = call.job() else { return start_of(miss)() };
    if !is_local(&job.cache, call.key) {
        job.cache.core().count_bypass(call.key.as_key());
        return start_of(miss)();
    }
    let turn = match due {
        Some(answer) => job.renew().map_or(Turn::Answer(answer), Turn::Lead),
        None => block_on(job.next(call.refresh)),
    };
    match turn {
        Turn::Answer(answer) => answer,
        Turn::Lead(leading) => {
            let (judge, start) = miss();
            job.run_blocking(leading, judge, start)
        }
        Turn::Bypass => {
            job.cache.core().count_bypass(call.key.as_key());
            start_of(miss)()
        }
    }
}

/// Whether a synchronous function can use `cache`.
fn is_local(cache: &FmCache, key: &KeyBuf) -> bool {
    let core = cache.core();
    if core.remote.is_none() {
        return true;
    }
    if core.told.first(Topic::Blocking, key.as_key().number().into()) {
        tracing::error!(
            ?key,
            "a synchronous function can only be memorized in memory and runs uncached: make it async, or give it `cache = ..`"
        );
    }
    false
}

/// Runs the body in a task of its own and stores what it returns, whatever is stored already.
pub fn refresh_detached<S, X, H, M, J, B>(
    call: Call<'_, S, X, H>,
    miss: M,
) -> Answered<S::Return, impl Future<Output = S::Return> + use<S, X, H, M, J, B>>
where
    M: FnOnce() -> (J, B),
    S: Outcome,
    S::Return: Send + 'static,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
    J: FnOnce(&S::Return) -> Verdict + Send + 'static,
    B: FnOnce() -> BodyFuture<S::Return>,
{
    detached(Call { refresh: true, ..call }, miss)
}

/// Runs the body in the caller's task and stores what it returns, whatever is stored already.
pub fn refresh_in_place<S, X, H, M, J, B, F>(
    call: Call<'_, S, X, H>,
    miss: M,
) -> Answered<S::Return, impl Future<Output = S::Return> + use<S, X, H, M, J, B, F>>
where
    M: FnOnce() -> (J, B),
    S: Outcome,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
    J: FnOnce(&S::Return) -> Verdict,
    B: FnOnce() -> F,
    F: Future<Output = S::Return>,
{
    in_place(Call { refresh: true, ..call }, miss)
}

/// Runs a synchronous body and stores what it returns, whatever is stored already.
pub fn refresh_blocking<S, X, H, J, B>(call: Call<'_, S, X, H>, miss: impl FnOnce() -> (J, B)) -> S::Return
where
    S: Outcome,
    X: Face<S::Stored>,
    H: Share<S::Failure>,
    J: FnOnce(&S::Return) -> Verdict,
    B: FnOnce() -> S::Return,
{
    blocking(Call { refresh: true, ..call }, miss)
}

/// The cache a companion works on, owned.
fn chosen(cache: Option<&FmCache>) -> FmCache {
    cache.map_or_else(|| with_current(Clone::clone), Clone::clone)
}

/// Removes the entry of a key.
pub fn invalidate(cache: Option<&FmCache>, key: KeyBuf) -> Remove<'static> {
    Remove::key(Chosen::new(cache), key.to_key())
}

/// Removes the entry of a key, from memory.
///
/// # Errors
///
/// None.
pub fn invalidate_blocking(cache: Option<&FmCache>, key: KeyBuf) -> Result<bool, FmError> {
    Ok(chosen(cache).core().remove_local(key.as_key()))
}

/// What is stored under a key, as the function would return it.
///
/// # Errors
///
/// None: a store that fails answers as if nothing were stored.
pub async fn peek<S, X>(cache: Option<&FmCache>, key: KeyBuf, shape: S, face: X) -> Result<Option<S::Return>, FmError>
where
    S: Outcome,
    X: Face<S::Stored>,
{
    if key.failure().is_some() {
        return Ok(None);
    }
    let cache = chosen(cache);
    let key: Key = key.to_key();
    let stored = cache.core().peek(&key, face).await;
    Ok(stored.map(|stored| shape.value(stored)))
}

/// What is stored in memory under a key, as the function would return it.
///
/// # Errors
///
/// None.
pub fn peek_blocking<S: Outcome, X>(
    cache: Option<&FmCache>,
    key: KeyBuf,
    shape: S,
    _: X,
) -> Result<Option<S::Return>, FmError> {
    if key.failure().is_some() {
        return Ok(None);
    }
    let see = |_: &Entry, stored: &S::Stored| stored.clone();
    let stored = chosen(cache).core().look(key.as_key(), Standing::is_fresh, see).value();
    Ok(stored.map(|stored| shape.value(stored)))
}

/// Stores a value as if the function had returned it.
///
/// # Errors
///
/// When awaited: an expiry that is no length of time; an argument that failed to serialise.
pub fn put<S, X>(
    cache: Option<&FmCache>,
    key: KeyBuf,
    shape: S,
    face: X,
    judge: impl FnOnce(&S::Return) -> Verdict,
    value: S::Return,
) -> Put
where
    S: Outcome,
    X: Face<S::Stored>,
{
    // What is left of such a key may be another call's too.
    let failure = key
        .failure()
        .map(|failure| FmError::new(Kind::Config, format!("an argument can't be part of a key: {failure}")));
    let verdict = judge(&value);
    let (cache, key) = (Chosen::new(cache), key.to_key());
    let value = stored_part(shape, value);
    Put::new(move |strict| async move {
        if let Some(failure) = failure {
            return Err(failure);
        }
        let Some(value) = value else { return Ok(()) };
        let cache = cache.resolve();
        let Some(life) = cache.core().life(&verdict)? else { return Ok(()) };
        cache.core().write(vec![Write { key, value, life: Some(life), tags: verdict.tags }], face, strict).await
    })
}

/// What is stored of a value that is given by hand: nothing where it is not for everybody.
fn stored_part<S: Outcome>(shape: S, mut value: S::Return) -> Option<S::Stored> {
    if shape.poll_whole(&mut value, &mut Context::from_waker(Waker::noop())).is_pending() {
        return None;
    }
    if shape.fate(&value) != Fate::Stored {
        return None;
    }
    if let Split::Value(stored) = shape.split(value) { Some(stored) } else { None }
}

/// Stores a value in memory as if the synchronous function had returned it.
///
/// # Errors
///
/// As [`put`].
pub fn put_blocking<S, X>(
    cache: Option<&FmCache>,
    key: KeyBuf,
    shape: S,
    face: X,
    judge: impl FnOnce(&S::Return) -> Verdict,
    value: S::Return,
) -> Result<(), FmError>
where
    S: Outcome,
    X: Face<S::Stored>,
{
    let cache = chosen(cache);
    if is_local(&cache, &key) {
        block_on(put(Some(&cache), key, shape, face, judge, value).into_future())
    } else {
        Ok(())
    }
}

/// The exact text of a key.
pub fn key(cache: Option<&FmCache>, key: KeyBuf) -> FmKey {
    FmKey(key.as_key().render(&chosen(cache).core().prefix))
}

/// A key as it stands in Redis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FmKey(String);

impl FmKey {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for FmKey {
    fn as_ref(&self) -> &str {
        &self.0
    }
}
