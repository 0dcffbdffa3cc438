//! Tools for the tests of a service, and the simulation that tests this library itself.

mod redis;
mod sim;

pub use self::{
    redis::{Bug, Partition, SimNode, SimRedis},
    sim::{Report, Simulation, Violation},
};
