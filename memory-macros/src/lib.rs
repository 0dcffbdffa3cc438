//! The attributes of `memory-core`: parse → validate → expand, nothing else.

mod derive;
mod options;
mod retry;

use proc_macro::TokenStream;

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
/// | `crate = path` | where `memory_core` is | `::memory_core` |
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
