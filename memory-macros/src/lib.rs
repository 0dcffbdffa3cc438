//! The attributes of `memory-core`: parse → validate → expand, nothing else.

mod derive;
mod lru;
mod memorize;
mod options;
mod place;
mod plain_fn;
mod resilience;
mod retry;
mod singleton;

use proc_macro::TokenStream;

/// Says which fields of a type are its key, wherever it is an argument of a memorized function.
///
/// Mark them with `#[cache_key]`; they must be `serde::Serialize`. Companions take the value, or its key: the marked
/// field, or the tuple of them. `#[cache_key(crate = path)]` on the type says where `memory_core` is.
#[proc_macro_derive(CacheKey, attributes(cache_key))]
pub fn cache_key(input: TokenStream) -> TokenStream {
    derive::cache_key::derive(input.into()).into()
}

/// Makes the value of a function once, ever: callers get `&'static T`.
///
/// `fn get() -> T` becomes `fn get() -> &'static T`, and `-> Result<T, E>` becomes `-> Result<&'static T, E>`: an `Err` is
/// not kept, the next caller runs the body again. The function may be `async`. It takes no arguments and is not generic;
/// `T` is `Send + Sync + 'static`; a `Result` is spelled `Result`, because an alias can't be rewritten (a compile error
/// says so).
///
/// The body runs once also where 64 threads or tasks race for it: one runs, the others wait. A read after that costs about
/// as much as one of a `OnceLock`.
///
/// In a generic impl the value is one for all instantiations, as that of any `static` is.
///
/// `crate = path` says where `memory_core` is, for facades.
///
/// # Panics
///
/// When the body asks for its own value, directly or through other singletons, also across threads and tasks: such a wait
/// could never end. What a thread or task that the body *starts* waits for is not seen. After a panic of the body the next
/// caller runs it again.
///
/// # Cancel safety
///
/// An async caller that goes away while it runs the body hands over to the next one, which starts the body anew.
///
/// # Examples
///
/// ```
/// # use memory_core::cached_singleton;
/// struct Settings {
///     name: String,
/// }
///
/// #[cached_singleton]
/// fn get_settings() -> Settings {
///     Settings { name: "app".to_owned() }
/// }
///
/// #[cached_singleton]
/// async fn get_limit() -> Result<u32, std::num::ParseIntError> {
///     "64".parse()
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let settings: &'static Settings = get_settings();
/// assert!(std::ptr::eq(settings, get_settings()));
/// let limit: Result<&'static u32, _> = get_limit().await;
/// # assert_eq!((settings.name.as_str(), limit), ("app", Ok(&64)));
/// # }
/// ```
#[proc_macro_attribute]
pub fn cached_singleton(args: TokenStream, item: TokenStream) -> TokenStream {
    singleton::attribute(args.into(), item.into()).into()
}

/// Remembers the last results of a function by its arguments, and counts exactly as Python's `functools.lru_cache` does.
///
/// | argument | meaning |
/// |---|---|
/// | `maxsize = 128` | how many results are kept (the default is 128); any expression, evaluated once; `None`: no bound; `0`: nothing is stored |
/// | `in_impl` | the function is an associated one and says neither `self` nor `Self` |
/// | `crate = path` | where `memory_core` is, for facades |
///
/// All arguments are the key: `Hash + Eq + Clone + Send + 'static`, or borrowed as `&T` (`T: Hash + Eq + ToOwned`),
/// `Option<&T>`, `Cow<'_, T>`. They are looked up as they are and owned on a miss only. The returned value is
/// `Clone + Send + 'static`, and each caller gets a clone. Where it is a `Result`, whatever alias it hides behind, only `Ok`
/// is stored; `E` need not be `Clone`. The function may be `async`, recursive and generic (a store for each instantiation;
/// type parameters are `'static`), but has no `self`.
///
/// A float is no key, because it is not `Eq`: take its bits (`f64::to_bits`). A companion needs a place beside the function,
/// so a method of a trait can't be remembered.
///
/// As in Python, callers that miss together all run the body: `#[memorize]` runs it once for all of them.
///
/// Beside `fn get_config` stands a type of the same name and visibility with `get_config::cache_info()`, a `CacheInfo`, and
/// `get_config::cache_clear()`. A generic function's take its parameters (`parse::cache_info::<u8>()`); an associated
/// function's are `Config::load_cache_info()` and `Config::load_cache_clear()`.
///
/// # Examples
///
/// ```
/// # use memory_core::fm_lru;
/// #[fm_lru(maxsize = 64)]
/// fn shout(word: &str) -> String {
///     word.to_uppercase()
/// }
///
/// assert_eq!(shout("hey") + &shout("hey"), "HEYHEY");
/// let info = shout::cache_info();
/// assert_eq!((info.hits, info.misses, info.maxsize, info.currsize), (1, 1, Some(64), 1));
/// shout::cache_clear();
/// assert_eq!(shout::cache_info().currsize, 0);
/// ```
#[proc_macro_attribute]
pub fn fm_lru(args: TokenStream, item: TokenStream) -> TokenStream {
    lru::attribute(args.into(), item.into()).into()
}

