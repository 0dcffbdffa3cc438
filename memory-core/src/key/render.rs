//! Keys as text, for Redis, and as fingerprints, for envelopes.
//!
//! `prefix:function:arg:arg`, `prefix:namespace/function:arg`, `prefix:name`, `prefix:namespace/name`. Structure is
//! made of characters that are escaped wherever they are data, so unequal words have unequal texts.

use std::fmt::Write as _;

use super::{
    DIRECT, KeyRef, escape, registry,
    words::{Int, Reader, WIDTHS, tag},
};
use crate::backend::Prefix;

/// A longer text has its arguments replaced by their hash.
const LONGEST: usize = 200;

/// The whole text of a key.
pub(super) fn render(key: KeyRef<'_>, prefix: &Prefix) -> String {
    let mut out = format!("{}:", prefix.escaped());
    let head = out.len();
    let text = path(key);
    out.push_str(&text);
    if out.len() > LONGEST || mostly_escapes(&out[head..]) {
        out.truncate(head);
        out.push_str(&hashed_path(key));
    }
    out
}

/// What follows the prefix, however long.
pub(super) fn path(key: KeyRef<'_>) -> String {
    let readable = match key.number() {
        DIRECT => direct(key),
        number => call(key, number),
    };
    readable.unwrap_or_else(|| hashed_path(key))
}

/// BLAKE3-128 over the prefix, what names the function, and the words of the arguments.
pub(super) fn fingerprint(key: KeyRef<'_>, prefix: &Prefix) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(b"memory key 1");
    part(prefix.plain().as_bytes());
    if let Some(function) = registry::function(key.number()) {
        part(function.id.as_bytes());
        part(function.namespace.as_deref().map_or("", |namespace| namespace).as_bytes());
        part(&[u8::from(function.namespace.is_some()), u8::from(function.version.is_some())]);
        part(&function.version.unwrap_or_default().to_le_bytes());
    }
    update_words(&mut hasher, key.arguments());
    first_half(&hasher)
}

fn direct(key: KeyRef<'_>) -> Option<String> {
    let (namespace, name) = key.direct_parts()?;
    let head = namespace.map(|namespace| format!("{}/", escape::name(&namespace))).unwrap_or_default();
    Some(head + &escape::name(&name))
}

fn call(key: KeyRef<'_>, number: u32) -> Option<String> {
    let mut out = function_path(number);
    let mut arguments = Reader::new(key.arguments());
    if arguments.is_empty() && !out.contains("::") {
        // A direct key may have the same letters, but never ends with a colon.
        out.push(':');
    }
    // Every word shows as one character or more, so this many would be hashed in any case.
    if key.arguments().len() > LONGEST {
        return None;
    }
    while !arguments.is_empty() {
        out.push(':');
        value(&mut arguments, &mut out)?;
    }
    Some(out)
}

fn hashed_path(key: KeyRef<'_>) -> String {
    let (mut out, words) = match key.number() {
        DIRECT => {
            let namespace = key.namespace().map(|namespace| format!("{}/", escape::name(&namespace)));
            (namespace.unwrap_or_default(), key.arguments())
        }
        number => (function_path(number), key.arguments()),
    };
    if key.number() != DIRECT {
        if words.is_empty() {
            return out;
        }
        out.push(':');
    }
    let mut hasher = blake3::Hasher::new();
    update_words(&mut hasher, words);
    out.push('#');
    hex(&first_half(&hasher), &mut out);
    out
}

fn function_path(number: u32) -> String {
    registry::function(number).map_or_else(|| format!("@{number}"), |function| function.path.to_string())
}

fn update_words(hasher: &mut blake3::Hasher, words: &[u64]) {
    for word in words {
        hasher.update(&word.to_le_bytes());
    }
}

fn first_half(hasher: &blake3::Hasher) -> [u8; 16] {
    let mut half = [0; 16];
    hasher.finalize_xof().fill(&mut half);
    half
}

fn mostly_escapes(text: &str) -> bool {
    let escapes = text.bytes().filter(|byte| *byte == b'%').count();
    escapes > 16 && escapes * 3 * 2 > text.len()
}

