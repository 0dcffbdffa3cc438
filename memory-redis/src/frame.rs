//! How a value lies in Redis: with the group generations it was made under and the key it belongs to.
//!
//! ```text
//! "FMR1"  everything: 16 bytes  namespace: 16 bytes  length of the key: 2 bytes  the key  the payload
//! ```
//!
//! The store script puts the two generations in, so a frame is given to it in two halves: [`MAGIC`] and a [`tail`].

use crate::generation::{Generation, LENGTH};

/// Begins every frame; another layout gets another magic.
pub(crate) const MAGIC: &[u8; 4] = b"FMR1";

/// What one frame holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) everything: Generation,
    pub(crate) namespace: Generation,
    pub(crate) key: &'a [u8],
    pub(crate) payload: &'a [u8],
}

/// The half of a frame after the generations; `None` for a key too long to be ours.
pub(crate) fn tail(key: &str, payload: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(key.len()).ok()?;
    Some([&length.to_be_bytes()[..], key.as_bytes(), payload].concat())
}

/// Takes a frame apart; `None` for anything that is none.
pub(crate) fn parse(bytes: &[u8]) -> Option<Frame<'_>> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (everything, rest) = rest.split_at_checked(LENGTH)?;
    let (namespace, rest) = rest.split_at_checked(LENGTH)?;
    let (length, rest) = rest.split_at_checked(2)?;
    let length = u16::from_be_bytes(length.try_into().ok()?);
    let (key, payload) = rest.split_at_checked(usize::from(length))?;
    Some(Frame {
        everything: Generation::from_bytes(everything),
        namespace: Generation::from_bytes(namespace),
        key,
        payload,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_gives_back_its_key_and_payload_and_junk_is_none() {
        let everything = Generation::fresh();
        let whole =
            [&MAGIC[..], everything.as_bytes(), Generation::NONE.as_bytes(), &tail("app:f:1", b"value").unwrap()]
                .concat();
        let frame = parse(&whole).unwrap();
        assert_eq!((frame.key, frame.payload), (&b"app:f:1"[..], &b"value"[..]));
        assert_eq!((frame.everything, frame.namespace), (everything, Generation::NONE));
        for cut in 0..whole.len() - b"value".len() {
            assert_eq!(parse(&whole[..cut]), None);
        }
        assert_eq!(parse(b"FMR2 something else that is long enough to be a frame of ours"), None);
    }

    #[test]
    fn a_key_that_does_not_fit_is_refused() {
        assert!(tail(&"k".repeat(65_535), b"").is_some());
        assert!(tail(&"k".repeat(65_536), b"").is_none());
    }
}
