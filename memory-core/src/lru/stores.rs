//! The stores of one `#[fm_lru]` function: one for each instantiation of its generics.

use std::{
    any::{Any, TypeId},
    marker::PhantomData,
    sync::OnceLock,
};

use super::{CacheInfo, FmLru};

/// The stores of a function, each made on the first call of its instantiation. They live as long as the program.
///
/// The static that holds it names no types of the function, which may be generic, be `Self`, or stand behind an alias of
/// `Result`: the call tells them.
pub struct Stores {
    maxsize: fn() -> Option<u64>,
    evaluated: OnceLock<Option<u64>>,
    first: OnceLock<Link>,
}

type Link = Box<Node>;

struct Node {
    instance: TypeId,
    store: Box<dyn Store>,
    next: OnceLock<Link>,
}

/// What a companion does without knowing the types of keys and values.
trait Store: Any + Send + Sync {
    fn cache_info(&self) -> CacheInfo;
    fn cache_clear(&self);
}

/// The store of the instantiation `M`.
struct Marked<M, K, V> {
    lru: FmLru<K, V>,
    marker: PhantomData<fn() -> M>,
}

impl<M: 'static, K: Send + 'static, V: Send + 'static> Store for Marked<M, K, V> {
    fn cache_info(&self) -> CacheInfo {
        self.lru.cache_info()
    }

    fn cache_clear(&self) {
        self.lru.cache_clear();
    }
}

impl Stores {
    /// No stores yet; `maxsize` is asked once, when it is first needed.
    pub const fn new(maxsize: fn() -> Option<u64>) -> Self {
        Self { maxsize, evaluated: OnceLock::new(), first: OnceLock::new() }
    }

    /// The stores as the instantiation `M` sees them; the marker is only there to name its type, which is a closure's.
    pub fn of<M: 'static>(&'static self, _marker: M) -> Instance<M> {
        Instance { stores: self, marker: PhantomData }
    }

    fn maxsize(&self) -> Option<u64> {
        *self.evaluated.get_or_init(self.maxsize)
    }
}

/// One instantiation of a function, with its store.
pub struct Instance<M> {
    stores: &'static Stores,
    marker: PhantomData<fn() -> M>,
}

impl<M> Clone for Instance<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Instance<M> {}

impl<M: 'static> Instance<M> {
    /// The store, made now where this is the first call.
    pub(crate) fn store<K: Send + 'static, V: Send + 'static>(self) -> &'static FmLru<K, V> {
        let mut slot = &self.stores.first;
        loop {
            let node = slot.get_or_init(|| self.node::<K, V>());
            let store: &dyn Any = &*node.store;
            if let Some(marked) = store.downcast_ref::<Marked<M, K, V>>() {
                return &marked.lru;
            }
            slot = &node.next;
        }
    }

    fn node<K: Send + 'static, V: Send + 'static>(self) -> Link {
        let store = Marked::<M, K, V> { lru: FmLru::new(self.stores.maxsize()), marker: PhantomData };
        Box::new(Node { instance: TypeId::of::<M>(), store: Box::new(store), next: OnceLock::new() })
    }

    /// As [`FmLru::cache_info`].
    pub fn cache_info(self) -> CacheInfo {
        match self.made() {
            Some(store) => store.cache_info(),
            None => CacheInfo { maxsize: self.stores.maxsize(), ..CacheInfo::default() },
        }
    }

    /// As [`FmLru::cache_clear`].
    pub fn cache_clear(self) {
        if let Some(store) = self.made() {
            store.cache_clear();
        }
    }

    /// The store, where a call has made it.
    fn made(self) -> Option<&'static dyn Store> {
        let mut slot = &self.stores.first;
        while let Some(node) = slot.get() {
            if node.instance == TypeId::of::<M>() {
                return Some(&*node.store);
            }
            slot = &node.next;
        }
        None
    }
}
