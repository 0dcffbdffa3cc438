//! Resilience that does not make outages worse: retries within a budget, and the policies around a call.

mod adaptive;
mod attributes;
mod breaker;
mod budget;
mod client;
mod hedge;
mod limits;
mod order;
#[path = "../support/storm.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with an example")]
mod simulation;
mod storm;
mod told;
#[path = "../support/upstream.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with other tests")]
mod upstream;
