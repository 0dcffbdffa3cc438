//! Languages as a request ranks them (RFC 9110, section 12.5.4).

use std::cmp::Reverse;

use axum::http::{HeaderMap, HeaderValue, header::ACCEPT_LANGUAGE};

use super::super::fields::members;

/// The languages that a request accepts, the most wanted first; those that it wants equally are in the order of the alphabet. With
/// the quality of each, in thousandths.
fn ranked(asked: &HeaderMap) -> Vec<(String, u16)> {
    let mut ranked: Vec<(String, u16)> = members(asked, &ACCEPT_LANGUAGE).filter_map(language).collect();
    ranked.sort_unstable_by(|(one, of_one), (other, of_other)| (Reverse(of_one), one).cmp(&(Reverse(of_other), other)));
    ranked
}

/// The same ranking as one text.
pub(super) fn ranking(asked: &HeaderMap) -> Vec<u8> {
    let members = ranked(asked).into_iter().map(|(language, quality)| format!("{language};q={quality}"));
    members.collect::<Vec<_>>().join(",").into_bytes()
}

/// Whether a request wants this language more than any other.
pub(super) fn is_most_wanted(language: &HeaderValue, asked: &HeaderMap) -> bool {
    let ranked = ranked(asked);
    let Some((first, quality)) = ranked.first() else { return false };
    let is_alone = ranked.get(1).is_none_or(|(_, next)| next < quality);
    is_alone && *quality > 0 && language.as_bytes().eq_ignore_ascii_case(first.as_bytes())
}

fn language(member: &[u8]) -> Option<(String, u16)> {
    let mut parts = std::str::from_utf8(member).ok()?.split(';').map(str::trim);
    let language = parts.next()?.to_ascii_lowercase();
    let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let quality = quality.map_or(Some(1.0), |quality| quality.parse::<f32>().ok())?;
    // What is no quality counts as the least: 0 to 1000 fits.
    Some((language, (quality.clamp(0.0, 1.0) * 1000.0).round() as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(languages: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT_LANGUAGE, HeaderValue::from_static(languages))])
    }

    #[test]
    fn quality_ranks_and_order_does_not() {
        assert_eq!(ranking(&asked("en, De")), ranking(&asked("de,en")));
        assert_ne!(ranking(&asked("en, de;q=0.5")), ranking(&asked("de, en;q=0.5")));
        let german = HeaderValue::from_static("de");
        assert!(is_most_wanted(&german, &asked("fr;q=0.5, DE;q=1.0")) && is_most_wanted(&german, &asked("de")));
        for other in ["fr, de;q=0.5", "en, de", "de-AT", "de;q=0", "*", ""] {
            assert!(!is_most_wanted(&german, &asked(other)), "{other}");
        }
    }
}
