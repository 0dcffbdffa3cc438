//! The words of a key: a header with an 8-bit tag and a 56-bit payload, then data words.
//!
//! Each value says by its header how far it reaches, or is closed by [`tag::END`]; so no sequence of values is the
//! beginning of another one. These numbers are part of the format: the golden file pins them.

use smallvec::SmallVec;

/// What a header word announces.
pub(super) mod tag {
    pub(in crate::key) const END: u8 = 0x01;
    pub(in crate::key) const UNIT: u8 = 0x02;
    pub(in crate::key) const NONE: u8 = 0x03;
    pub(in crate::key) const SOME: u8 = 0x04;
    pub(in crate::key) const BOOL: u8 = 0x05;
    pub(in crate::key) const CHAR: u8 = 0x06;
    pub(in crate::key) const F32: u8 = 0x07;
    /// One data word.
    pub(in crate::key) const F64: u8 = 0x08;
    /// The integer is in the payload.
    pub(in crate::key) const INT_SMALL: u8 = 0x10;
    /// One data word.
    pub(in crate::key) const INT_ONE: u8 = 0x11;
    /// Two data words, the low one first.
    pub(in crate::key) const INT_TWO: u8 = 0x12;
    /// Up to seven bytes in the payload: the tag is this plus their number.
    pub(in crate::key) const STR_SHORT: u8 = 0x20;
    /// The payload is the length in bytes.
    pub(in crate::key) const STR: u8 = 0x28;
    pub(in crate::key) const BYTES: u8 = 0x29;
    pub(in crate::key) const TYPE: u8 = 0x2A;
    pub(in crate::key) const SEQ: u8 = 0x30;
    pub(in crate::key) const TUPLE: u8 = 0x31;
    pub(in crate::key) const MAP: u8 = 0x32;
    pub(in crate::key) const STRUCT: u8 = 0x33;
    pub(in crate::key) const UNIT_STRUCT: u8 = 0x34;
    pub(in crate::key) const NEWTYPE_STRUCT: u8 = 0x35;
    pub(in crate::key) const TUPLE_STRUCT: u8 = 0x36;
    pub(in crate::key) const UNIT_VARIANT: u8 = 0x37;
    pub(in crate::key) const NEWTYPE_VARIANT: u8 = 0x38;
    pub(in crate::key) const TUPLE_VARIANT: u8 = 0x39;
    pub(in crate::key) const STRUCT_VARIANT: u8 = 0x3A;
}

/// How many words a key may have before it allocates.
const INLINE: usize = 16;
const PAYLOAD: u64 = (1 << 56) - 1;
/// Strings up to this many bytes live in their header.
const SHORT: usize = 7;

/// The width that an integer is marked with; the text form ends with it.
pub(super) const WIDTHS: [&str; 11] = ["", "u8", "u16", "u32", "u64", "u128", "i8", "i16", "i32", "i64", "i128"];

/// An integer with its mark. Statically typed integers and `u64` carry none.
#[derive(Clone, Copy)]
pub(super) struct Int {
    /// The number itself, or its bitwise complement where it is negative.
    pub(super) magnitude: u128,
    pub(super) negative: bool,
    /// An index into [`WIDTHS`].
    pub(super) width: u8,
}

const MAGNITUDE_BITS: u32 = 48;
const NEGATIVE: u64 = 1 << 55;

impl Int {
    /// The same number, marked with its width.
    pub(super) fn of_width(self, width: &str) -> Self {
        let at = WIDTHS.iter().position(|known| *known == width).unwrap_or_default();
        Self { width: at as u8, ..self }
    }

    /// The one word that holds it, where one does.
    #[inline]
    pub(super) fn small(self) -> Option<u64> {
        (self.magnitude < 1 << MAGNITUDE_BITS).then(|| self.header(tag::INT_SMALL) | self.magnitude as u64)
    }

    #[inline]
    fn header(self, tag: u8) -> u64 {
        header(tag, u64::from(self.width) << MAGNITUDE_BITS | if self.negative { NEGATIVE } else { 0 })
    }
}

