//! Resilience that does not make outages worse: retries within a budget.

mod budget;
#[path = "../support/upstream.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with other tests")]
mod upstream;
