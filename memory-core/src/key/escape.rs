//! Percent-escaping: which bytes stand for themselves where.

use std::fmt::Write as _;

/// Escapes a part of a Redis key: `:`, `{`, `}`, `%` and everything that is not printable ASCII.
pub fn escape(part: &str) -> String {
    escape_except(part, plain)
}

/// Escapes every byte that `stays` does not accept.
pub(super) fn escape_except(part: &str, stays: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(part.len());
    for byte in part.bytes() {
        push(&mut out, byte, &stays);
    }
    out
}

/// A namespace, or the name of a direct key: here `/` ends the namespace, `#` begins a hash, `@` a suffix of ours.
pub(super) fn name(part: &str) -> String {
    escape_except(part, |byte| plain(byte) && !b"/#@".contains(&byte))
}

/// The id of a function: `::` between two segments stands for itself.
pub(super) fn path(id: &str) -> String {
    let segments: Vec<&str> = id.split("::").collect();
    // An argument is never empty, so that `::` cannot be mistaken for the end of the id unless a segment is.
    if segments.iter().any(|segment| segment.is_empty()) {
        return name(id);
    }
    segments.into_iter().map(name).collect::<Vec<_>>().join("::")
}

/// The name of a type: `::` reads `.`.
pub(super) fn type_name(id: &str) -> String {
    let segments = id.split("::").map(|segment| escape_except(segment, |byte| plain(byte) && byte != b'.'));
    segments.collect::<Vec<_>>().join(".")
}

/// A string inside an argument, where brackets, commas and quotes have a meaning.
pub(super) fn string(part: &str) -> String {
    escape_except(part, |byte| plain(byte) && !b"()[]<>,='\"`\\#!".contains(&byte))
}

/// The name of a struct, a variant or a field.
pub(super) fn ident(name: &str) -> String {
    match name {
        "" => "''".to_owned(),
        // `Some(…)` is an option.
        "Some" => "%53ome".to_owned(),
        _ => escape_except(name, |byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)),
    }
}

/// Whether a string would read as something else if it were not quoted.
pub(super) fn needs_quotes(text: &str) -> bool {
    matches!(text, "" | "true" | "false" | "None")
        || text.starts_with('@')
        || text.starts_with("0x")
        || looks_like_number(text)
}

fn plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b":{}%".contains(&byte)
}

fn push(out: &mut String, byte: u8, stays: impl Fn(u8) -> bool) {
    if stays(byte) {
        out.push(char::from(byte));
    } else {
        // Writing to a string cannot fail.
        let _ = write!(out, "%{byte:02X}");
    }
}

/// Whether it has the shape of an integer or a float, with or without a width.
fn looks_like_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let rest = ["NaN", "inf"].iter().find_map(|word| unsigned.strip_prefix(word)).or_else(|| after_digits(unsigned));
    rest.is_some_and(|suffix| suffix == "f32" || super::words::WIDTHS.contains(&suffix))
}

/// What follows `digits[.digits][e[-]digits]`.
fn after_digits(text: &str) -> Option<&str> {
    let mut rest = digits(text)?;
    if let Some(fraction) = rest.strip_prefix('.') {
        rest = digits(fraction)?;
    }
    match rest.strip_prefix('e') {
        Some(exponent) => digits(exponent.strip_prefix('-').unwrap_or(exponent)),
        None => Some(rest),
    }
}

fn digits(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(|character: char| character.is_ascii_digit());
    (rest.len() < text.len()).then_some(rest)
}
