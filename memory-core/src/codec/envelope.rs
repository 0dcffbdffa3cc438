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
//! | 48..56 | the checksum: XXH3-64 over the bytes behind it, seeded with that of the bytes before it |
//! | 56.. | the fields, each a number, a length (`u32`) and bytes; unknown ones are skipped |
//! | then | the value |
//!
//! Numbers are little endian.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

const MAGIC: [u8; 3] = *b"\xFAfm";
const VERSION: u8 = 1;

const FINGERPRINT: usize = 4;
const BORN: usize = 20;
const FRESH: usize = 28;
const IDLE: usize = 36;
const FIELDS: usize = 44;
const CHECKSUM: usize = 48;
const HEADER: usize = 56;

/// The fields: the name of the value's type, and lengths of time as [`Meta`] has them.
const TYPE_NAME: u8 = 1;
const STALE_WHILE_REVALIDATE: u8 = 2;
const STALE_IF_ERROR: u8 = 3;
const BRIDGES: u8 = 4;
const DUE: u8 = 5;
const RESTS: u8 = 6;

/// What an envelope says about its value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// For how long after its expiry it is answered while it is refreshed, in ms.
    pub stale_while_revalidate_ms: Option<u64>,
    /// For how long after its expiry it is answered when its refresh fails, in ms.
    pub stale_if_error_ms: Option<u64>,
    /// For how long after its expiry it is answered when its refresh takes too long, in ms.
    pub bridges_ms: Option<u64>,
    /// How long after its birth a read has it refreshed, in ms.
    pub due_ms: Option<u64>,
    /// For how long after its birth nobody is asked to refresh it, in ms: a refresh has failed.
    pub rests_ms: Option<u64>,
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
    let mut out = Vec::with_capacity(HEADER + meta.type_name.len() + 128);
    out.extend_from_slice(&MAGIC);
    out.push(VERSION);
    out.extend_from_slice(&meta.fingerprint);
    for number in [meta.born_ms, meta.fresh_ms.unwrap_or(u64::MAX), meta.idle_ms.unwrap_or(u64::MAX)] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    let start = out.len();
    out.extend_from_slice(&[0; 12]);
    field(&mut out, TYPE_NAME, meta.type_name.as_bytes());
    for (id, length) in lengths(meta) {
        if let Some(ms) = length {
            field(&mut out, id, &ms.to_le_bytes());
        }
    }
    // The fields never come near 4 GiB.
    let fields = u32::try_from(out.len() - start - 12).unwrap_or(0);
    out[start..start + 4].copy_from_slice(&fields.to_le_bytes());
    out
}

fn field(out: &mut Vec<u8>, id: u8, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(0);
    out.push(id);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&bytes[..length as usize]);
}

fn lengths(meta: &Meta<'_>) -> [(u8, Option<u64>); 5] {
    [
        (STALE_WHILE_REVALIDATE, meta.stale_while_revalidate_ms),
        (STALE_IF_ERROR, meta.stale_if_error_ms),
        (BRIDGES, meta.bridges_ms),
        (DUE, meta.due_ms),
        (RESTS, meta.rests_ms),
    ]
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
    let mut meta = Meta {
        fingerprint: *fingerprint,
        born_ms: u64::from_le_bytes(array(header, BORN)),
        fresh_ms: limit(array(header, FRESH)),
        idle_ms: limit(array(header, IDLE)),
        ..Meta::default()
    };
    read_fields(&mut meta, fields).ok_or(Damage::Checksum)?;
    Ok((meta, body))
}

fn limit(bytes: [u8; 8]) -> Option<u64> {
    Some(u64::from_le_bytes(bytes)).filter(|ms| *ms != u64::MAX)
}

/// The `N` bytes from `start`; zeroes where there are none.
fn array<const N: usize>(bytes: &[u8], start: usize) -> [u8; N] {
    bytes.get(start..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
}

fn read_fields<'a>(meta: &mut Meta<'a>, mut fields: &'a [u8]) -> Option<()> {
    while let Some((head, rest)) = fields.split_at_checked(5) {
        let (field, rest) = rest.split_at_checked(u32::from_le_bytes(array(head, 1)) as usize)?;
        let length = || Some(u64::from_le_bytes(field.try_into().ok()?));
        match head[0] {
            TYPE_NAME => meta.type_name = std::str::from_utf8(field).ok()?,
            STALE_WHILE_REVALIDATE => meta.stale_while_revalidate_ms = Some(length()?),
            STALE_IF_ERROR => meta.stale_if_error_ms = Some(length()?),
            BRIDGES => meta.bridges_ms = Some(length()?),
            DUE => meta.due_ms = Some(length()?),
            RESTS => meta.rests_ms = Some(length()?),
            _ => {}
        }
        fields = rest;
    }
    (!meta.type_name.is_empty()).then_some(())
}

/// Against accidents. Whoever can write to the store can write whole envelopes.
fn checksum(envelope: &[u8]) -> [u8; 8] {
    let head = xxh3_64(envelope.get(..CHECKSUM).unwrap_or_default());
    xxh3_64_with_seed(envelope.get(HEADER..).unwrap_or_default(), head).to_le_bytes()
}