macro_rules! unsigned {
    ($($ty:ty)*) => {$(
        impl From<$ty> for Int {
            #[inline]
            fn from(value: $ty) -> Self {
                Self { magnitude: value as u128, negative: false, width: 0 }
            }
        }
    )*};
}
macro_rules! signed {
    ($($ty:ty)*) => {$(
        impl From<$ty> for Int {
            #[inline]
            fn from(value: $ty) -> Self {
                let wide = value as i128;
                let negative = wide < 0;
                Self { magnitude: (if negative { !wide } else { wide }) as u128, negative, width: 0 }
            }
        }
    )*};
}
unsigned!(u8 u16 u32 u64 u128 usize);
signed!(i8 i16 i32 i64 i128 isize);

#[inline]
pub(super) fn header(tag: u8, payload: u64) -> u64 {
    u64::from(tag) << 56 | payload & PAYLOAD
}

#[inline]
pub(super) fn bool(value: bool) -> u64 {
    header(tag::BOOL, u64::from(value))
}

#[inline]
pub(super) fn char(value: char) -> u64 {
    header(tag::CHAR, u64::from(u32::from(value)))
}

/// Words being written.
#[derive(Default)]
pub(super) struct Words(SmallVec<[u64; INLINE]>);

impl Words {
    #[inline]
    pub(super) fn new() -> Self {
        Self(SmallVec::new())
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[u64] {
        &self.0
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    pub(super) fn push(&mut self, word: u64) {
        self.0.push(word);
    }

    #[inline]
    pub(super) fn tag(&mut self, tag: u8) {
        self.push(header(tag, 0));
    }

    pub(super) fn integer(&mut self, value: Int) {
        match (value.small(), value.magnitude >> 64) {
            (Some(word), _) => self.push(word),
            (None, 0) => {
                self.push(value.header(tag::INT_ONE));
                self.push(value.magnitude as u64);
            }
            (None, high) => {
                self.push(value.header(tag::INT_TWO));
                self.push(value.magnitude as u64);
                self.push(high as u64);
            }
        }
    }

    /// Floats are bits, with one NaN; 0.0 and -0.0 differ.
    pub(super) fn f32(&mut self, value: f32) {
        let value = if value.is_nan() { f32::NAN } else { value };
        self.push(header(tag::F32, u64::from(value.to_bits())));
    }

    /// As [`f32`](Self::f32).
    pub(super) fn f64(&mut self, value: f64) {
        let value = if value.is_nan() { f64::NAN } else { value };
        self.tag(tag::F64);
        self.push(value.to_bits());
    }

    #[inline]
    pub(super) fn string(&mut self, value: &str) {
        let bytes = value.as_bytes();
        if bytes.len() <= SHORT {
            self.push(short(bytes));
        } else {
            self.long(tag::STR, bytes);
        }
    }

    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.long(tag::BYTES, value);
    }

    pub(super) fn type_name(&mut self, name: &str) {
        self.long(tag::TYPE, name.as_bytes());
    }

    fn long(&mut self, tag: u8, bytes: &[u8]) {
        self.push(header(tag, bytes.len() as u64));
        let (words, rest) = bytes.as_chunks();
        self.0.extend(words.iter().map(|word| u64::from_le_bytes(*word)));
        if !rest.is_empty() {
            self.push(padded(rest));
        }
    }

    /// Sorts the map entries that begin at `starts` and reach to the end.
    pub(super) fn sort_entries(&mut self, starts: &[usize]) {
        if let (Some(first), Some(sorted)) = (starts.first(), self.sorted(starts)) {
            self.0.truncate(*first);
            self.0.extend_from_slice(&sorted);
        }
    }

    /// The entries in order; `None` where they are already.
    fn sorted(&self, starts: &[usize]) -> Option<Vec<u64>> {
        let ends = starts.iter().skip(1).copied().chain([self.len()]);
        let mut entries: SmallVec<[&[u64]; 8]> =
            starts.iter().zip(ends).filter_map(|(start, end)| self.0.get(*start..end)).collect();
        if entries.is_sorted() {
            return None;
        }
        // A key is never the beginning of another one, so whole entries compare as their keys do.
        entries.sort_unstable();
        Some(entries.concat())
    }
}

/// A string whose length is not known before it is written.
pub(super) struct StringWriter<'a> {
    words: &'a mut Words,
    header: usize,
    length: usize,
    /// Bytes that do not fill a word yet.
    pending: u64,
}

