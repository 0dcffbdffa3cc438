//! The Redis backend of [`memory_core`]: [`FmRedisBackend`].
//!
//! ```no_run
//! use memory_core::{FmCacheManager, FmError, memorize};
//! use memory_redis::FmRedisBackend;
//!
//! #[memorize(expire = 60)]
//! async fn user_name(id: u64) -> Result<String, FmError> {
//!     Ok(format!("user {id}"))
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), FmError> {
//!     // No I/O: a service boots without its Redis, and caches once it is there.
//!     FmCacheManager::init(FmRedisBackend::connect("redis://127.0.0.1:6379")?, "app-cache")?;
//!     println!("{}", user_name(7).await?); // from here, or from any process with the same Redis and prefix
//!     Ok(())
//! }
//! ```
//!
//! # While Redis is away
//!
//! No call fails because of it: a read is a miss, a write is passed over, both are counted. A removal holds in this process at
//! once, is queued, and is made up for before Redis is read again. `.strict()` on a direct call or a companion makes the
//! failure an error. Calls wait for Redis for 120 ms at most, and not at all while it is known to be away; the connection is
//! tried again by itself, at most five times a second.
//!
//! # Features
//!
//! None is on by default. `tls`: `rediss://` through rustls. `cluster` and `sentinel` have no effect yet.
//!
//! # In Redis
//!
//! Entries lie under readable names, such as `app-cache:shop::users::get_user:42`. Beside them lie generations, under
//! `app-cache%gen…`: unique tokens that every invalidation changes. A value carries the generations it was made
//! under; it is stored only if they still hold, and answered only if they do. So a run that was overtaken by an
//! invalidation can't bring an old value back, and `clear()` takes effect at once, however long it takes to reclaim
//! the space.
//!
//! # Limits
//!
//! The generation of a single key is remembered for ten minutes: a run that takes longer is answered to its callers
//! and not stored. A write that reaches Redis more than 250 ms after it was sent is refused there: its caller has long
//! been told that it failed. Under a maxmemory policy that evicts keys, a generation can be evicted early: that of a
//! group takes everything made under it along, that of a single key is no longer there to refuse a run that was
//! overtaken in the meantime.
//!
//! Needs Redis 5 or later; with ACLs, the commands `EVAL`, `EVALSHA`, `SCRIPT LOAD`, `MGET`, `SET`, `UNLINK`, `SCAN`,
//! `PEXPIRE`, `PING` and `TIME`.
//!
//! # Rooms, ground floor first
//!
//! `generation`, `frame`, `names`, `life`: what lies in Redis. `clock`, `real_time`, `pace`: time. `link`: one
//! connection. `scripts`, `scan`, `removal`, `read`, `write`: what is said over it. `topology`, `journal`, `doubt`,
//! `slot`, `supervisor`: which one is in use. `tier`, `backend`: the faces to the engine and to the user.

mod backend;
mod clock;
#[cfg(feature = "cluster")]
mod cluster;
mod doubt;
mod failure;
mod frame;
mod generation;
#[cfg(feature = "cluster")]
mod hash_slot;
mod journal;
#[cfg(feature = "cluster")]
mod keeper;
mod life;
mod link;
mod names;
mod pace;
mod place;
mod read;
mod real_time;
mod recent;
mod removal;
mod scan;
mod scripts;
#[cfg(feature = "cluster")]
mod seeds;
#[cfg(feature = "sentinel")]
mod sentinels;
mod settings;
#[cfg(feature = "cluster")]
mod shards;
mod slot;
mod supervisor;
mod tier;
mod topology;
mod write;

pub use backend::FmRedisBackend;
/// The driver this crate is built on, in the version it knows: for [`FmRedisBackend::from_client`].
pub use redis;

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
