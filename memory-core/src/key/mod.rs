//! Canonical keys: arguments become self-delimiting 64-bit words, which compare and hash fast in memory
//! and render as readable, injective text for Redis.
//!
//! A key is words. The first word is the number of the function in [`registry`] (0: a direct key, whose
//! namespace and name follow as strings); the rest are the arguments.

mod cache_key;
mod encode;
mod escape;
mod hash;
#[cfg(feature = "moka")]
mod hasher;
pub(crate) mod registry;
mod render;
#[cfg(feature = "memory")]
mod stored;
mod wire;
mod words;

use std::{fmt, hash::Hash, sync::Arc};

use serde::Serialize;

#[cfg(feature = "moka")]
pub(crate) use self::hasher::BuildKeyHasher;
#[cfg(feature = "memory")]
pub(crate) use self::stored::StoredKey;
pub use self::{
    cache_key::{CacheKey, KeyArg, RefKeyArg, Wraps},
    escape::escape,
};
use self::{
    hash::Mix,
    words::{Int, Reader, Words},
};
use crate::backend::Prefix;

/// The first word of a key that was given by hand instead of made from a function's arguments.
const DIRECT: u32 = 0;

/// A key under construction, on the stack; short ones never allocate.
///
/// Every push adds one argument. Equal arguments give equal words, unequal ones unequal words.
pub struct KeyBuf {
    words: Words,
    mix: Mix,
    failure: Option<Box<str>>,
}

/// A key that is kept: one reference count to clone.
#[derive(Clone)]
pub struct Key {
    hash: u64,
    words: Arc<[u64]>,
}

/// A key that is looked up: a hash and borrowed words.
#[derive(Clone, Copy)]
pub struct KeyRef<'a> {
    hash: u64,
    words: &'a [u64],
}

/// Static types need no mark of their width: at one place of one function it never changes.
macro_rules! integers {
    ($($method:ident: $ty:ident,)*) => {$(
        #[doc = concat!("Adds an argument whose static type is `", stringify!($ty), "`.")]
        #[cfg_attr(not(debug_assertions), inline(always))]
        pub fn $method(&mut self, value: $ty) {
            self.integer(Int::from(value));
        }
    )*};
}