/// Caches what a function returns, by its arguments.
///
/// The function keeps its exact signature. Calls with equal arguments are answered from the cache; those that miss together
/// share one run of the body. Of a `Result` only `Ok` is stored, of an `Option` only `Some`, whatever alias they hide
/// behind; `Ok(None)` counts as `None`.
///
/// | argument | meaning |
/// |---|---|
/// | `expire = 60 \| 0.5 \| EXPR \| \|v\| EXPR` | time to live, in seconds or as a `Duration`, also from the returned value; evaluated on a miss only; absent: the manager's default |
/// | `namespace = "reports"` | a group for `clear_namespace` |
/// | `key = EXPR` | replaces all arguments in the key: any `Serialize` expression over them, such as `key = (id, lang)` |
/// | `skip(a, b, self)` | arguments that are not in the key |
/// | `batch = ids` | the ids of a list have an entry each, and the body runs for the absent ones only: see [below](#batches) |
/// | `cache_if = \|v\| EXPR` | stores only when it says so; takes the whole returned value by reference |
/// | `cache_none`, `cache_err` | store `None`, `Err` too; `cache_none = 5` with an expiry of its own |
/// | `memory_only` | the value need only be `Clone + Send + Sync + 'static`, and never leaves the process |
/// | `version = 2` | part of the key: raise it when the meaning of the value changes |
/// | `name = "users.get"` | the function's part of the key, where that must outlive renames and compilers |
/// | `time_to_idle = 30` | expires this long after the last read |
/// | `jitter = 0.1` | shortens each expiry by up to 10 %, at random |
/// | `tags = [EXPR, ..] \| \|v\| ..` | what `invalidate_tag` knows the value by: `Display` expressions over the arguments, or from the returned value |
/// | `stale_while_revalidate = 30` | for 30 s after the expiry, the old value is answered at once and refreshed behind the answer |
/// | `stale_if_error = 3600` | for an hour after the expiry, the old value is answered when the body fails; then it is asked again at most every 5 s (the manager's `stale_throttle`) |
/// | `stale_on = is_retryable_error \| \|e\| ..` | narrows that to some errors |
/// | `stale_on_none` | widens it to `None` |
/// | `soft_timeout = 0.2` | an old value is at hand and the body takes longer: the old value is answered, the body goes on |
/// | `timeout = 2` | a body that takes longer is aborted, and every waiter told: needs a `Result` whose error is `From<FmError>` |
/// | `refresh_ahead = 0.8` | the first call past 80 % of the life refreshes behind its answer |
/// | `refresh_if = EXPR` | over the arguments: skip the lookup, run, store |
/// | `cache = EXPR` | an `FmCache` other than the global one |
/// | `in_place` | runs the body in the caller's task, where it need not be `Send + 'static` |
/// | `companions = NAME \| false` | the companions' name, where the function's own is taken, or none |
/// | `in_impl` | the function is an associated one and says neither `self` nor `Self` |
/// | `crate = path` | where `memory_core` is, for facades |
///
/// # The key
///
/// Every argument is part of the key, as are type and const parameters and `Self`; an argument that can't be is a compile
/// error. An argument is `Serialize`, `CacheKey` or one of axum's `Path`, `Query`, `Json`, `Form` and `Extension` around such
/// a type. An argument spelled `State<..>` and proved by type to be axum's is never part of the key.
/// A `HashSet` argument of `Ord` elements is sorted first; one inside another type is keyed in the order in which it
/// iterates, so that equal ones may miss: prefer `BTreeSet` there.
///
/// In `key`, `refresh_if` and the like the arguments are used by value without being moved. What is asked about the returned
/// value (`expire`, `cache_if` and their like) is asked when the body has taken the arguments: of those that it mentions it has
/// clones, made on a miss.
///
/// # Old values
///
/// A value past its expiry is kept for as long as `stale_while_revalidate` or `stale_if_error` says (with `soft_timeout` alone,
/// for as long again as it was fresh), and answered only as they say. A value that was invalidated is never answered.
///
/// A refresh behind an answer needs a task of its own. Where the body runs in the caller's task, and in a function that is not
/// async, one caller refreshes and waits, while the others have the old value; `soft_timeout` is obeyed by those who wait for
/// another caller's run, and a function that is not async takes no timeouts.
///
/// The timeouts need a tokio runtime with time enabled; without a runtime there is no limit.
///
/// # Companions
///
/// Beside `fn get_user` stands a type of the same name and visibility: `get_user::invalidate(42)`, `peek`, `put` and `key`
/// take the arguments that are in the key; `refresh` and `uncached` run the body and take them all;
/// `get_user::on(&cache)` has the same on another cache. Extractors may be given as their inside, and a `CacheKey` by its key.
/// A method that has a visibility has companions as associated functions, `get_user_invalidate` and so on; they take `&self`
/// where it is in the key, or where `cache = ..` mentions it. Those of a plain `fn` are not async.
///
/// Two companions have to see what an expression mentions: where `cache = ..` depends on arguments, only
/// `on(&cache)` names the cache of `invalidate`, `peek`, `put` and `key`; where `expire` or `cache_if` mention an argument
/// that is not in the key, there is no `put`.
///
/// # Batches
///
/// With `batch = ids` a function takes a list of ids (`Vec`, `&[_]`, `HashSet`, `BTreeSet` and the like) and returns a map from
/// ids to values (`HashMap`, `BTreeMap`), perhaps in a `Result` or in axum's `Json`. Every id has an entry of its own; the other
/// arguments are part of its key. The body is called with the ids that nobody has, each once, in the order of the call, and not
/// at all where there are none. Ids for which another call runs already are waited for. Redis is asked for all of them in one
/// `MGET`, and given what is new in one pipeline.
///
/// Ids that do not come back count as `None`: they are asked for again, or, with `cache_none`, remembered as absent. The body
/// fails as a whole: every caller that waits for one of its ids has the error, and where old values stand in for errors
/// (`stale_if_error`) they have to for each of its ids, or the call that ran it fails.
///
/// In `tags` and `refresh_if` the name of the list is one id; `expire`, `tags` and `cache_if` take the value of one id. So do the
/// companions: `users::peek(7)` is the value, `users::put(7, user)` takes it (with `cache_none` both speak of an `Option`), and
/// `users::invalidate_many([7, 9])` counts what was there.
///
/// The body may run more than once in a call, when it takes over ids whose run was given up. Therefore its other arguments are
/// `Clone` or references.
///
/// # How it runs
///
/// Arguments that are owned, or can be (`&T` through `ToOwned`, `Option<&T>`, `Cow<'_, T>`; copied on a miss only): the body
/// runs in a task of its own, so that the caller that started it may go away and the others still get the value. `&self`,
/// `&dyn`, any other visible lifetime and `in_place`: in the caller's task, and when that one goes away the next waiter takes
/// over. `&mut` is refused. `#[default_retry]`, `#[retry]` and `#[instrument]` work inside of it, whichever is written first.
///
/// A run that fails answers all its waiters: with a clone of the error where it is `Clone`, else with an `FmError` around it
/// where it is `From<FmError>`, else they run the body themselves.
///
/// # Cancel safety
///
/// A call may be dropped at any time; see above for what becomes of its run.
///
/// # Examples
///
/// ```
/// # use memory_core::memorize;
/// #[memorize(expire = 60)]
/// async fn get_user(id: u64) -> Result<String, std::io::Error> {
///     Ok(format!("user {id}"))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// assert_eq!(get_user(42).await?, "user 42");
/// assert!(get_user::peek(42).await?.is_some());
/// assert!(get_user::invalidate(42).await?);
/// # Ok(())
/// # }
/// ```
///
/// A batch:
///
/// ```
/// # use std::collections::HashMap;
/// # use memory_core::memorize;
/// #[memorize(expire = 60, batch = ids)]
/// async fn users(ids: Vec<u64>) -> Result<HashMap<u64, String>, std::io::Error> {
///     Ok(ids.into_iter().map(|id| (id, format!("user {id}"))).collect())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// assert_eq!(users(vec![1, 2]).await?.len(), 2);
/// assert_eq!(users(vec![2, 3]).await?[&3], "user 3"); // asks for 3 only
/// assert_eq!(users::invalidate_many([1, 2, 4]).await?, 2);
/// # Ok(())
/// # }
/// ```
#[proc_macro_attribute]
pub fn memorize(args: TokenStream, item: TokenStream) -> TokenStream {
    memorize::memorize(args.into(), item.into()).into()
}

