//! Every engine against a plain map that never forgets: whatever is found is what was stored last, the bounds hold, and what is
//! missing was evicted, or is over.

use std::{collections::HashMap, sync::Arc, time::Duration};

use proptest::{collection::vec, option, prelude::*};

use super::{FmMemoryBackend, FmMemoryEngine, scale::Scale};
use crate::{
    backend::{FmBackend, LocalTier, Prefix, Tier},
    entry::{Entry, Weighed},
    key::{Key, KeyBuf},
    time::{Expiry, Tick},
};

const SECOND: Duration = Duration::from_secs(1);
const MIB: u64 = 1 << 20;
const NAMESPACES: [&str; 2] = ["even", "odd"];

#[derive(Clone, Debug)]
struct Plan {
    max_entries: Option<u64>,
    max_bytes: Option<u64>,
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    /// `life` and `idle` in seconds.
    Insert {
        name: u8,
        bytes: u64,
        life: u8,
        idle: Option<u8>,
    },
    Read(u8),
    Remove(u8),
    RemoveNamespace(usize),
    Wait(u8),
}

fn plans() -> impl Strategy<Value = Plan> {
    let bounds = prop_oneof![
        (0..20u64).prop_map(|entries| (Some(entries), None)),
        (MIB..9 * MIB).prop_map(|bytes| (None, Some(bytes))),
        (1..20u64, MIB..9 * MIB).prop_map(|(entries, bytes)| (Some(entries), Some(bytes))),
        Just((None, None)),
    ];
    (bounds, vec(steps(), 1..200)).prop_map(|((max_entries, max_bytes), steps)| Plan { max_entries, max_bytes, steps })
}

fn steps() -> impl Strategy<Value = Step> {
    let name = || 0..32u8;
    let bytes = prop_oneof![1..1000u64, MIB / 4..2 * MIB, Just(10 * MIB)];
    let insert = (name(), bytes, 1..60u8, option::of(1..20u8));
    prop_oneof![
        6 => insert.prop_map(|(name, bytes, life, idle)| Step::Insert { name, bytes, life, idle }),
        4 => name().prop_map(Step::Read),
        1 => name().prop_map(Step::Remove),
        1 => (0..NAMESPACES.len()).prop_map(Step::RemoveNamespace),
        2 => (1..10u8).prop_map(Step::Wait),
    ]
}

/// Keys of every make: in a namespace, short, and too long to be kept in place.
fn key(name: u8) -> Key {
    match name % 4 {
        0 | 1 => KeyBuf::direct(Some(NAMESPACES[usize::from(name % 2)]), &name.to_string()).to_key(),
        2 => {
            let mut key = KeyBuf::function(7);
            key.push_u64(name.into());
            key.to_key()
        }
        _ => {
            let mut key = KeyBuf::function(7);
            key.push_str(&format!("{name:0100}"));
            key.to_key()
        }
    }
}

/// What was stored last under a key.
struct Known {
    value: u64,
    units: u64,
    expires: Tick,
    idle: Option<Duration>,
    read: Tick,
}

impl Known {
    fn is_over(&self, now: Tick) -> bool {
        now >= self.expires || self.idle.is_some_and(|idle| now >= self.read.after(idle))
    }
}

struct Trial {
    store: Arc<dyn LocalTier>,
    scale: Scale,
    known: HashMap<Key, Known>,
    next: u64,
    /// Whether everything that was stored has fitted all the time.
    all_fit: bool,
}

impl Trial {
    fn new(engine: FmMemoryEngine, plan: &Plan) -> Self {
        let mut settings = FmMemoryBackend::builder().engine(engine);
        settings.max_entries = plan.max_entries;
        settings.max_bytes = plan.max_bytes;
        let (max_entries, max_bytes) = settings.bounds();
        let Ok(Tier::Local(store)) = settings.build().open(&Prefix::fallback()) else {
            unreachable!("it is in memory")
        };
        let scale = Scale::new(max_entries, max_bytes);
        Self { store, scale, known: HashMap::new(), next: 0, all_fit: true }
    }

    async fn run(mut self, steps: &[Step]) {
        for step in steps {
            match *step {
                Step::Insert { name, bytes, life, idle } => self.insert(key(name), bytes, life, idle),
                Step::Read(name) => self.read(&key(name)),
                Step::Remove(name) => self.remove(&key(name)),
                Step::RemoveNamespace(at) => self.remove_namespace(NAMESPACES[at]),
                Step::Wait(seconds) => tokio::time::advance(SECOND * seconds.into()).await,
            }
            self.check();
        }
    }

