//! Keys as a store in memory keeps them by the million.

use super::{Key, KeyRef, hash::Mix};

/// A key without its hash, which is made again where it is needed: short keys are 16 bytes and nothing on the heap.
pub(crate) enum StoredKey {
    /// A function without arguments.
    Bare(u32),
    /// A function with an argument of one word.
    One(u32, u64),
    /// So many words.
    Four(u8, Box<[u64; 4]>),
    Eight(u8, Box<[u64; 8]>),
    Long(Box<Box<[u64]>>),
}

impl StoredKey {
    pub(crate) fn new(key: &Key) -> Self {
        let words = &*key.words;
        match *words {
            [number] if u32::try_from(number).is_ok() => Self::Bare(number as u32),
            [number, word] if u32::try_from(number).is_ok() => Self::One(number as u32, word),
            _ if words.len() <= 4 => Self::Four(words.len() as u8, Box::new(filled(words))),
            _ if words.len() <= 8 => Self::Eight(words.len() as u8, Box::new(filled(words))),
            _ => Self::Long(Box::new(words.into())),
        }
    }

    /// Whether it is this one.
    #[inline]
    pub(crate) fn is(&self, key: KeyRef<'_>) -> bool {
        match self {
            Self::Bare(number) => *key.words == [u64::from(*number)],
            Self::One(number, word) => *key.words == [u64::from(*number), *word],
            _ => self.words() == key.words,
        }
    }

    /// Its hash, as it was when it was stored.
    pub(crate) fn hash(&self) -> u64 {
        self.show(|key| key.hash)
    }

    /// Shows it in the form in which keys are looked up.
    pub(crate) fn show<R>(&self, see: impl FnOnce(KeyRef<'_>) -> R) -> R {
        match *self {
            Self::Bare(number) => see(hashed(&[number.into()])),
            Self::One(number, word) => see(hashed(&[number.into(), word])),
            _ => see(hashed(self.words())),
        }
    }

    /// The words of a longer key.
    fn words(&self) -> &[u64] {
        match self {
            Self::Bare(_) | Self::One(..) => &[],
            Self::Four(count, words) => words.get(..usize::from(*count)).unwrap_or_default(),
            Self::Eight(count, words) => words.get(..usize::from(*count)).unwrap_or_default(),
            Self::Long(words) => words,
        }
    }
}

fn filled<const N: usize>(words: &[u64]) -> [u64; N] {
    std::array::from_fn(|at| words.get(at).copied().unwrap_or_default())
}

fn hashed(words: &[u64]) -> KeyRef<'_> {
    let mut mix = Mix::new();
    words.iter().for_each(|word| mix.add(*word));
    KeyRef { hash: mix.finish(), words }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeyBuf;

    #[test]
    fn a_stored_key_is_the_key_that_was_stored() {
        let texts = ["", "short", "a text of more than seven bytes", &"long ".repeat(30)];
        let keys = (0..4u64).flat_map(|count| texts.map(|text| (count, text))).map(|(count, text)| {
            let mut key = KeyBuf::function(7);
            (0..count).for_each(|number| key.push_u64(number));
            key.push_str(text);
            key.to_key()
        });
        let keys: Vec<Key> = keys.chain([KeyBuf::function(7).to_key()]).collect();
        for key in &keys {
            let stored = StoredKey::new(key);
            assert_eq!(stored.hash(), key.as_key().hash());
            assert!(stored.show(|shown| shown == key.as_key()));
            assert_eq!(keys.iter().filter(|other| stored.is(other.as_key())).count(), 1);
        }
        assert_eq!(size_of::<StoredKey>(), 16);
    }
}
