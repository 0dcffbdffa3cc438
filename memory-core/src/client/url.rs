//! Where a request goes: the base URL, and the one place that decides whether a path may be joined to it.

use reqwest::Url;

use crate::error::{FmError, Kind};

/// A base URL that was checked once, and kept as text because joining is defined on text.
#[derive(Clone)]
pub(crate) struct BaseUrl {
    text: String,
    parsed: Url,
}

impl BaseUrl {
    /// Takes an absolute `http://` or `https://` URL.
    pub(crate) fn parse(text: &str) -> Result<Self, FmError> {
        let text = text.trim_end_matches('/');
        if text.is_empty() {
            return Err(refused("an empty base URL: give `http://host` or `https://host`"));
        }
        if text.starts_with(' ') || text.chars().any(char::is_control) || text.contains('\\') {
            return Err(refused("a base URL with a leading space, a control character or a backslash"));
        }
        if !has_web_scheme(text) {
            return Err(refused("a base URL that does not begin with `http://` or `https://` and a host"));
        }
        match Url::parse(text) {
            Ok(parsed) => Ok(Self { text: text.to_owned(), parsed }),
            // The parser's error is not passed on: the text may hold credentials.
            Err(_) => Err(refused("a base URL that is no URL: check its host and port")),
        }
    }

    /// Whether requests go through TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.parsed.scheme() == "https"
    }

    /// The base URL without credentials and query, for people.
    pub(crate) fn shown(&self) -> String {
        shown(&self.parsed)
    }

    /// The base URL followed by `path`, or why that path is refused.
    pub(crate) fn join(&self, path: &str) -> Result<Url, &'static str> {
        inspect(path)?;
        // The parser would trim blanks at the end; as the last part of a path they count.
        let path = path.trim_start_matches('/').replace(' ', "%20");
        let mut url =
            Url::parse(&format!("{}/{path}", self.text)).map_err(|_| "it does not form a URL with the base URL")?;
        if !self.contains(&url) {
            return Err("it leaves the base URL");
        }
        url.set_fragment(None);
        Ok(url)
    }

    /// The last line of defence, should `inspect` and the URL parser ever read a path differently.
    fn contains(&self, url: &Url) -> bool {
        url.origin() == self.parsed.origin()
            && url.username() == self.parsed.username()
            && url.password() == self.parsed.password()
            && url.path().starts_with(self.parsed.path())
    }
}

/// A URL without credentials, query and fragment: what errors and logs may show.
pub(crate) fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

/// Why a path must not be sent anywhere, if so.
fn inspect(path: &str) -> Result<(), &'static str> {
    if path.chars().any(char::is_control) {
        return Err("it has a control character (such as CR or LF): percent-encode it in the query, or leave it out");
    }
    if path.contains('\\') {
        return Err("it has a backslash, which some parsers read as `/`: percent-encode it");
    }
    if names_a_host(path) {
        return Err("it names a host: give a path below the base URL");
    }
    inspect_segments(path.split(['?', '#']).next().unwrap_or_default())
}

/// The part before the query, where `..` climbs and `@` may end credentials.
fn inspect_segments(path: &str) -> Result<(), &'static str> {
    if path.contains('@') {
        return Err("it has an `@`, which may end credentials: write `%40`");
    }
    let decoded = decode(path);
    if decoded.iter().any(|byte| byte.is_ascii_control()) {
        return Err("it has an encoded control character");
    }
    if decoded.split(|byte| matches!(byte, b'/' | b'\\')).any(climbs) {
        return Err("it climbs out with `..`");
    }
    Ok(())
}

/// Some servers cut `;parameters` off a segment before they resolve dots.
fn climbs(segment: &[u8]) -> bool {
    segment.split(|byte| *byte == b';').next() == Some(b"..")
}

/// Absolute URLs of any scheme, `//host`, and the short forms `http:host` that lenient parsers take for a host.
fn names_a_host(path: &str) -> bool {
    if has_scheme_and_slashes(path) {
        return true;
    }
    let rest = strip_web_scheme(path);
    let is_reference = rest.len() < path.len() || path.starts_with("//");
    is_reference && looks_like_a_host(rest.trim_start_matches('/'))
}

fn has_scheme_and_slashes(path: &str) -> bool {
    let Some((scheme, _)) = path.trim_start().split_once("://") else { return false };
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|each| each.is_ascii_alphanumeric() || matches!(each, '+' | '-' | '.'))
}

fn strip_web_scheme(path: &str) -> &str {
    let path = path.trim_start();
    ["http:", "https:"]
        .iter()
        .find_map(|scheme| path.get(..scheme.len()).filter(|head| head.eq_ignore_ascii_case(scheme)))
        .map_or(path, |head| &path[head.len()..])
}

/// `//x` is a path with a slash too many; `//other.example/x` and `//localhost/x` are somebody else.
fn looks_like_a_host(rest: &str) -> bool {
    let first = rest.split(['/', '?', '#']).next().unwrap_or_default();
    first.contains(['.', ':', '[', '@']) && !first.bytes().all(|byte| byte == b'.')
        || first.eq_ignore_ascii_case("localhost")
}