/// Renders the next value. `None`: these are not the words of a key.
fn value(words: &mut Reader<'_>, out: &mut String) -> Option<()> {
    let (tag, payload) = words.header()?;
    match tag {
        tag::UNIT => out.push_str("()"),
        tag::NONE => out.push_str("None"),
        tag::SOME => wrapped("Some", words, out)?,
        tag::BOOL => out.push_str(if payload == 0 { "false" } else { "true" }),
        tag::CHAR => character(payload, out)?,
        tag::F32 => append(out, format_args!("{:?}f32", f32::from_bits(u32::try_from(payload).ok()?))),
        tag::F64 => append(out, format_args!("{:?}", f64::from_bits(words.word()?))),
        tag::INT_SMALL..=tag::INT_TWO => integer(words.integer(tag, payload)?, out)?,
        tag::STR_SHORT..=tag::STR => string(&text(words.data(tag, payload)?)?, out),
        tag::BYTES => {
            out.push_str("0x");
            hex(&words.data(tag, payload)?, out);
        }
        tag::TYPE => append(out, format_args!("@{}", escape::type_name(&text(words.data(tag, payload)?)?))),
        _ => compound(tag, words, out)?,
    }
    Some(())
}

fn compound(tag: u8, words: &mut Reader<'_>, out: &mut String) -> Option<()> {
    match tag {
        tag::SEQ => list('[', ']', words, out, value).map(drop),
        tag::TUPLE => tuple(words, out),
        tag::MAP => list('<', '>', words, out, entry).map(drop),
        tag::STRUCT => {
            name(words, out)?;
            fields(words, out)
        }
        tag::UNIT_STRUCT => {
            name(words, out)?;
            out.push_str("()");
            Some(())
        }
        tag::NEWTYPE_STRUCT => {
            name(words, out)?;
            wrapped("", words, out)
        }
        tag::TUPLE_STRUCT => {
            name(words, out)?;
            tuple(words, out)
        }
        tag::UNIT_VARIANT..=tag::STRUCT_VARIANT => variant(tag, words, out),
        _ => None,
    }
}

fn variant(tag: u8, words: &mut Reader<'_>, out: &mut String) -> Option<()> {
    name(words, out)?;
    out.push('!');
    name(words, out)?;
    match tag {
        tag::NEWTYPE_VARIANT => wrapped("", words, out),
        tag::TUPLE_VARIANT => tuple(words, out),
        tag::STRUCT_VARIANT => fields(words, out),
        _ => Some(()),
    }
}

/// As Rust writes them, with the comma that tells a tuple of one from brackets; the empty one is `(,)`, for `()` is
/// the unit.
fn tuple(words: &mut Reader<'_>, out: &mut String) -> Option<()> {
    if list('(', ')', words, out, value)? < 2 {
        out.insert(out.len() - 1, ',');
    }
    Some(())
}

/// What stands between brackets, up to the end; how many items there are.
fn list(
    open: char,
    close: char,
    words: &mut Reader<'_>,
    out: &mut String,
    item: fn(&mut Reader<'_>, &mut String) -> Option<()>,
) -> Option<usize> {
    out.push(open);
    let mut items = 0;
    while !words.end() {
        if items > 0 {
            out.push(',');
        }
        item(words, out)?;
        items += 1;
    }
    out.push(close);
    Some(items)
}

fn fields(words: &mut Reader<'_>, out: &mut String) -> Option<()> {
    list('<', '>', words, out, field).map(drop)
}

fn entry(words: &mut Reader<'_>, out: &mut String) -> Option<()> {
    value(words, out)?;
    out.push('=');
    value(words, out)
}

fn field(words: &mut Reader<'_>, out: &mut String) -> Option<()> {
    name(words, out)?;
    out.push('=');
    value(words, out)
}

fn wrapped(name: &str, words: &mut Reader<'_>, out: &mut String) -> Option<()> {
    out.push_str(name);
    out.push('(');
    value(words, out)?;
    out.push(')');
    Some(())
}

fn name(words: &mut Reader<'_>, out: &mut String) -> Option<()> {
    out.push_str(&escape::ident(&words.string()?));
    Some(())
}

fn character(payload: u64, out: &mut String) -> Option<()> {
    let character = char::from_u32(u32::try_from(payload).ok()?)?;
    let mut buffer = [0; 4];
    append(out, format_args!("'{}'char", escape::string(character.encode_utf8(&mut buffer))));
    Some(())
}

fn integer(number: Int, out: &mut String) -> Option<()> {
    let width = WIDTHS.get(usize::from(number.width))?;
    if number.negative {
        append(out, format_args!("{}{width}", !number.magnitude as i128));
    } else {
        append(out, format_args!("{}{width}", number.magnitude));
    }
    Some(())
}

fn string(text: &str, out: &mut String) {
    let escaped = escape::string(text);
    if escape::needs_quotes(text) {
        append(out, format_args!("'{escaped}'"));
    } else {
        out.push_str(&escaped);
    }
}

fn text(bytes: Vec<u8>) -> Option<String> {
    String::from_utf8(bytes).ok()
}

fn hex(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        append(out, format_args!("{byte:02x}"));
    }
}

/// Writing to a string cannot fail.
fn append(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}
