//! Tools for the tests of a service, and the simulation that tests this library itself.

mod chaos;
mod redis;
mod sim;

pub use self::{
    chaos::{ChaosBackend, ChaosCounts, ChaosHandle},
    redis::{Bug, Partition, SimNode, SimRedis},
    sim::{Report, Simulation, Violation},
};
