//! `If-Match: "v3"`: the version a change was made against.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use leadvault_vault::Fault;

use super::headers::{is_number, one};
use crate::problem::Problem;

/// The version that must still be the newest. Without the header 428; a tag that cannot be a version of
/// ours, weak ones included, matches nothing: 412.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IfMatch(pub(crate) u32);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(read(&parts.headers)?)
    }
}

fn read(headers: &HeaderMap) -> Result<IfMatch, Fault> {
    let text = one(headers, "if-match", "header:If-Match")?.ok_or(Fault::IfMatchRequired)?;
    let inside = text.strip_prefix("\"v").and_then(|t| t.strip_suffix('"'));
    let version =
        inside.filter(|t| is_number(t) && !t.starts_with('0')).and_then(|t| t.parse().ok());
    version.map(IfMatch).ok_or(Fault::VersionConflict)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, header};
    use proptest::prelude::*;

    use super::*;

    fn with(value: HeaderValue) -> HeaderMap {
        HeaderMap::from_iter([(header::IF_MATCH, value)])
    }

    #[test]
    fn without_the_header_it_is_required() {
        assert_eq!(read(&HeaderMap::new()), Err(Fault::IfMatchRequired));
    }

    #[test]
    fn what_is_not_a_version_of_ours_matches_nothing() {
        for bad in [
            "*",
            "v3",
            "\"3\"",
            "W/\"v3\"",
            "\"v3\", \"v4\"",
            "\"v\"",
            "\"v-1\"",
            "\"v4294967296\"",
        ] {
            let read = read(&with(HeaderValue::from_str(bad).unwrap()));
            assert_eq!(read, Err(Fault::VersionConflict), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn the_tag_of_an_answer_is_read_back(version: u32) {
            prop_assert_eq!(read(&with(crate::answer::etag(version))), Ok(IfMatch(version)));
        }
    }
}
