//! What a hit costs against the number of entries, the size of the value, the number of functions and of tasks.

use std::{cell::Cell, future::Future, hint::black_box, pin::Pin, rc::Rc, sync::Arc};

use memory_core::memorize;
use quick_cache::sync::Cache as QuickCache;

use crate::{
    clock::Deadline,
    report::Row,
    rounds::{Contender, Effort, OURS, take_turns},
    support::{init, runtime},
};

const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);

/// So that nobody evicts.
fn room(entries: u64) -> usize {
    entries as usize * 2
}

/// Keys below a bound, in no order.
#[derive(Clone)]
struct Keys {
    bound: u64,
    state: u64,
}

impl Keys {
    fn below(bound: u64) -> Self {
        Self { bound, state: 0x9E37_79B9_7F4A_7C15 }
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        ((u128::from(self.state) * u128::from(self.bound)) >> 64) as u64
    }
}

#[memorize(expire = 3600, in_place)]
async fn doubled(number: u64) -> u64 {
    number * 2
}

/// Random keys of 10³ to 10⁷ entries, beside quick_cache with a deadline: both miss the processor's caches more and more.
pub(crate) fn entries(effort: Effort) -> Vec<Row> {
    let steps: &[u32] = if effort.is_quick { &[3, 4] } else { &[3, 4, 5, 6, 7] };
    let most = 10_u64.pow(steps[steps.len() - 1]);
    init(room(most));
    let quick: &QuickCache<u64, (u64, Deadline)> = Box::leak(Box::new(QuickCache::new(room(most))));
    let rows = steps.iter().map(|step| {
        let entries = 10_u64.pow(*step);
        runtime().block_on(async {
            for key in 0..entries {
                black_box(doubled(key).await);
                quick.insert(key, (key * 2, Deadline::after(HOUR)));
            }
        });
        let contenders = vec![
            random(OURS, entries, doubled),
            random("by_hand", entries, move |key| async move {
                quick.get(&key).filter(|(_, deadline)| deadline.is_ahead()).map_or(0, |(value, _)| value)
            }),
        ];
        row(&format!("scale_entries_1e{step}"), "a hit among so many entries", contenders, effort.of_one_thread())
    });
    rows.collect()
}

fn random<F: Future>(name: &'static str, entries: u64, call: impl Fn(u64) -> F + 'static) -> Contender {
    let (runtime, mut keys) = (runtime(), Keys::below(entries));
    Contender::new(name, move |times| {
        runtime.block_on(async {
            for _ in 0..times {
                black_box(call(keys.next()).await);
            }
        });
    })
}

#[memorize(expire = 3600, memory_only)]
async fn shared(size: usize) -> Arc<[u8]> {
    vec![7; size].into()
}

/// Values of 8 B to 1 MiB that are shared, as the large ones of a service should be.
pub(crate) fn sizes(effort: Effort) -> Vec<Row> {
    init(100);
    let row = |(name, size): (&str, usize)| {
        let runtime = runtime();
        let hit = Contender::new(OURS, move |times| {
            runtime.block_on(async {
                for _ in 0..times {
                    black_box(shared(black_box(size)).await);
                }
            });
        });
        row(&format!("scale_size_{name}"), "a hit of an Arc<[u8]> of this size", vec![hit], effort.of_one_thread())
    };
    [("8B", 8), ("1KiB", 1 << 10), ("32KiB", 1 << 15), ("1MiB", 1 << 20)].into_iter().map(row).collect()
}

type Function = fn(u64) -> Pin<Box<dyn Future<Output = u64>>>;

/// A hundred functions, each with a number of its own. (A thousand take a quarter of an hour to build.)
macro_rules! functions {
    ($($ten:ident)*) => {
        $( mod $ten { functions! { @ones f0 f1 f2 f3 f4 f5 f6 f7 f8 f9 } } )*
        fn all() -> Vec<Function> {
            let mut all = Vec::new();
            $( $ten::all(&mut all); )*
            all
        }
    };
    (@ones $($one:ident)*) => {
        $(
            #[memory_core::memorize(expire = 3600, in_place, companions = false)]
            async fn $one(number: u64) -> u64 { number * 2 }
        )*
        pub(super) fn all(all: &mut Vec<super::Function>) {
            $( all.push(|number| Box::pin($one(number))); )*
        }
    };
}
functions! { t0 t1 t2 t3 t4 t5 t6 t7 t8 t9 }

/// One to a hundred functions in turn, one key each.
pub(crate) fn functions(effort: Effort) -> Vec<Row> {
    init(10_000);
    let all: Rc<[Function]> = all().into();
    let row = |number: usize| {
        let (runtime, all, at) = (runtime(), Rc::clone(&all), Cell::new(0));
        let hit = Contender::new(OURS, move |times| {
            runtime.block_on(async {
                for _ in 0..times {
                    at.set((at.get() + 1) % number);
                    black_box(all[at.get()](7).await);
                }
            });
        });
        let about = "a hit of so many functions in turn, each call in a box";
        row(&format!("scale_functions_{number}"), about, vec![hit], effort.of_one_thread())
    };
    [1, 10, 100].into_iter().map(row).collect()
}

/// One to ten thousand tasks, each with a hundred hits, between which the others have theirs.
pub(crate) fn tasks(effort: Effort) -> Vec<Row> {
    init(10_000);
    let row = |number: u64| {
        let runtime = runtime();
        let hits = Contender::new(OURS, move |times| {
            runtime.block_on(async {
                let mut tasks = tokio::task::JoinSet::new();
                for task in 0..number {
                    tasks.spawn(async move {
                        for _ in 0..times.div_ceil(number) {
                            black_box(doubled(task % 256).await);
                            tokio::task::yield_now().await;
                        }
                    });
                }
                tasks.join_all().await;
            });
        });
        let about = "a hit in so many tasks that take turns, the turn included";
        row(&format!("scale_tasks_{number}"), about, vec![hits], effort.of_one_thread())
    };
    [1, 10, 100, 1_000, 10_000].into_iter().map(row).collect()
}

fn row(name: &str, about: &str, contenders: Vec<Contender>, effort: Effort) -> Row {
    Row::new(name, &format!("{about}, 1 thread"), "ns", &take_turns(contenders, effort), Vec::new())
}