/// Calls a function again while it fails: 3 calls in all, 2 s to 10 s apart, for network errors and HTTP 5xx.
///
/// See [`macro@retry`] for what the two attributes share. Arguments, all run-time expressions and all optional:
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `attempts = 5` | how many calls in all | 3 |
/// | `wait_min = 1` | the shortest wait, in seconds or as a `Duration` | 2 |
/// | `wait_max = 30` | the longest wait | 10 |
/// | `multiplier = 1` | the wait after call `k` is `multiplier · 2^(k-1)`, between the two | 1 |
/// | `retry_on = predicate` | which errors to retry: a function of the error, or a block | by the error's type |
///
/// `attempt_timeout`, `deadline`, `before_sleep`, `jitter`, `seed`, `delay`, `max_delay`, `budget`, `reraise` and `crate` as there.
#[proc_macro_attribute]
pub fn default_retry(args: TokenStream, item: TokenStream) -> TokenStream {
    retry::expand(retry::Attribute::DefaultRetry, args.into(), item.into()).into()
}

/// Calls a function again while it fails, by a policy made of blocks.
///
/// For functions and methods that return a `Result`, `async` or not (then the waits block the thread), also under
/// `#[async_trait]`. The signature stays as it is. Arguments taken by value are cloned for each call, so they must be
/// `Clone`; `&mut` ones, `&self` and `&mut self` are borrowed again. `#[memorize]` stays outside, wherever it stands.
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `stop = stop_after_retries(5)` | when to give up | 3 calls |
/// | `wait = exponential_backoff(min = 2, max = 30)` | how long to wait | no wait |
/// | `retry = retry_on_error(predicate)` | which outcomes to retry | by the error's type |
/// | `reraise = false` | end with a `RetryError` when exhausted (`E: From<RetryError>`) | `true` |
/// | `attempt_timeout = 2` | end a single call that takes longer (`E: From<FmError>`), and retry it | none |
/// | `deadline = 30` | end everything after this much time; where `E: From<FmError>` the call under way too | none |
/// | `before_sleep = hook` | called with the attempt's number, its error and the wait | none |
/// | `jitter = "full"` | spread the waits: `"none"`, `"full"` or `"decorrelated"` | `"none"` |
/// | `seed = 7` | the same spread for every call, for tests | different in every call |
/// | `delay = \|error\| ..` | how long an error asks to wait (`Option<Duration>`), instead of `wait` | `Retry-After`, where the error has one |
/// | `max_delay = 300` | a longer delay is not waited for: the error comes at once | 300 s |
/// | `budget = &BUDGET` | what the retries are paid from | a `RetryBudget` of the function's own |
/// | `crate = path` | where `memory_core` is | `::memory_core` |
///
/// The budget lets 20 % of the recent calls be repeated, and 100 more. Inside of a retry that repeats it, a retry that has given
/// up before makes one call for each attempt of the outer one, and both budgets pay: attempts add up, they do not multiply.
///
/// Settings of blocks are written as keyword arguments; outside of attributes they are methods.
#[proc_macro_attribute]
pub fn retry(args: TokenStream, item: TokenStream) -> TokenStream {
    retry::expand(retry::Attribute::Retry, args.into(), item.into()).into()
}

