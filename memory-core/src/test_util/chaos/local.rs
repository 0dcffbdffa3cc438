//! A store in memory whose entries go at random.

use std::{any::Any, sync::Arc};

use super::dice::{Call, Dice};
use crate::{
    backend::{Entry, Key, KeyRef, LocalTier, Weighed, Weight},
    sync::lock,
};

pub(super) struct ChaosLocal {
    inner: Arc<dyn LocalTier>,
    dice: Arc<Dice>,
    evicted: std::sync::Mutex<u64>,
}

impl ChaosLocal {
    pub(super) fn new(inner: Arc<dyn LocalTier>, dice: Arc<Dice>) -> Self {
        Self { inner, dice, evicted: std::sync::Mutex::new(0) }
    }
}

impl LocalTier for ChaosLocal {
    fn visit(&self, key: KeyRef<'_>, visit: &mut dyn FnMut(&Entry)) -> bool {
        self.dice.see(Call::Read);
        if self.dice.evicts() && self.inner.remove(key).is_some() {
            *lock(&self.evicted) += 1;
        }
        self.inner.visit(key, visit)
    }

    fn insert(&self, key: Key, entry: Weighed) {
        self.dice.see(Call::Write { may_haunt: false });
        if self.dice.evicts() {
            self.inner.remove(key.as_key());
            *lock(&self.evicted) += 1;
        } else {
            self.inner.insert(key, entry);
        }
    }

    fn remove(&self, key: KeyRef<'_>) -> Option<Entry> {
        self.dice.see(Call::Removal);
        self.inner.remove(key)
    }

    fn remove_where(&self, doomed: &mut dyn FnMut(KeyRef<'_>, &Entry) -> bool) -> u64 {
        self.dice.see(Call::Removal);
        self.inner.remove_where(doomed)
    }

    fn entry_count(&self) -> u64 {
        self.inner.entry_count()
    }

    fn evictions(&self) -> u64 {
        self.inner.evictions() + *lock(&self.evicted)
    }

    fn weigh(&self, value: &dyn Any) -> Weight {
        self.inner.weigh(value)
    }
}
