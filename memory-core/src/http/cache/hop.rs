//! Fields of one connection, which are neither stored nor passed on (RFC 9110, section 7.6.1).

use axum::http::{
    HeaderMap, HeaderName,
    header::{CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
};

use super::super::fields::members;

/// Removes the fields of one connection, those that `Connection` names too.
pub(in crate::http) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> =
        members(headers, &CONNECTION).filter_map(|name| HeaderName::from_bytes(name).ok()).collect();
    let known = [CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
    let others =
        ["keep-alive", "proxy-authenticate", "proxy-authentication-info", "proxy-authorization", "proxy-connection"];
    for name in named.into_iter().chain(known).chain(others.map(HeaderName::from_static)) {
        headers.remove(name);
    }
}
