//! What a batch returns: values by id.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, Hash},
};

/// A map from ids to values.
pub trait Entries: Sized {
    /// What it has for an id.
    type Value;
    /// An empty one, with room for so many.
    fn with_room(count: usize) -> Self;
}

/// A map whose keys are the ids `I` of a batch, or own them.
#[diagnostic::on_unimplemented(
    message = "the ids of this batch are `{I}`, but what it returns is a `{Self}`",
    label = "expected a map whose keys are `{I}`",
    note = "the map that comes back has the ids as its keys: `HashMap<{I}, _>` or `BTreeMap<{I}, _>`"
)]
pub trait EntriesOf<I>: Entries {
    /// Takes out what there is for an id.
    fn take(&mut self, id: &I) -> Option<Self::Value>;
    /// Puts in what there is for an id.
    fn put(&mut self, id: I, value: Self::Value);
}

impl<K, V, S: Default> Entries for HashMap<K, V, S> {
    type Value = V;

    fn with_room(count: usize) -> Self {
        Self::with_capacity_and_hasher(count, S::default())
    }
}

impl<K: Eq + Hash, V, S: BuildHasher + Default> EntriesOf<K> for HashMap<K, V, S> {
    fn take(&mut self, id: &K) -> Option<V> {
        self.remove(id)
    }

    fn put(&mut self, id: K, value: V) {
        self.insert(id, value);
    }
}

impl<V, S: BuildHasher + Default> EntriesOf<&str> for HashMap<String, V, S> {
    fn take(&mut self, id: &&str) -> Option<V> {
        self.remove(*id)
    }

    fn put(&mut self, id: &str, value: V) {
        self.insert(id.to_owned(), value);
    }
}

impl<K, V> Entries for BTreeMap<K, V> {
    type Value = V;

    fn with_room(_: usize) -> Self {
        Self::new()
    }
}

impl<K: Ord, V> EntriesOf<K> for BTreeMap<K, V> {
    fn take(&mut self, id: &K) -> Option<V> {
        self.remove(id)
    }

    fn put(&mut self, id: K, value: V) {
        self.insert(id, value);
    }
}

impl<V> EntriesOf<&str> for BTreeMap<String, V> {
    fn take(&mut self, id: &&str) -> Option<V> {
        self.remove(*id)
    }

    fn put(&mut self, id: &str, value: V) {
        self.insert(id.to_owned(), value);
    }
}

#[cfg(feature = "axum")]
impl<M: Entries> Entries for axum::Json<M> {
    type Value = M::Value;

    fn with_room(count: usize) -> Self {
        Self(M::with_room(count))
    }
}

#[cfg(feature = "axum")]
impl<I, M: EntriesOf<I>> EntriesOf<I> for axum::Json<M> {
    fn take(&mut self, id: &I) -> Option<Self::Value> {
        self.0.take(id)
    }

    fn put(&mut self, id: I, value: Self::Value) {
        self.0.put(id, value);
    }
}

/// What a function of many ids returns, and what the same function of one id would.
#[diagnostic::on_unimplemented(
    message = "a batch returns its values by id, and `{Self}` is no map",
    label = "neither a `HashMap` nor a `BTreeMap`, nor a `Result` with one",
    note = "return `HashMap<Id, Value>` or `BTreeMap<Id, Value>`, in a `Result` or in axum's `Json` where you like"
)]
pub trait Many: Sized {
    /// The values by id.
    type Entries: Entries<Value = Self::Value>;
    /// What there is for an id.
    type Value;
    /// What the function would return for one id.
    type One;

    /// What is returned for one id: what was found for it, if anything.
    fn one(found: Option<Self::Value>) -> Self::One;
    /// What was found for one id.
    fn seen(one: &Self::One) -> Option<&Self::Value>;
    /// Puts together what is returned.
    fn whole(entries: Self::Entries) -> Self;
    /// The values by id.
    ///
    /// # Errors
    ///
    /// A failure, which is that of each id.
    fn entries(self) -> Result<Self::Entries, Self::One>;
    /// What was found for one id.
    ///
    /// # Errors
    ///
    /// A failure, which is that of the whole.
    fn found(one: Self::One) -> Result<Option<Self::Value>, Self>;
}

#[diagnostic::do_not_recommend]
impl<M: Entries> Many for M {
    type Entries = M;
    type Value = M::Value;
    type One = Option<M::Value>;

    fn one(found: Option<M::Value>) -> Self::One {
        found
    }

    fn seen(one: &Self::One) -> Option<&M::Value> {
        one.as_ref()
    }

    fn whole(entries: M) -> Self {
        entries
    }

    fn entries(self) -> Result<M, Self::One> {
        Ok(self)
    }

    fn found(one: Self::One) -> Result<Option<M::Value>, Self> {
        Ok(one)
    }
}

#[diagnostic::do_not_recommend]
impl<M: Entries, E> Many for Result<M, E> {
    type Entries = M;
    type Value = M::Value;
    type One = Result<Option<M::Value>, E>;

    fn one(found: Option<M::Value>) -> Self::One {
        Ok(found)
    }

    fn seen(one: &Self::One) -> Option<&M::Value> {
        one.as_ref().ok()?.as_ref()
    }

    fn whole(entries: M) -> Self {
        Ok(entries)
    }

    fn entries(self) -> Result<M, Self::One> {
        self.map_err(Err)
    }

    fn found(one: Self::One) -> Result<Option<M::Value>, Self> {
        one.map_err(Err)
    }
}