    fn insert(&mut self, key: Key, bytes: u64, life: u8, idle: Option<u8>) {
        let (now, idle) = (Tick::now(), idle.map(|idle| SECOND * idle.into()));
        let expiry = Expiry::after(SECOND * life.into());
        self.next += 1;
        let mut entry = Entry::new(Arc::new(self.next), now, expiry);
        if let Some(idle) = idle {
            entry = entry.idle_after(idle, now);
        }
        let (expires, units) = (entry.expires, self.scale.units(bytes).into());
        self.known.insert(key.clone(), Known { value: self.next, units, expires, idle, read: now });
        self.all_fit &= self.known.values().map(|known| known.units).sum::<u64>() <= self.scale.capacity;
        self.store.insert(key, Weighed { entry, weight: bytes });
    }

    fn read(&mut self, key: &Key) {
        let now = Tick::now();
        let mut found = None;
        let was_there = self.store.visit(key.as_key(), &mut |entry| found = Some(entry.clone()));
        assert_eq!(was_there, found.is_some());
        let Some(entry) = found else { return };
        let known = self.known.get_mut(key).expect("what is found was stored, and not removed");
        assert_eq!(entry.value(), Some(&known.value), "what is found is what was stored last");
        assert_eq!(entry.is_fresh(now), !known.is_over(now));
        if entry.is_fresh(now) {
            entry.touch(now);
            known.read = now;
        }
    }

    fn remove(&mut self, key: &Key) {
        let was_there = self.contents().contains_key(key);
        let removed = self.store.remove(key.as_key());
        assert_eq!(removed.is_some(), was_there);
        let known = self.known.remove(key);
        if let Some(entry) = removed {
            assert_eq!(entry.value(), known.map(|known| known.value).as_ref());
        }
    }

    fn remove_namespace(&mut self, namespace: &str) {
        let is_in = |key: &Key| key.as_key().namespace().as_deref() == Some(namespace);
        let count = self.contents().keys().filter(|key| is_in(key)).count();
        let removed = self.store.remove_where(&mut |key, _| is_in(&key.to_owned()));
        assert_eq!(removed, count as u64);
        self.known.retain(|key, _| !is_in(key));
    }

    fn contents(&self) -> HashMap<Key, u64> {
        let mut contents = HashMap::new();
        self.store.remove_where(&mut |key, entry| {
            contents.insert(key.to_owned(), *entry.value().expect("a number"));
            false
        });
        contents
    }

    fn check(&self) {
        let count = self.store.entry_count();
        let (now, contents) = (Tick::now(), self.contents());
        assert_eq!(contents.len() as u64, count);
        let known: HashMap<Key, u64> =
            contents.keys().filter_map(|key| Some((key.clone(), self.known.get(key)?.value))).collect();
        assert_eq!(contents, known, "what is there is what was stored last");
        let units: u64 = contents.keys().map(|key| self.known[key].units).sum();
        assert!(units <= self.scale.capacity, "{units} units in a room of {}", self.scale.capacity);
        let missing =
            self.known.iter().filter(|(key, known)| !known.is_over(now) && !contents.contains_key(*key)).count();
        let none_fits = self.scale.capacity == 0;
        assert!(none_fits || missing as u64 <= self.store.evictions(), "{missing} are missing");
        assert!(!self.all_fit || self.store.evictions() == 0, "evicted though everything fits");
    }
}

fn try_out(engine: FmMemoryEngine, plan: &Plan) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(Trial::new(engine, plan).run(&plan.steps));
}

proptest! {
    #[test]
    fn our_engine_is_a_bounded_map(plan in plans()) {
        try_out(FmMemoryEngine::Clock, &plan);
    }
}

#[cfg(feature = "moka")]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn moka_is_a_bounded_map(plan in plans()) {
        try_out(FmMemoryEngine::Moka, &plan);
    }
}

#[tokio::test(start_paused = true)]
async fn writes_clean_away_what_is_over() {
    let plan = Plan { max_entries: Some(10_000), max_bytes: None, steps: Vec::new() };
    let mut trial = Trial::new(FmMemoryEngine::Clock, &plan);
    let numbered = |number: u64| {
        let mut key = KeyBuf::function(7);
        key.push_u64(number);
        key.to_key()
    };
    for number in 0..1000 {
        trial.insert(numbered(number), 1, 10, (number % 2 == 0).then_some(5));
    }
    tokio::time::advance(SECOND * 11).await;
    assert_eq!(trial.store.entry_count(), 1000, "nobody is asked to clean while nothing is written");
    for number in 0..1000 {
        trial.insert(numbered(number + 1000), 1, 10, None);
    }
    assert!(trial.store.entry_count() < 1050, "{} entries", trial.store.entry_count());
    assert_eq!(trial.store.evictions(), 0);
}