/// Lets an error type decide which of its values are worth a retry.
///
/// A variant that wraps an error, by `#[error(transparent)]`, `#[from]`, `#[source]` or a field named `source`, is as
/// retryable as that error; so is a struct. Other variants are not, unless their `source()` is. `#[retryable]` and
/// `#[retryable(false)]` on a variant or the type decide by themselves. Another path to `memory_core` is given by
/// `#[retryable(crate = path)]` on the type.
#[proc_macro_derive(Retryable, attributes(retryable))]
pub fn derive_retryable(item: TokenStream) -> TokenStream {
    derive::retryable::expand(item.into()).into()
}

/// Refuses calls of a function that fails too often, so that what it calls can recover and callers need not wait for it.
///
/// See `CircuitBreaker` for how it judges. The function, `async` or not, returns a `Result` whose error is `From<FmError>`; its
/// signature stays as it is. All settings are run-time expressions that mention no argument, and optional:
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `failure_rate = 0.5` | it opens when this share of the recent calls fails | 0.5 |
/// | `slow_call = 2` | from how long on a call is slow | none is |
/// | `slow_rate = 0.8` | it opens when this share of them is slow | 1 |
/// | `window_calls = 100` | the last so many calls are recent, or | 100 |
/// | `window_time = 30` | the calls of so many seconds | |
/// | `minimum_calls = 20` | with fewer calls nothing is judged | 20 |
/// | `open_for = 30` | after this time it lets probes through | 30 s |
/// | `probes = 3` | so many decide whether it closes | 3 |
/// | `failure_on = predicate` | which errors are failures | all but HTTP 4xx (408 and 429 are) |
/// | `with = &BREAKER` | one that several functions share, instead of settings | one of the function's own |
/// | `crate = path` | where `memory_core` is | `::memory_core` |
///
/// # Order
///
/// However attributes are stacked, they run in this order, outermost first: fallback → memorize → timeout → retry → hedge → circuit
/// breaker → rate limit → bulkhead → timeout of the attempt → body. So an old value that `#[memorize(stale_if_error = ..)]` keeps is
/// answered while the breaker is open, and the breaker sees every attempt of a retry. What the rate limit or the bulkhead refuses is no
/// outcome to it. A refusal is not retried.
#[proc_macro_attribute]
pub fn circuit_breaker(args: TokenStream, item: TokenStream) -> TokenStream {
    resilience::attribute(resilience::Policy::CircuitBreaker, args.into(), item.into()).into()
}

