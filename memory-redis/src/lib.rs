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
//! failure an error. Calls wait for Redis for 120 ms at most, and not at all while it is known to be away, or known to take
//! longer than that; the connection is tried again by itself, at most five times a second.
//!
//! # Features
//!
//! None is on by default, and each works alone.
//!
//! - `tls`: `rediss://` through rustls.
//! - `sentinel`: `FmRedisBackend::sentinel`, for the master that Redis Sentinel names.
//! - `cluster`: `FmRedisBackend::cluster`, for entries that are spread over the masters of a Redis Cluster.
//!
//! # Failover
//!
//! With Sentinel, all sentinels are asked every 500 ms who the master is, and the one that has seen the latest failover
//! is believed. A master that was replaced is left at once, although it may still answer and even confirm writes that
//! nobody will ever see.
//!
//! In a Cluster, each master has a connection of its own, watched and replaced by itself. While one is away, calls for its
//! keys run their bodies, and those for the keys of others go on as before, as far as the cluster itself serves them: by
//! default (`cluster-require-full-coverage yes`) it serves nothing from the moment it gives a master up until a replica has
//! taken over; and what every read needs, the clock of invalidations, is on one of the masters. Slots that move to another
//! master are followed; while one is on its way, its entries may be misses.
//!
//! Redis replicates asynchronously: a removal that a master has confirmed is lost when it fails before its replica has
//! heard of it. So each process repeats its removals of the last half minute, and what it has set by hand since, to every
//! server that it begins to use, before it reads from it. Until then another process may see the old value on the new
//! master.
//!
//! # In Redis
//!
//! | name | what |
//! |---|---|
//! | `app-cache:shop::users::get_user:42` | an entry, under a readable name |
//! | `app-cache%gen:{app-cache:…}` | its generation, where it was removed or set by hand: for ten minutes |
//! | `app-cache%lease:{app-cache:…}` | the process that refreshes it, while it does |
//! | `{app-cache%gen}` | the clock of invalidations: it counts those of all groups |
//! | `{app-cache%gen}*`, `{app-cache%gen}/reports`, `{app-cache%gen}#user:42` | when everything, a namespace, a tag was invalidated last |
//!
//! A value carries what the clock showed when its run began, and its tags. It is answered only if none of its groups
//! was invalidated later. So a run that was overtaken by an invalidation can't bring an old value back; `clear()`
//! takes effect at once, however long it takes to reclaim the space; and invalidating a tag costs one write, however many
//! entries have it. Reading costs one round trip, and one more where what is found has tags. A tag is remembered for a
//! day, or for as long as its longest-lived entry.
//!
//! # Between processes
//!
//! Each store, removal and invalidation is published on the channel `app-cache%bus` by the script that makes it. A process
//! that keeps copies in memory hears it there, over a connection of its own (in a cluster, one to each master), typically within a millisecond. It
//! publishes a heartbeat to itself (`app-cache%bus:…`) every 500 ms: where that does not arrive, copies are no longer
//! trusted, and the connection is made anew. What is changed past this crate is not heard of: `FLUSHALL`, `DEL`,
//! eviction.
//!
//! # Limits
//!
//! The generation of a single key is remembered for ten minutes: a run that takes longer is answered to its callers
//! and not stored. A write that reaches Redis more than 250 ms after it was sent is refused there: its caller has long
//! been told that it failed. Under a maxmemory policy that evicts keys, these can be evicted early: the clock takes
//! everything along; a group what was made before the last invalidation of any group; the generation of a single key is
//! no longer there to refuse a run that was overtaken in the meantime. A value that is the first one with a new tag is
//! not stored when any group was invalidated during its run: it can't be told whether the tag was. An entry has at most
//! 255 tags of 64 KiB in all. The clocks of the masters of a cluster must agree within 100 ms or so.
//!
//! Needs Redis 5 or later. With ACLs:
//!
//! ```text
//! ~app-cache:* ~app-cache%* ~{app-cache%gen}* &app-cache%bus* +eval +evalsha +script|load +mget +set +unlink +scan
//! +pexpire +pttl +ping +time +publish +subscribe
//! ```
//!
//! With a database number also `+select`; with Sentinel also `+role`, and for the sentinels `+sentinel|master
//! +sentinel|get-master-addr-by-name`; with Cluster also `+cluster|slots +cluster|info +asking`.
//!
//! Without the right to the channel, all works except that processes do not hear of each other's changes.
//!
//! # Rooms, ground floor first
//!
//! `generation`, `moment`, `frame`, `names`, `life`, `message`: what lies in Redis, and what is said about it. `clock`,
//! `real_time`, `pace`: time. `link`: one connection; `cluster`, with `shards` and `hash_slot`: several, used as one.
//! `scripts` (and `lua/`), `scan`, `groups`, `removal`, `read`, `write`: what is said over it. `place`, `topology`,
//! `sentinels`, `seeds`: where Redis is. `journal`, `recent`, `doubt`, `slot`, `supervisor`, `keeper`: which connection is
//! in use. `bus`: what others change. `tier`, `backend`: the faces to the engine and to the user.

mod backend;
mod bus;
mod clock;
#[cfg(feature = "cluster")]
mod cluster;
mod doubt;
mod failure;
mod frame;
mod generation;
mod groups;
#[cfg(feature = "cluster")]
mod hash_slot;
mod journal;
#[cfg(feature = "cluster")]
mod keeper;
mod life;
mod link;
mod message;
mod moment;
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
