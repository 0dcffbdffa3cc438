//! Cases about where a request goes. The original's mock answered for every host; here a server on a free port stands in
//! for the host, and what the client shows of itself tells the host it would have asked.

use memory_core::FmResilientClient;
use serde_json::Value;

use super::{Compared, call, compare_outcome, expect};
use crate::upstream::{Upstream, json};

pub(super) fn left_out(case: &Value) -> Option<&'static str> {
    let path = path(case);
    if ["http://", "https://"].iter().any(|scheme| path.starts_with(scheme)) {
        return Some("known bug: absolute URL in a path bypassing base_url");
    }
    if sends(case) && path_part(case).split('/').any(|segment| segment.to_lowercase().replace("%2e", ".") == "..") {
        return Some("known bug: `..` climbing out");
    }
    if case.get("params").is_some() && path.contains('?') {
        return Some("known bug: any params dropping the path's own query");
    }
    if case.get("params").is_some_and(is_python_only) {
        return Some("Python-only: values that JSON lacks, nested ones");
    }
    None
}

fn is_python_only(params: &Value) -> bool {
    let scalar = |value: &Value| match value {
        Value::Object(map) => match map.get("$float").and_then(Value::as_str) {
            Some(text) => text.parse::<f64>().is_ok_and(f64::is_finite),
            None => map.contains_key("$int"),
        },
        Value::Array(_) => false,
        _ => true,
    };
    let Some(params) = params.as_object() else { return true };
    !params.values().all(|value| match value.get("$tuple").unwrap_or(value) {
        Value::Array(list) => list.iter().all(scalar),
        value => scalar(value),
    })
}

/// Whether this is a case in which the original sent something.
pub(super) fn sends(case: &Value) -> bool {
    case["kind"] == "url" && !case["requested"].is_null()
}

pub(super) fn path(case: &Value) -> &str {
    case["path"].as_str().unwrap_or_default()
}

pub(super) fn target(case: &Value) -> &str {
    text(&case["requested"]["target"])
}

pub(super) fn path_part(case: &Value) -> &str {
    path(case).split(['?', '#']).next().unwrap_or_default()
}

pub(super) fn ends_in_a_dot_segment(case: &Value) -> bool {
    let base_is_a_path = !text(&case["base_url"]).contains(['?', '#']);
    sends(case) && base_is_a_path && path_part(case).rsplit('/').next() == Some(".")
}

/// `scheme://…`, and `//…` before something that reads as a host.
pub(super) fn names_a_host(case: &Value) -> bool {
    let path = path(case);
    let has_scheme = path.split_once("://").is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.chars().all(|each| each.is_ascii_alphanumeric() || "+-.".contains(each))
    });
    let first = path.trim_start_matches('/').split(['/', '?', '#']).next().unwrap_or_default();
    let dots = first.contains(['.', ':', '[']) || first == "localhost";
    has_scheme || path.starts_with("//") && dots
}

pub(super) async fn compare(case: &Value, face: &str) -> Compared {
    let base = case["base_url"].as_str().unwrap_or_default();
    let upstream = Upstream::always(json(r#"{"ok":1}"#)).await;
    let requested = &case["requested"];
    let client = match FmResilientClient::new(stand_in(base, &upstream)) {
        Ok(client) => client,
        // Nothing can be sent there, so the base URL itself is refused.
        Err(_) => return expect("sent", requested.is_null(), true),
    };
    let params = case.get("params").map(plain);
    let outcome = call(&client, face, path(case), params.as_ref()).await;
    let Some(seen) = upstream.seen().into_iter().next() else {
        let errors = matches!(outcome, super::Outcome::Raw(_) | super::Outcome::Http(_));
        return expect("refused and not sent", (true, true), (requested.is_null(), errors));
    };
    compare_outcome(&case[face], &outcome)?;
    expect("target", requested["target"].as_str().map(in_order), Some(in_order(seen.target())))?;
    expect("authorization", requested["authorization"].as_str(), seen.header("authorization"))?;
    let shown = format!("{:?}", FmResilientClient::new(base).map_err(|error| error.to_string())?);
    let origin = format!("\"{}://{}", text(&requested["scheme"]), text(&requested["host_header"]));
    expect(&format!("{shown} names {origin}"), true, shown.contains(&origin))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The base URL with our server in place of its scheme, host and port.
fn stand_in(base: &str, upstream: &Upstream) -> String {
    let Some((scheme, rest)) = base.split_once("://") else { return base.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) || authority.is_empty() {
        return base.to_owned();
    }
    let credentials = authority.rsplit_once('@').map(|(credentials, _)| format!("{credentials}@")).unwrap_or_default();
    format!("http://{credentials}{}{}", upstream.address(), &rest[authority.len()..])
}

/// A JSON object has no order here, so the pairs of a query are sorted. `'` may be written `%27`.
fn in_order(target: &str) -> String {
    let target = target.replace("%27", "'");
    let Some((path, query)) = target.split_once('?') else { return target };
    let mut pairs: Vec<_> = query.split('&').collect();
    pairs.sort_unstable();
    format!("{path}?{}", pairs.join("&"))
}

/// The parameters without the vectors' notation.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(map) => match (map.get("$tuple"), map.get("$float").or(map.get("$int"))) {
            (Some(list), _) => plain(list),
            (_, Some(number)) => {
                text(number).parse().ok().map_or(Value::Null, |number: serde_json::Number| number.into())
            }
            _ => map.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        },
        Value::Array(list) => list.iter().map(plain).collect(),
        value => value.clone(),
    }
}