impl KeyBuf {
    /// The key of a call of the function with this number.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn function(number: u32) -> Self {
        let mut key = Self { words: Words::new(), mix: Mix::new(), failure: None };
        key.word(u64::from(number));
        key
    }

    /// The key of an entry that is named by hand.
    pub fn direct(namespace: Option<&str>, name: &str) -> Self {
        let mut key = Self::function(DIRECT);
        key.push(&namespace);
        key.push_str(name);
        key
    }

    /// Adds an argument of any type; one that fails to serialise poisons the key.
    pub fn push<T: Serialize + ?Sized>(&mut self, value: &T) {
        let start = self.words.len();
        if let Err(error) = value.serialize(encode::Encoder::new(&mut self.words)) {
            self.failure.get_or_insert_with(|| error.into_message());
        }
        self.absorb(start);
    }

    /// Adds the name of a type, for type parameters and `Self`.
    pub fn push_type(&mut self, name: &str) {
        let start = self.words.len();
        self.words.type_name(name);
        self.absorb(start);
    }

    integers! {
        push_u8: u8, push_u16: u16, push_u32: u32, push_u64: u64, push_u128: u128, push_usize: usize,
        push_i8: i8, push_i16: i16, push_i32: i32, push_i64: i64, push_i128: i128, push_isize: isize,
    }

    /// Adds an argument whose static type is `f32`.
    pub fn push_f32(&mut self, value: f32) {
        let start = self.words.len();
        self.words.f32(value);
        self.absorb(start);
    }

    /// Adds an argument whose static type is `f64`.
    pub fn push_f64(&mut self, value: f64) {
        let start = self.words.len();
        self.words.f64(value);
        self.absorb(start);
    }

    /// Adds an argument whose static type is `bool`.
    #[inline]
    pub fn push_bool(&mut self, value: bool) {
        self.word(words::bool(value));
    }

    /// Adds an argument whose static type is `char`.
    #[inline]
    pub fn push_char(&mut self, value: char) {
        self.word(words::char(value));
    }

    /// Adds an argument whose static type is a string.
    #[inline]
    pub fn push_str(&mut self, value: &str) {
        let start = self.words.len();
        self.words.string(value);
        self.absorb(start);
    }

    /// Why this key can't be used, where an argument failed to serialise: such a call runs uncached.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// This key, to look up.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn as_key(&self) -> KeyRef<'_> {
        KeyRef { hash: self.mix.finish(), words: self.words.as_slice() }
    }

    /// This key, to keep.
    pub fn to_key(&self) -> Key {
        self.as_key().to_owned()
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn integer(&mut self, value: Int) {
        match value.small() {
            Some(word) => self.word(word),
            None => {
                let start = self.words.len();
                self.words.integer(value);
                self.absorb(start);
            }
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn word(&mut self, word: u64) {
        self.words.push(word);
        self.mix.add(word);
    }

    /// Hashes what was added since `start`: a map is sorted before its words are final.
    #[inline]
    fn absorb(&mut self, start: usize) {
        for word in &self.words.as_slice()[start..] {
            self.mix.add(*word);
        }
    }
}

impl Key {
    /// This key, to look up.
    #[inline]
    pub fn as_key(&self) -> KeyRef<'_> {
        KeyRef { hash: self.hash, words: &self.words }
    }

    /// The key that another process has written with [`KeyRef::to_wire`]; `None` when it is of no function of this process.
    pub fn from_wire(bytes: &[u8]) -> Option<Self> {
        wire::read(bytes)
    }
}

impl<'a> KeyRef<'a> {
    /// This key, to keep.
    #[allow(clippy::wrong_self_convention)]
    pub fn to_owned(self) -> Key {
        Key { hash: self.hash, words: self.words.into() }
    }

    /// Its hash and its words.
    #[inline]
    pub fn parts(self) -> (u64, &'a [u64]) {
        (self.hash, self.words)
    }

    /// The key with these [parts](Self::parts).
    #[inline]
    pub fn from_parts(hash: u64, words: &'a [u64]) -> Self {
        Self { hash, words }
    }

    /// The hash: well mixed in every bit, different in every process.
    #[inline]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The number of the function; 0 for a direct key.
    #[inline]
    pub fn number(&self) -> u32 {
        self.words.first().map_or(DIRECT, |word| *word as u32)
    }

    /// The namespace, as the user wrote it.
    pub fn namespace(&self) -> Option<Arc<str>> {
        match self.number() {
            DIRECT => self.direct_parts().and_then(|(namespace, _)| namespace).map(Into::into),
            number => registry::function(number).and_then(|function| function.namespace.clone()),
        }
    }

    /// The exact text of the key as it stands in Redis. Unequal keys have unequal texts.
    pub fn render(&self, prefix: &Prefix) -> String {
        render::render(*self, prefix)
    }

    /// What identifies this key across processes and builds.
    pub fn fingerprint(&self, prefix: &Prefix) -> [u8; 16] {
        render::fingerprint(*self, prefix)
    }

    /// The key for other processes, where the function may have another number.
    pub fn to_wire(&self) -> Arc<[u8]> {
        wire::write(*self)
    }

    /// The words after the first.
    fn arguments(&self) -> &'a [u64] {
        self.words.get(1..).unwrap_or_default()
    }

    /// The namespace and the name of a direct key.
    fn direct_parts(&self) -> Option<(Option<String>, String)> {
        let mut reader = Reader::new(self.arguments());
        let namespace = reader.optional_string()?;
        Some((namespace, reader.string()?))
    }
}

impl PartialEq for KeyRef<'_> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.words == other.words
    }
}

impl Eq for KeyRef<'_> {}

impl Hash for KeyRef<'_> {
    #[inline]
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl PartialEq for Key {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.as_key() == other.as_key()
    }
}

impl Eq for Key {}

impl Hash for Key {
    #[inline]
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl equivalent::Equivalent<Key> for KeyRef<'_> {
    #[inline]
    fn equivalent(&self, key: &Key) -> bool {
        *self == key.as_key()
    }
}

impl fmt::Debug for KeyRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&render::path(*self)).finish()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_key().fmt(f)
    }
}

impl fmt::Debug for KeyBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_key().fmt(f)
    }
}

#[cfg(test)]
mod tests;