/// Lets so many calls of a function through in a time; others wait for their turn, or are refused.
///
/// See `RateLimiter`; requirements and order as in [`macro@circuit_breaker`].
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `rate = 100` | so many calls | has to be given |
/// | `per = 1` | in this time, in seconds or as a `Duration` | 1 s |
/// | `burst = 20` | so many at once after a pause | the rate |
/// | `max_wait = 0.5` | how long a call waits for its turn (a function that is not async blocks) | not at all |
/// | `with = &LIMITER` | one that several functions share, instead of settings | one of the function's own |
/// | `crate = path` | where `memory_core` is | `::memory_core` |
#[proc_macro_attribute]
pub fn rate_limit(args: TokenStream, item: TokenStream) -> TokenStream {
    resilience::attribute(resilience::Policy::RateLimit, args.into(), item.into()).into()
}

/// Lets so many calls of a function through at a time; others wait in a queue, or are refused.
///
/// See `Bulkhead`; requirements and order as in [`macro@circuit_breaker`].
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `max_concurrent = 10` | so many at a time | has to be given |
/// | `min_concurrent = 2` | so many at least, and up to `max_concurrent` as the upstream can take them | always `max_concurrent` |
/// | `max_queued = 20` | so many may wait (not where the function is not async) | none |
/// | `max_wait = 1` | for so long | as long as it takes |
/// | `with = &BULKHEAD` | one that several functions share, instead of settings | one of the function's own |
/// | `crate = path` | where `memory_core` is | `::memory_core` |
#[proc_macro_attribute]
pub fn bulkhead(args: TokenStream, item: TokenStream) -> TokenStream {
    resilience::attribute(resilience::Policy::Bulkhead, args.into(), item.into()).into()
}

