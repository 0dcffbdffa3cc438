//! What an upstream answered: JSON where the bytes are JSON, text otherwise.

use std::{borrow::Cow, fmt};

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

/// The body of an answer, as [`get_raw`](super::FmResilientClient::get_raw) gives it.
///
/// JSON is recognised by its bytes, whatever the content type says; everything else is text, decoded by the `charset`
/// of the content type (UTF-8 where there is none; what can't be decoded becomes `U+FFFD`). An empty body is empty text.
///
/// # Examples
///
/// ```
/// # use memory_core::FmBody;
/// fn greeting(body: FmBody) -> Option<String> {
///     match body {
///         FmBody::Json(value) => value["greeting"].as_str().map(str::to_owned),
///         FmBody::Text(text) => Some(text),
///     }
/// }
///
/// assert_eq!(greeting(FmBody::Text("hello".into())).as_deref(), Some("hello"));
/// assert_eq!(greeting(FmBody::Json(serde_json::json!({"greeting": "hi"}))).as_deref(), Some("hi"));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FmBody {
    /// The body is a JSON document.
    Json(Value),
    /// The body is anything else.
    Text(String),
}

/// Why a body could not be turned into what was asked for; says where, never what stood there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// JSON nested deeper than a parser should follow.
    TooDeep,
    /// JSON (or text) of another shape than the type asked for.
    Shape { line: usize, column: usize },
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooDeep => f.write_str("the JSON of the body nests too deep"),
            Self::Shape { line, column } => {
                write!(f, "the body is not of the type asked for, at line {line}, column {column}")
            }
        }
    }
}

/// The deepest JSON that is parsed, which is what `serde_json` follows.
const DEEPEST: usize = 127;

impl FmBody {
    /// Recognises JSON, and decodes text by the charset of `content_type`.
    pub(crate) fn sniff(bytes: &[u8], content_type: Option<&str>) -> Result<Self, Unfit> {
        let json = json_text(bytes);
        match json.as_deref().map(serde_json::from_str) {
            Some(Ok(value)) => Ok(Self::Json(value)),
            _ if json.is_some_and(|text| depth(&text) > DEEPEST) => Err(Unfit::TooDeep),
            _ => Ok(Self::Text(text(bytes, content_type))),
        }
    }
}

/// Decodes a body as `T`: from JSON; from `null` where it is empty; from the text itself where it is no JSON.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8], content_type: Option<&str>) -> Result<T, Unfit> {
    if bytes.is_empty() {
        return serde_json::from_str("null").or_else(|_| from_text(String::new()));
    }
    let Some(json) = json_text(bytes) else { return from_text(text(bytes, content_type)) };
    let error = match serde_json::from_str(&json) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if depth(&json) > DEEPEST {
        return Err(Unfit::TooDeep);
    }
    match serde_json::from_str::<serde::de::IgnoredAny>(&json) {
        Ok(_) => Err(Unfit::Shape { line: error.line(), column: error.column() }),
        Err(_) => from_text(text(bytes, content_type)),
    }
}

/// The parser's own error is dropped because it quotes what it did not expect.
fn from_text<T: DeserializeOwned>(text: String) -> Result<T, Unfit> {
    serde_json::from_value(Value::String(text)).map_err(|_| Unfit::Shape { line: 1, column: 1 })
}

/// The bytes as the text of a JSON document would be encoded (RFC 8259 says UTF-8; UTF-16 and UTF-32 are out there).
fn json_text(bytes: &[u8]) -> Option<Cow<'_, str>> {
    match bytes {
        [0, 0, 0xFE, 0xFF, rest @ ..] => utf_32(rest, u32::from_be_bytes),
        [0xFF, 0xFE, 0, 0, rest @ ..] => utf_32(rest, u32::from_le_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] => strict(UTF_8, rest),
        [0xFE, 0xFF, rest @ ..] => strict(UTF_16BE, rest),
        [0xFF, 0xFE, rest @ ..] => strict(UTF_16LE, rest),
        [0, 0, 0, _, ..] => utf_32(bytes, u32::from_be_bytes),
        [first, 0, 0, 0, ..] if *first != 0 => utf_32(bytes, u32::from_le_bytes),
        [0, _, ..] => strict(UTF_16BE, bytes),
        [_, 0, ..] => strict(UTF_16LE, bytes),
        _ => strict(UTF_8, bytes),
    }
}

fn strict<'a>(encoding: &'static Encoding, bytes: &'a [u8]) -> Option<Cow<'a, str>> {
    encoding.decode_without_bom_handling_and_without_replacement(bytes)
}

fn utf_32<'a>(bytes: &[u8], number: fn([u8; 4]) -> u32) -> Option<Cow<'a, str>> {
    let (words, []) = bytes.as_chunks::<4>() else { return None };
    words.iter().map(|word| char::from_u32(number(*word))).collect::<Option<String>>().map(Cow::Owned)
}

