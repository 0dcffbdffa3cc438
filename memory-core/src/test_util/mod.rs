//! Tools for the tests of a service, and the simulation that tests this library itself.
//!
//! | to … | use |
//! |---|---|
//! | let an hour pass in no time | [`pause`], [`advance`]: every expiry, backoff and deadline moves with the clock |
//! | see that a service does not depend on its cache | [`ChaosBackend`], with the counters of its [`ChaosHandle`] |
//! | have several processes share a store, without a Redis | [`SimRedis`], with a [`SimNode`] for each |
//! | break the way to it: partitions, delays, crashes, clocks | the methods of [`SimNode`] |
//! | look for a broken promise in thousands of worlds | [`Simulation`] |
//!
//! Give each test a cache of its own ([`FmCache::scope`](crate::FmCache::scope)), and look at
//! [`FmCache::stats`](crate::FmCache::stats) and [`FmCache::observe`](crate::FmCache::observe) for what it did.
//!
//! # The promise
//!
//! A *process* is one cache, with all its clones. An *invalidation* is a removal of a key, of a namespace, of a tag or of
//! everything; a write by hand is one of its key, for every value but its own. A run of a body *begins* when its body does.
//! An invalidation *reaches* the store when the store confirms it; else the store has *missed* it, and it is queued.
//!
//! Let an invalidation begin, and return, and let a value be covered by it whose run began before the invalidation did (or
//! which was set by hand by a call that had returned by then). It *holds* from the moment it returns, if it reached the store;
//! if the store missed it, from the moment it has been replayed. Then that value is not the answer
//!
//! 1. of a call in the same process that begins after the invalidation has returned, whether the store missed it or not;
//! 2. of a call in any process that begins to read the store after the invalidation holds;
//! 3. of a call in any process that begins more than 100 ms after the invalidation holds, if that process could hear what others
//!    change all the while;
//! 4. of a call in any process that begins after the invalidation holds and that process has begun to listen anew;
//! 5. of a call in any process that finds a copy in memory and begins more than
//!    [`l1_trust`](crate::FmCacheBuilder::l1_trust) after the invalidation holds, whatever can be heard.
//!
//! What is left open: a process that hears nothing (it has no copies in memory, or its subscription is broken or was not there
//! yet) does not know that a run under way there is outdated. Calls that join this run, until its value is stored, get its value, as its first caller does.
//!
//! Besides:
//!
//! 6. A process trusts the store again only after it has replayed what the store missed: 1 holds across an outage.
//! 7. With `.strict()`, an invalidation is an `Err` with `is_backend()` exactly if the store missed it. Without, it is `Ok`.
//! 8. No value is answered past its expiry and the time for which it may be answered stale, but for the error of the clocks.
//! 9. Every call ends, and none that is not strict fails because of the cache.
//!
//! # What it rests on
//!
//! - **A process that crashes forgets its queue.** An invalidation that the store missed and that was not replayed is lost with the
//!   process: others may answer what it covers until that expires, or something else invalidates it. Who cannot accept that asks
//!   for `.strict()`, and does it again when it fails.
//! - **The store forgets nothing that it confirmed**, but everything at once (a restart without persistence, which is simulated).
//!   A failover to a replica that had not heard of an invalidation, and an eviction of what the store remembers of removals, undo
//!   it: again, entries live until they expire.
//! - **Clocks are off by a bounded time**: a process asks the store for its time with every heartbeat. Expiry is as exact as that.
//! - **A write that nobody waits for any more is refused 250 ms after it was sent.** Until then, a write by hand whose reply was lost,
//!   or whose caller went away, may still take effect, for other processes as if it had been made then. A process does not trust the
//!   store before that time is over and the key has been removed. (What runs write carries its generation: it never comes late.)
//! - **A run that takes longer than removals are remembered is not stored.** (Ten minutes in Redis, four seconds in [`SimRedis`].)
//!
//! # The simulation
//!
//! [`Simulation::run`] plays one world in a thread of its own, on a paused clock: every decision comes from the seed, so that
//! a seed is one history, to the last event. The number of keys and clients, how quick bodies and networks are, and how much goes
//! wrong, differ from seed to seed. A checker holds the history against the nine points above. It is this library's own engine that
//! runs, on a simulated store and network.
//!
//! A [`Violation`] prints its seed and everything that happened to the key. In this repository,
//!
//! ```text
//! FM_SIM_SEED=123 cargo test -p memory-core --features test-util --test simulation -- replay --nocapture
//! FM_SIM_SEEDS=10000 cargo test --release -p memory-core --features test-util --test simulation
//! ```
//!
//! show one world, and look into ten thousand. That a broken promise would be found is tested with three [`Bug`]s, planted on
//! purpose.

mod chaos;
mod redis;
mod sim;

pub use tokio::time::{advance, pause, resume};

pub use self::{
    chaos::{ChaosBackend, ChaosCounts, ChaosHandle},
    redis::{Bug, Partition, SimNode, SimRedis},
    sim::{Report, Simulation, Violation},
};
