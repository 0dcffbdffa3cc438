//! Fields by which a request says who asks.

use axum::http::{
    HeaderMap, HeaderName,
    header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION},
};

/// Whether a field says who asks.
pub(in crate::http) fn is_credential(name: &HeaderName) -> bool {
    *name == COOKIE || is_authorization(name)
}

/// Whether a request names its user, otherwise than by a cookie.
pub(in crate::http) fn is_authorized(headers: &HeaderMap) -> bool {
    headers.keys().any(is_authorization)
}

/// RFC 9111, section 3.5, protects what answers `Authorization`. Handlers mean the same by keys and tokens of no standard, and by
/// what proxies that log users in put in their place.
fn is_authorization(name: &HeaderName) -> bool {
    [AUTHORIZATION, PROXY_AUTHORIZATION].contains(name)
        || matches!(
            name.as_str(),
            "api-key"
                | "apikey"
                | "cf-access-authenticated-user-email"
                | "cf-access-jwt-assertion"
                | "private-token"
                | "remote-user"
                | "tailscale-user-login"
                | "x-access-token"
                | "x-amz-security-token"
                | "x-amzn-oidc-accesstoken"
                | "x-amzn-oidc-data"
                | "x-amzn-oidc-identity"
                | "x-api-key"
                | "x-api-token"
                | "x-apikey"
                | "x-auth-request-access-token"
                | "x-auth-request-email"
                | "x-auth-request-user"
                | "x-auth-token"
                | "x-forwarded-access-token"
                | "x-forwarded-email"
                | "x-forwarded-user"
                | "x-goog-authenticated-user-id"
                | "x-goog-iap-jwt-assertion"
                | "x-id-token"
                | "x-ms-client-principal"
                | "x-remote-user"
                | "x-session-token"
                | "x-user"
                | "x-user-id"
        )
}
