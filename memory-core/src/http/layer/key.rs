//! Which resource a request is about.

use axum::{
    extract::OriginalUri,
    http::{HeaderMap, Uri, header::HOST, request::Parts},
};

use crate::{cache::direct_key, key::Key};

/// A resource: its host, and path with query as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Empty where it is not known.
    scheme: String,
    host: String,
    path: String,
}

impl Place {
    /// Of a request; `None`: nobody can be sure which it is.
    ///
    /// A nested router sees a shorter path: here it is the one that the client asked for.
    pub(super) fn of(parts: &Parts) -> Option<Self> {
        let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |OriginalUri(uri)| uri);
        let told = host(&parts.headers)?;
        let host = match uri.authority() {
            // Which of two hosts a handler goes by is known to nobody but an attacker.
            Some(authority) if !told.is_empty() && !authority.as_str().eq_ignore_ascii_case(&told) => return None,
            Some(authority) => authority.as_str().to_ascii_lowercase(),
            None => told,
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        let is_readable = host.bytes().all(is_plain);
        is_readable.then(|| Self::at_host(host, uri))
    }

    /// Of a URI with a host.
    pub(super) fn of_uri(uri: &Uri) -> Option<Self> {
        Some(Self::at_host(uri.authority()?.as_str().to_ascii_lowercase(), uri))
    }

    fn at_host(host: String, uri: &Uri) -> Self {
        let scheme = uri.scheme_str().unwrap_or_default().to_owned();
        Self { scheme, host, path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned() }
    }

    /// What a reference in a response to it means; `None` where that is at another host (RFC 9111, section 4.4).
    pub(super) fn refer(&self, reference: &str) -> Option<Self> {
        let reference = reference.split('#').next().unwrap_or_default();
        if let Some((_, rest)) = reference.split_once("://").filter(|(scheme, _)| !scheme.contains(['/', '?'])) {
            let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            return host.eq_ignore_ascii_case(&self.host).then(|| self.at(if path.is_empty() { "/" } else { path }));
        }
        if let Some(rest) = reference.strip_prefix("//") {
            return self.refer(&format!("http://{rest}"));
        }
        let own = self.path.split('?').next().unwrap_or_default();
        Some(match reference.as_bytes().first() {
            None => self.clone(),
            Some(b'/') => self.at(reference),
            Some(b'?') => self.at(&format!("{own}{reference}")),
            Some(_) => self.at(&format!("{}/{reference}", own.rsplit_once('/').map_or("", |(directory, _)| directory))),
        })
    }

    /// The key of what is stored for it.
    pub(super) fn key(&self, namespace: &str) -> Key {
        direct_key(Some(namespace), &format!("{}{}", self.host, self.path))
    }

    /// The same where all schemes are known: what came without TLS is no answer to who asks for TLS.
    pub(super) fn key_with_scheme(&self, namespace: &str) -> Key {
        direct_key(Some(namespace), &format!("{}://{}{}", self.scheme, self.host, self.path))
    }

    fn at(&self, path: &str) -> Self {
        Self { scheme: self.scheme.clone(), host: self.host.clone(), path: path.to_owned() }
    }
}

fn host(headers: &HeaderMap) -> Option<String> {
    let mut lines = headers.get_all(HOST).into_iter();
    let first = lines.next().map_or(Some(""), |line| line.to_str().ok())?;
    lines.next().is_none().then(|| first.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(uri: &str) -> Place {
        Place::of_uri(&uri.parse().unwrap()).unwrap()
    }

    #[test]
    fn what_came_without_tls_is_another_thing_where_that_is_known() {
        let [plain, secure] = ["http://a.test/x", "https://a.test/x"].map(place);
        assert!(plain.key_with_scheme("n").as_key() != secure.key_with_scheme("n").as_key());
        assert!(plain.key("n").as_key() == secure.key("n").as_key());
    }

    #[test]
    fn references_are_resolved_and_other_hosts_are_left_alone() {
        let base = place("http://A.test/x/y?z=1");
        let paths = ["/q", "q", "?p", "", "http://a.test/q", "//a.test/q", "http://a.test"];
        let resolved = paths.map(|path| base.refer(path).unwrap().path);
        assert_eq!(resolved, ["/q", "/x/q", "/x/y?p", "/x/y?z=1", "/q", "/q", "/"]);
        assert!(base.refer("http://b.test/q").is_none() && base.refer("//b.test/q").is_none());
        assert_eq!(base.host, "a.test");
    }
}