impl<'a> StringWriter<'a> {
    pub(super) fn new(words: &'a mut Words) -> Self {
        let header = words.len();
        words.tag(tag::STR);
        Self { words, header, length: 0, pending: 0 }
    }

    pub(super) fn finish(self) {
        let head = if self.length <= SHORT {
            header(tag::STR_SHORT + self.length as u8, self.pending)
        } else {
            if !self.length.is_multiple_of(8) {
                self.words.push(self.pending);
            }
            header(tag::STR, self.length as u64)
        };
        if let Some(word) = self.words.0.get_mut(self.header) {
            *word = head;
        }
    }
}

impl std::fmt::Write for StringWriter<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for byte in text.bytes() {
            self.pending |= u64::from(byte) << (self.length % 8 * 8);
            self.length += 1;
            if self.length.is_multiple_of(8) {
                self.words.push(std::mem::take(&mut self.pending));
            }
        }
        Ok(())
    }
}

#[inline]
fn short(bytes: &[u8]) -> u64 {
    header(tag::STR_SHORT + bytes.len() as u8, padded(bytes))
}

#[inline]
fn padded(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// Words being read back. `None` means that they are not a key's: nothing here panics.
pub(super) struct Reader<'a> {
    words: &'a [u64],
}

impl<'a> Reader<'a> {
    pub(super) fn new(words: &'a [u64]) -> Self {
        Self { words }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The next word.
    pub(super) fn word(&mut self) -> Option<u64> {
        let (word, rest) = self.words.split_first()?;
        self.words = rest;
        Some(*word)
    }

    /// The next header: its tag and its payload.
    pub(super) fn header(&mut self) -> Option<(u8, u64)> {
        self.word().map(|word| ((word >> 56) as u8, word & PAYLOAD))
    }

    /// Steps over the end of a compound, where it is next.
    pub(super) fn end(&mut self) -> bool {
        let ends = self.words.first() == Some(&header(tag::END, 0));
        if ends {
            self.words = &self.words[1..];
        }
        ends
    }

    pub(super) fn integer(&mut self, tag: u8, payload: u64) -> Option<Int> {
        let magnitude = match tag {
            tag::INT_SMALL => u128::from(payload & ((1 << MAGNITUDE_BITS) - 1)),
            tag::INT_ONE => u128::from(self.word()?),
            _ => u128::from(self.word()?) | u128::from(self.word()?) << 64,
        };
        let width = (payload >> MAGNITUDE_BITS) as u8 & 0x7F;
        Some(Int { magnitude, negative: payload & NEGATIVE != 0, width })
    }

    /// The bytes that follow the header of a string or of bytes.
    pub(super) fn data(&mut self, tag: u8, payload: u64) -> Option<Vec<u8>> {
        if let Some(length) = tag.checked_sub(tag::STR_SHORT).filter(|length| usize::from(*length) <= SHORT) {
            return Some(payload.to_le_bytes()[..usize::from(length)].to_vec());
        }
        let length = usize::try_from(payload).ok()?;
        let (words, rest) = self.words.split_at_checked(length.div_ceil(8))?;
        self.words = rest;
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.truncate(length);
        Some(bytes)
    }

    pub(super) fn string(&mut self) -> Option<String> {
        let (tag, payload) = self.header()?;
        self.string_after(tag, payload)
    }

    pub(super) fn optional_string(&mut self) -> Option<Option<String>> {
        match self.header()?.0 {
            tag::NONE => Some(None),
            _ => self.string().map(Some),
        }
    }

    fn string_after(&mut self, tag: u8, payload: u64) -> Option<String> {
        let is_string = (tag::STR_SHORT..=tag::STR).contains(&tag);
        is_string.then(|| self.data(tag, payload)).flatten().and_then(|bytes| String::from_utf8(bytes).ok())
    }
}
