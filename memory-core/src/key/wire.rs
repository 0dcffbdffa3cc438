//! Keys for other processes: a function by its name instead of its number, then the words.
//!
//! ```text
//! length: 4 bytes  the function's id    0 | 1, length: 4 bytes, its namespace    0 | 1, its version: 8 bytes    words
//! ```
//!
//! A direct key has an empty id. Numbers are little endian.

use std::sync::Arc;

use super::{DIRECT, Key, KeyRef, hash::Mix, registry};

/// This key as another process can take it apart.
pub(super) fn write(key: KeyRef<'_>) -> Arc<[u8]> {
    let function = registry::function(key.number());
    let (id, namespace, version) = match &function {
        Some(function) => (&*function.id, function.namespace.as_deref(), function.version),
        None => ("", None, None),
    };
    let mut out = Vec::with_capacity(id.len() + 8 * key.words.len() + 16);
    text(&mut out, id);
    match namespace {
        Some(namespace) => {
            out.push(1);
            text(&mut out, namespace);
        }
        None => out.push(0),
    }
    match version {
        Some(version) => {
            out.push(1);
            out.extend_from_slice(&version.to_le_bytes());
        }
        None => out.push(0),
    }
    for word in key.arguments() {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.into()
}

/// The key that another process has written; `None` when it is of no function of this process, or no key at all.
pub(super) fn read(bytes: &[u8]) -> Option<Key> {
    let mut rest = bytes;
    let id = take_text(&mut rest)?;
    let namespace = if take_flag(&mut rest)? { Some(take_text(&mut rest)?) } else { None };
    let version = if take_flag(&mut rest)? { Some(u64::from_le_bytes(take(&mut rest)?)) } else { None };
    let number = if id.is_empty() { DIRECT } else { registry::number(id, namespace, version)? };
    let (arguments, []) = rest.as_chunks::<8>() else { return None };
    let arguments = arguments.iter().map(|word| u64::from_le_bytes(*word));
    let words: Arc<[u64]> = std::iter::once(u64::from(number)).chain(arguments).collect();
    let mut mix = Mix::new();
    words.iter().for_each(|word| mix.add(*word));
    Some(Key { hash: mix.finish(), words })
}

fn text(out: &mut Vec<u8>, text: &str) {
    // No name comes near 4 GiB; one that did would come back as no key.
    out.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*taken)
}

fn take_flag(rest: &mut &[u8]) -> Option<bool> {
    match take(rest)? {
        [0] => Some(false),
        [1] => Some(true),
        _ => None,
    }
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = u32::from_le_bytes(take(rest)?);
    let (taken, left) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = left;
    std::str::from_utf8(taken).ok()
}

#[cfg(test)]
mod tests {
    use super::{super::KeyBuf, *};
    use crate::key::registry::{Site, register};

    fn key_of(id: &str, namespace: Option<&'static str>, version: Option<u64>) -> KeyBuf {
        KeyBuf::function(register(id, namespace, version, Site { file: "wire.rs", line: 1, column: 1 }))
    }

    #[test]
    fn a_key_comes_back_as_it_went() {
        let mut called = key_of("wire::f", Some("reports"), Some(7));
        called.push_u64(u64::MAX);
        called.push_str("a longer name than fits into a word");
        for key in [called, key_of("wire::g", None, None), KeyBuf::direct(Some("n"), "k"), KeyBuf::direct(None, "")] {
            assert_eq!(read(&write(key.as_key())), Some(key.to_key()));
        }
    }

    #[test]
    fn unknown_functions_and_junk_are_no_keys() {
        let whole = write(key_of("wire::h", None, None).as_key());
        let mut other = whole.to_vec();
        other[4] = b'W';
        assert_eq!(read(&other), None);
        for cut in 0..whole.len() {
            assert_eq!(read(&whole[..cut]), None, "{cut}");
        }
        assert_eq!(read(&[whole.to_vec(), vec![0]].concat()), None);
    }
}
