//! The envelope: a header of fixed length, fields that may be skipped, the value.
//!
//! | bytes | what |
//! |---|---|
//! | 0..3 | [`MAGIC`] |
//! | 3 | [`VERSION`]: raised only when older readers would misread |
//! | 4..20 | the fingerprint of the key |
//! | 20..28 | when it was born, ms on the store's clock |
//! | 28..36 | how long it is fresh, ms; all ones: for ever |
//! | 36..44 | how long after the last read it stays, ms; all ones: no such limit |
//! | 44..48 | the length of the fields |
//! | 48..56 | the checksum: BLAKE3 over all other bytes, cut to 8 |
//! | 56.. | the fields, each a number, a length (`u32`) and bytes; unknown ones are skipped |
//! | then | the value |
//!
//! Numbers are little endian.

const MAGIC: [u8; 3] = *b"\xFAfm";
const VERSION: u8 = 1;

const FINGERPRINT: usize = 4;
const BORN: usize = 20;
const FRESH: usize = 28;
const IDLE: usize = 36;
const FIELDS: usize = 44;
const CHECKSUM: usize = 48;
const HEADER: usize = 56;

/// The field that holds the name of the value's type.
const TYPE_NAME: u8 = 1;

/// What an envelope says about its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta<'a> {
    /// Of the key that the value belongs to.
    pub fingerprint: [u8; 16],
    /// `std::any::type_name` of the value.
    pub type_name: &'a str,
    /// When the run that made it began, in ms on the store's clock.
    pub born_ms: u64,
    /// How long it is fresh, in ms; `None` for ever.
    pub fresh_ms: Option<u64>,
    /// How long after the last read it stays fresh, in ms, where it has such a limit.
    pub idle_ms: Option<u64>,
}

/// Why bytes from a store are not the value that was asked for: always a miss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Somebody else's bytes.
    Foreign,
    /// Written by a later version of this crate.
    Newer,
    /// Bytes have changed since they were written.
    Checksum,
    /// The value of another key: whoever delivered it mixes replies up.
    OtherKey,
    /// A value of another type.
    OtherType {
        /// The name of its type.
        stored: Box<str>,
    },
    /// The bytes are intact but are no such value: its form has changed.
    Value(String),
}

impl Damage {
    /// Whether the connection that delivered it is to be dropped.
    pub(crate) fn is_misdelivery(&self) -> bool {
        matches!(self, Self::OtherKey)
    }
}

/// The envelope up to the value, not sealed yet.
pub(super) fn begin(meta: &Meta<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + 8 + meta.type_name.len() + 64);
    out.extend_from_slice(&MAGIC);
    out.push(VERSION);
    out.extend_from_slice(&meta.fingerprint);
    for number in [meta.born_ms, meta.fresh_ms.unwrap_or(u64::MAX), meta.idle_ms.unwrap_or(u64::MAX)] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    let name = meta.type_name.as_bytes();
    // The name of a type never comes near 4 GiB.
    let length = u32::try_from(name.len()).unwrap_or(0);
    out.extend_from_slice(&(5 + length).to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    out.push(TYPE_NAME);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&name[..length as usize]);
    out
}

/// Writes the checksum.
pub(super) fn seal(out: &mut [u8]) {
    let checksum = checksum(out);
    if let Some(place) = out.get_mut(CHECKSUM..HEADER) {
        place.copy_from_slice(&checksum);
    }
}

/// Opens an envelope that should be the one of this key: what it says, and the bytes of the value.
pub(crate) fn open<'a>(bytes: &'a [u8], fingerprint: &[u8; 16]) -> Result<(Meta<'a>, &'a [u8]), Damage> {
    match bytes.split_at_checked(FINGERPRINT) {
        Some((head, _)) if head[..3] == MAGIC && head[3] == VERSION => {}
        Some((head, _)) if head[..3] == MAGIC && head[3] > VERSION => return Err(Damage::Newer),
        _ => return Err(Damage::Foreign),
    }
    let (header, rest) = bytes.split_at_checked(HEADER).ok_or(Damage::Checksum)?;
    if header[CHECKSUM..] != checksum(bytes) {
        return Err(Damage::Checksum);
    }
    if header[FINGERPRINT..BORN] != *fingerprint {
        return Err(Damage::OtherKey);
    }
    let length = u32::from_le_bytes(array(header, FIELDS));
    let (fields, body) = rest.split_at_checked(length as usize).ok_or(Damage::Checksum)?;
    let meta = Meta {
        fingerprint: *fingerprint,
        type_name: type_name(fields).ok_or(Damage::Checksum)?,
        born_ms: u64::from_le_bytes(array(header, BORN)),
        fresh_ms: limit(array(header, FRESH)),
        idle_ms: limit(array(header, IDLE)),
    };
    Ok((meta, body))
}

fn limit(bytes: [u8; 8]) -> Option<u64> {
    Some(u64::from_le_bytes(bytes)).filter(|ms| *ms != u64::MAX)
}

/// The `N` bytes from `start`; zeroes where there are none.
fn array<const N: usize>(bytes: &[u8], start: usize) -> [u8; N] {
    bytes.get(start..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
}

fn type_name(mut fields: &[u8]) -> Option<&str> {
    while let Some((head, rest)) = fields.split_at_checked(5) {
        let (field, rest) = rest.split_at_checked(u32::from_le_bytes(array(head, 1)) as usize)?;
        if head[0] == TYPE_NAME {
            return std::str::from_utf8(field).ok();
        }
        fields = rest;
    }
    None
}

fn checksum(envelope: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(envelope.get(..CHECKSUM).unwrap_or_default());
    hasher.update(envelope.get(HEADER..).unwrap_or_default());
    array(hasher.finalize().as_bytes(), 0)
}