/// A body as text: by the charset of `content_type`, else UTF-8; what can't be read becomes `U+FFFD`.
pub(crate) fn text(bytes: &[u8], content_type: Option<&str>) -> String {
    match content_type.and_then(charset) {
        None => String::from_utf8_lossy(bytes).into_owned(),
        // The web reads this label as windows-1252; the original takes it at its word.
        Some(label) if is_latin_1(label) => encoding_rs::mem::decode_latin1(bytes).into_owned(),
        Some(label) => match Encoding::for_label(label.as_bytes()) {
            None => String::from_utf8_lossy(bytes).into_owned(),
            // Elsewhere than in UTF-16 a byte order mark is text like any other.
            Some(encoding) if encoding == UTF_16LE || encoding == UTF_16BE => encoding.decode(bytes).0.into_owned(),
            Some(encoding) => encoding.decode_without_bom_handling(bytes).0.into_owned(),
        },
    }
}

fn charset(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches(['"', '\'']))
    })
}

fn is_latin_1(label: &str) -> bool {
    ["latin-1", "latin1", "iso-8859-1", "iso8859-1", "l1"].iter().any(|name| label.eq_ignore_ascii_case(name))
}

/// How deep brackets nest outside strings; asked only of what failed to parse.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sniffed(bytes: &[u8], content_type: &str) -> FmBody {
        FmBody::sniff(bytes, Some(content_type)).unwrap()
    }

    #[test]
    fn json_is_known_by_its_bytes_in_any_unicode_encoding() {
        let document = r#"{"a":"é"}"#;
        let utf_16: Vec<u16> = document.encode_utf16().collect();
        let utf_16_le: Vec<u8> = utf_16.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let utf_16_be: Vec<u8> = utf_16.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        let utf_32_le: Vec<u8> = document.chars().flat_map(|each| u32::from(each).to_le_bytes()).collect();
        let utf_32_be: Vec<u8> = document.chars().flat_map(|each| u32::from(each).to_be_bytes()).collect();
        let utf_8_bom = [b"\xEF\xBB\xBF", document.as_bytes()].concat();
        let utf_16_bom = [b"\xFE\xFF", utf_16_be.as_slice()].concat();
        for bytes in
            [document.as_bytes(), &utf_16_le, &utf_16_be, &utf_32_le, &utf_32_be, utf_8_bom.as_slice(), &utf_16_bom]
        {
            assert_eq!(sniffed(bytes, "text/html; charset=latin-1"), FmBody::Json(json!({"a": "é"})));
        }
    }

    #[test]
    fn text_follows_the_charset_and_replaces_what_it_cannot_read() {
        assert_eq!(sniffed(b"caf\xE9", "text/plain; charset=latin-1"), FmBody::Text("café".into()));
        assert_eq!(sniffed(b"caf\xE9", "text/plain; Charset=\"windows-1252\""), FmBody::Text("café".into()));
        assert_eq!(sniffed(b"caf\xE9", "text/plain; charset=nonsense"), FmBody::Text("caf\u{FFFD}".into()));
        assert_eq!(sniffed(b"", "application/json"), FmBody::Text(String::new()));
        assert_eq!(sniffed(b"[NaN]", "application/json"), FmBody::Text("[NaN]".into()));
    }

    #[test]
    fn an_empty_body_is_null_and_text_is_a_string() {
        assert_eq!(decode::<Option<u32>>(b"", None), Ok(None));
        assert_eq!(decode::<()>(b"", None), Ok(()));
        assert_eq!(decode::<Value>(b"", None), Ok(Value::Null));
        assert_eq!(decode::<String>(b"", None), Ok(String::new()));
        assert_eq!(decode::<String>(b"plain", None), Ok("plain".to_owned()));
        assert_eq!(decode::<String>(b"{\"a\": 1,}", None), Ok("{\"a\": 1,}".to_owned()));
        assert_eq!(decode::<Value>(b"  ", None), Ok(json!("  ")));
    }

    #[test]
    fn json_of_another_shape_says_where_it_differs() {
        assert_eq!(decode::<Vec<u32>>(b"[1,\n \"secret\"]", None), Err(Unfit::Shape { line: 2, column: 9 }));
        assert_eq!(decode::<u32>(b"secret", None), Err(Unfit::Shape { line: 1, column: 1 }));
    }

    #[test]
    fn json_nested_without_end_is_refused_not_followed() {
        let bomb = "[".repeat(100_000);
        assert_eq!(FmBody::sniff(bomb.as_bytes(), None), Err(Unfit::TooDeep));
        assert_eq!(decode::<Value>(bomb.as_bytes(), None), Err(Unfit::TooDeep));
        assert_eq!(depth(r#"{"[[[\"[[":[1]}"#), 2);
    }
}
