//! What is measured, one file each.

mod batch;
mod compile;
mod heap;
mod hit;
mod miss;
mod redis;
mod scale;
mod small;
mod stampede;
mod zipf;

use crate::{report::Row, rounds::Effort};

pub(crate) struct Measurement {
    /// What `--only` takes.
    pub(crate) name: &'static str,
    pub(crate) run: fn(Effort) -> Vec<Row>,
}

const fn measurement(name: &'static str, run: fn(Effort) -> Vec<Row>) -> Measurement {
    Measurement { name, run }
}

pub(crate) const ALL: &[Measurement] = &[
    measurement("hit_u64", hit::of_u64),
    measurement("hit_arc", hit::of_arc),
    measurement("hit_string", hit::of_string),
    measurement("hit_tuple_key", hit::by_tuple),
    measurement("hit_allocations", hit::allocations),
    measurement("zipf_all_fit", zipf::all_fit),
    measurement("zipf_tight", zipf::tight),
    measurement("miss_in_place", miss::in_place),
    measurement("miss_detached", miss::detached),
    measurement("stampede_10k", stampede::of_10k),
    measurement("stampede_failing", stampede::failing),
    measurement("heap_per_entry", heap::per_entry),
    measurement("redis_hit", redis::hit),
    measurement("l1_over_l2_hit", redis::l1_over_l2),
    measurement("retry_ok", small::retry_ok),
    measurement("singleton", small::singleton),
    measurement("lru_hit", small::lru_hit),
    measurement("batch_hit", batch::hit),
    measurement("batch_miss", batch::miss),
    measurement("batch_redis", batch::in_redis),
    measurement("scale_entries", scale::entries),
    measurement("scale_size", scale::sizes),
    measurement("scale_functions", scale::functions),
    measurement("scale_tasks", scale::tasks),
    measurement("compile_200", compile::of_200),
];