/// Percent-decodes until nothing changes, because a server behind a proxy may decode twice.
fn decode(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    loop {
        let once = decode_once(&bytes);
        if once.len() == bytes.len() {
            return bytes;
        }
        bytes = once;
    }
}

fn decode_once(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        match (first, tail) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                decoded.push(hex(*high) << 4 | hex(*low));
                rest = after;
            }
            _ => {
                decoded.push(*first);
                rest = tail;
            }
        }
    }
    decoded
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    }
}

fn has_web_scheme(text: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| {
        text.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme))
            && text[scheme.len()..].starts_with(|first| !matches!(first, '/' | '?' | '#'))
    })
}

fn refused(why: &'static str) -> FmError {
    FmError::new(Kind::Config, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(base: &str, path: &str) -> Result<String, &'static str> {
        BaseUrl::parse(base).unwrap().join(path).map(String::from)
    }

    #[test]
    fn a_path_is_joined_with_one_slash_and_keeps_its_query() {
        for (base, path, url) in [
            ("http://h.example", "x", "http://h.example/x"),
            ("http://h.example/", "//x", "http://h.example/x"),
            ("http://h.example/api", "", "http://h.example/api/"),
            ("http://h.example/api/", "?q=1", "http://h.example/api/?q=1"),
            ("http://h.example/api", "./x", "http://h.example/api/x"),
            ("http://h.example/api", "a b?c d=e f#g", "http://h.example/api/a%20b?c%20d=e%20f"),
            ("http://h.example/api", "x ", "http://h.example/api/x%20"),
            ("http://h.example/api", "x?mail=a@b.example&up=../y", "http://h.example/api/x?mail=a@b.example&up=../y"),
            ("http://h.example", "http:/one", "http://h.example/http:/one"),
            (
                "http://h.example",
                "!\"$&'()*+,-.;<=>[]^_`{|}~?!\"$&'()*+,-.;<=>[]^_`{|}~/?",
                "http://h.example/!%22$&'()*+,-.;%3C=%3E[]^_%60%7B|%7D~?!%22$&%27()*+,-.;%3C=%3E[]^_`{|}~/?",
            ),
            ("https://h.example:443", "x...y/.../z", "https://h.example/x...y/.../z"),
        ] {
            assert_eq!(joined(base, path).as_deref(), Ok(url), "{base} + {path}");
        }
    }

    #[test]
    fn a_path_that_could_go_elsewhere_is_refused() {
        for path in [
            "http://other.example/y",
            "HTTPS://other.example/y",
            " http://other.example/y",
            "ftp://other.example/y",
            "http:other.example/y",
            "http:/other.example/y",
            "//other.example/y",
            "///other.example/y",
            "//127.0.0.1:80/y",
            "//localhost/y",
            "//[::1]/y",
            "@other.example/y",
            "x@other.example",
            "x\r\nHost: other.example",
            "x%0d%0aHost: other.example",
            "x\ty",
            "x\0",
            "x%00",
            "\\\\other.example\\y",
            "x\\..\\y",
            "x?q=\\",
        ] {
            assert!(joined("http://h.example/api", path).is_err(), "{path:?} was joined");
        }
    }

    #[test]
    fn a_path_that_climbs_is_refused_however_it_is_written() {
        for path in [
            "..",
            "../up",
            "/../up",
            "a/../b",
            "a/..",
            "a/..?q",
            "%2e%2e/up",
            "%2E./up",
            ".%2e/up",
            "a/%2e%2e%2fup",
            "..%2fup",
            "..%5cup",
            "%252e%252e/up",
            "%25252e./up",
            "..;/admin",
            "a/..;x=1/admin",
        ] {
            assert!(joined("http://h.example/api", path).is_err(), "{path:?} was joined");
        }
    }

    #[test]
    fn a_base_url_is_absolute_and_speaks_http() {
        for base in [
            "",
            "/",
            "/rel",
            "h.example",
            "http:",
            "http://",
            "http:///x",
            "http://?x",
            "ftp://h.example",
            "http+unix://sock",
            "http://h:99999",
            " http://h",
            "http://h\r\n",
            "http:\\\\h",
        ] {
            assert!(BaseUrl::parse(base).is_err(), "{base:?} was taken");
        }
        assert!(BaseUrl::parse("HTTP://[::1]:8080//").is_ok());
    }

    #[test]
    fn what_is_shown_has_no_credentials_and_no_query() {
        let base = BaseUrl::parse("http://user:secret@h.example/a?key=secret").unwrap();
        assert_eq!(base.shown(), "http://h.example/a");
        let url = BaseUrl::parse("http://user:secret@h.example").unwrap().join("b?key=secret").unwrap();
        assert_eq!(shown(&url), "http://h.example/b");
    }
}
