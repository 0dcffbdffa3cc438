//! Policies that keep an outage from growing: for functions, for `resilient()` and for the HTTP client.
//!
//! The order in which they apply is fixed, outermost first: fallback, total timeout, retry, hedge, and then the guards of one
//! attempt: circuit breaker, rate limit, bulkhead, attempt timeout, chaos. The guards are one value
//! ([`Guards`]), so that a breaker never takes the refusal of the policies inside of it for an answer of the upstream.

mod breaker;
mod bulkhead;
mod chaos;
mod config;
mod guards;
mod hedge;
mod judge;
mod limiter;
mod resilient;

pub use breaker::{CircuitBreaker, CircuitBreakerBuilder, CircuitState};
pub use bulkhead::{Bulkhead, BulkheadBuilder, BulkheadRoom};
pub use chaos::{Chaos, ChaosBuilder};
pub(crate) use guards::Guards;
pub use hedge::{Hedge, HedgeBuilder};
#[cfg(feature = "client")]
pub(crate) use judge::is_failing;
pub(crate) use judge::is_failure;
pub use limiter::{RateLimiter, RateLimiterBuilder};
pub(crate) use resilient::within_total;
pub use resilient::{Resilient, resilient};
