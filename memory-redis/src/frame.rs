//! How a value lies in Redis: with the moment its run began, the groups that guard it and the key it belongs to.
//!
//! ```text
//! "FMR2"  moment: 20 bytes  0 | 1: 1 byte, in a namespace   number of tags: 1 byte
//!         length: 2 bytes, a tag   ...   length: 2 bytes, the key   the payload
//! ```
//!
//! The store script may put the moment in, so a frame is given to it in two halves: [`MAGIC`] and a [`tail`].

use std::sync::Arc;

use memory_core::backend::RemoteWrite;

use crate::moment::{self, Moment};

/// Begins every frame; another layout gets another magic.
pub(crate) const MAGIC: &[u8; 4] = b"FMR2";
/// How a frame of an earlier layout begins: nothing that can be read, and no damage.
const EARLIER: &[u8; 4] = b"FMR1";
/// How many bytes the tags of one entry may have in all. There are at most 255 of them.
const TAGS_LIMIT: usize = 64 << 10;

/// What one frame holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) moment: Moment,
    pub(crate) in_namespace: bool,
    pub(crate) tags: Vec<Arc<str>>,
    pub(crate) key: &'a [u8],
    pub(crate) payload: &'a [u8],
}

/// The half of a frame after the moment; `None` for a key too long to be ours, or for too many tags.
pub(crate) fn tail(write: &RemoteWrite) -> Option<Vec<u8>> {
    let mut tail = vec![u8::from(write.key.namespace.is_some()), u8::try_from(write.tags.len()).ok()?];
    if write.tags.iter().map(|tag| tag.len()).sum::<usize>() > TAGS_LIMIT {
        return None;
    }
    for text in write.tags.iter().chain([&write.key.text]) {
        tail.extend_from_slice(&u16::try_from(text.len()).ok()?.to_be_bytes());
        tail.extend_from_slice(text.as_bytes());
    }
    tail.extend_from_slice(&write.payload);
    Some(tail)
}

/// Takes a frame apart; `None` for anything that is none.
pub(crate) fn parse(bytes: &[u8]) -> Option<Frame<'_>> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (moment, rest) = rest.split_at_checked(moment::LENGTH)?;
    let (&[in_namespace, count], mut rest) = rest.split_first_chunk()?;
    let mut tags = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        tags.push(std::str::from_utf8(take(&mut rest)?).ok()?.into());
    }
    let key = take(&mut rest)?;
    Some(Frame { moment: Moment::parse(moment)?, in_namespace: in_namespace == 1, tags, key, payload: rest })
}

/// Whether this was written by an earlier version, in a layout that is no longer read.
pub(crate) fn is_outdated(bytes: &[u8]) -> bool {
    bytes.starts_with(EARLIER)
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, left) = rest.split_first_chunk()?;
    let (taken, left) = left.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use memory_core::backend::RemoteKey;

    use super::*;

    fn write(text: &str, tags: &[&str]) -> RemoteWrite {
        RemoteWrite {
            key: RemoteKey { text: text.into(), namespace: Some("n".into()), wire: Arc::default() },
            payload: b"value".to_vec(),
            life: None,
            stamp: None,
            tags: tags.iter().map(|tag| (*tag).into()).collect(),
        }
    }

    #[test]
    fn a_frame_gives_back_what_it_was_made_of_and_junk_is_none() {
        let moment = Moment::parse(b"0123abcd00000000beef").unwrap();
        let tail = tail(&write("app:n/f:1", &["user:1", ""])).unwrap();
        let whole = [&MAGIC[..], &moment.to_bytes(), &tail].concat();
        let frame = parse(&whole).unwrap();
        assert_eq!((frame.key, frame.payload), (&b"app:n/f:1"[..], &b"value"[..]));
        assert_eq!((frame.moment, frame.in_namespace), (moment, true));
        assert_eq!(frame.tags.iter().map(|tag| &**tag).collect::<Vec<_>>(), ["user:1", ""]);
        for cut in 0..whole.len() - b"value".len() {
            assert_eq!(parse(&whole[..cut]), None);
        }
        assert_eq!(parse(b"FMR3 something else that is long enough to be a frame of ours"), None);
        assert!(is_outdated(b"FMR1...") && !is_outdated(&whole) && !is_outdated(b""));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(tail(&write(&"k".repeat(65_535), &[])).is_some());
        assert!(tail(&write(&"k".repeat(65_536), &[])).is_none());
        assert!(tail(&write("k", &["t"; 255])).is_some());
        assert!(tail(&write("k", &["t"; 256])).is_none());
        let long = "t".repeat(TAGS_LIMIT / 2);
        assert!(tail(&write("k", &[&long, &long])).is_some());
        assert!(tail(&write("k", &[&long, &long, "t"])).is_none());
    }
}