/// Ends a call of an async function that takes longer: `#[timeout(30)]` all of it, retries too, `#[timeout(attempt = 2)]` each attempt,
/// `#[timeout(30, attempt = 2)]` both.
///
/// In seconds or as a `Duration`, evaluated once: it mentions no argument. The call ends with an error of
/// which `FmError::is_timeout` says `true`, and its future is dropped. Requirements and order as in [`macro@circuit_breaker`].
#[proc_macro_attribute]
pub fn timeout(args: TokenStream, item: TokenStream) -> TokenStream {
    resilience::attribute(resilience::Policy::Timeout, args.into(), item.into()).into()
}

/// Makes another call of an async function where one takes long; the first answer counts, the others are dropped.
///
/// See `Hedge`; requirements and order as in [`macro@circuit_breaker`]. Arguments taken by value are cloned for each call, and `&mut`
/// ones can't be: they are a compile error. Each call is guarded for itself, and the further ones are paid from a budget.
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `after = 0.1` | after this time, in seconds or as a `Duration`, or | |
/// | `quantile = 0.95` | after the time in which this share of the recent calls ended: one of the two is needed | |
/// | `max_hedges = 1` | so many calls beside the first one | 1 |
/// | `budget = &BUDGET` | what they are paid from | a `RetryBudget` of the function's own |
/// | `with = &HEDGE` | one that several functions share, instead of settings | one of the function's own |
/// | `crate = path` | where `memory_core` is | `::memory_core` |
#[proc_macro_attribute]
pub fn hedge(args: TokenStream, item: TokenStream) -> TokenStream {
    resilience::attribute(resilience::Policy::Hedge, args.into(), item.into()).into()
}

/// Answers something else when a function fails: a value, or what a closure makes of the error.
///
/// `#[fallback(Vec::new())]` answers `Ok` of the value; `#[fallback(|error| ..)]` what the closure returns, which may be an `Err`
/// again; it may be `async`. `on = predicate` narrows it to some errors. The outermost of all attributes, so that nothing it answers
/// is cached; order as in [`macro@circuit_breaker`]. Of the error type nothing is required.
#[proc_macro_attribute]
pub fn fallback(args: TokenStream, item: TokenStream) -> TokenStream {
    resilience::attribute(resilience::Policy::Fallback, args.into(), item.into()).into()
}

/// Several policies in one attribute: `#[resilient(timeout(30), retry(..), circuit_breaker(..))]` is the same as the attributes of these
/// names stacked, in whatever order.
///
/// It takes `fallback`, `memorize`, `timeout`, `retry`, `default_retry`, `hedge`, `circuit_breaker`, `rate_limit` and `bulkhead`, each with its
/// arguments in parentheses, and `crate = path`, which goes for all of them. The order in which they run: see
/// [`macro@circuit_breaker`].
#[proc_macro_attribute]
pub fn resilient(args: TokenStream, item: TokenStream) -> TokenStream {
    resilience::resilient(args.into(), &item.into()).into()
}
