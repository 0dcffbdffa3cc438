//! The vectors' notation for values.

use serde_json::Value;

use super::Compared;

/// Whether the original took something for JSON that is none.
pub(super) fn is_not_json(value: &Value) -> bool {
    match value {
        Value::Object(map) => match map.get("$float").and_then(Value::as_str) {
            Some(text) => text.parse::<f64>().is_ok_and(|number| !number.is_finite()),
            None => map.values().any(is_not_json),
        },
        Value::Array(list) => list.iter().any(is_not_json),
        _ => false,
    }
}

pub(super) fn has_huge_integer(value: &Value) -> bool {
    match value {
        Value::Object(map) => match map.get("$int").and_then(Value::as_str) {
            Some(text) => text.parse::<i64>().is_err() && text.parse::<u64>().is_err(),
            None => map.values().any(has_huge_integer),
        },
        Value::Array(list) => list.iter().any(has_huge_integer),
        _ => false,
    }
}

pub(super) fn is_empty_text(case: &Value, face: &str) -> bool {
    case[face]["ok"] == ""
}

/// Compares a JSON value with its notation.
pub(super) fn same(wanted: &Value, got: &Value) -> Compared {
    let equal = match (wanted, got) {
        (Value::Object(map), _) if map.contains_key("$float") => {
            let number = map["$float"].as_str().and_then(|text| text.parse::<f64>().ok());
            got.is_f64() && number.map(f64::to_bits) == got.as_f64().map(f64::to_bits)
        }
        (Value::Object(map), _) if map.contains_key("$int") => map["$int"].as_str() == Some(got.to_string().as_str()),
        (Value::Object(map), _) if map.contains_key("$nested_depth") => map["$nested_depth"] == depth(got),
        (Value::Object(map), Value::String(text)) if map.contains_key("$text_length") => {
            return same_text(wanted, text);
        }
        (Value::Object(wanted), Value::Object(got)) => {
            wanted.len() == got.len()
                && wanted.iter().all(|(name, value)| got.get(name).is_some_and(|got| same(value, got).is_ok()))
        }
        (Value::Array(wanted), Value::Array(got)) => {
            wanted.len() == got.len() && wanted.iter().zip(got).all(|(wanted, got)| same(wanted, got).is_ok())
        }
        // `-0` is a float here and an integer there.
        (Value::Number(wanted), Value::Number(got)) if wanted.as_u64() == Some(0) => got.as_f64() == Some(0.0),
        _ => wanted == got,
    };
    if equal { Ok(()) } else { Err(format!("wanted {wanted}, got {got}")) }
}

/// Compares text with its notation.
pub(super) fn same_text(wanted: &Value, got: &str) -> Compared {
    let equal = match wanted {
        Value::String(text) => text == got,
        Value::Object(map) if map.contains_key("$text_length") => {
            map["$text_length"] == got.chars().count() && map["head"].as_str().is_some_and(|head| got.starts_with(head))
        }
        _ => false,
    };
    if equal { Ok(()) } else { Err(format!("wanted {wanted}, got text {got:.80}")) }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
