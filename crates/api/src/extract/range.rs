//! `Content-Range` of uploads and `Range` of downloads (RFC 9110, 14).

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use leadvault_vault::Fault;

use super::headers::{is_number, one};
use crate::problem::Problem;

/// Which bytes of the whole a body brings: `bytes 0-1023/4096`, or `…/*` while the whole is unknown.
/// `None` = the body is the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContentRange {
    /// Offset of the first byte.
    pub(crate) first: u64,
    /// Offset of the last byte, which is in the body.
    pub(crate) last: u64,
    /// Bytes of the whole.
    pub(crate) total: Option<u64>,
}

/// Which bytes of the whole are asked for, one range only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByteRange {
    /// From an offset to the end, or to an offset that is included.
    From(u64, Option<u64>),
    /// The last so many bytes.
    Last(u64),
}

impl<S: Send + Sync> axum::extract::OptionalFromRequestParts<S> for ContentRange {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Problem> {
        Ok(content_range(&parts.headers)?)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ContentRange {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let range = content_range(&parts.headers)?;
        Ok(range.ok_or_else(|| Fault::bad(CONTENT_RANGE, "required"))?)
    }
}

/// `Range` with the `If-Range` that guards it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ranged {
    range: Option<ByteRange>,
    if_range: Option<String>,
}

impl Ranged {
    /// The range that is asked for of a thing with the strong entity tag `etag`; `None` = the whole. A weak tag
    /// or a date in `If-Range` is no strong tag (RFC 9110, 13.1.5).
    pub(crate) fn of(&self, etag: &str) -> Option<ByteRange> {
        self.range.filter(|_| self.if_range.as_ref().is_none_or(|tag| tag == etag))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Ranged {
    type Rejection = Problem;

    /// A range that cannot be read is ignored, as RFC 9110 asks: the whole is sent.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(ranged(&parts.headers))
    }
}

fn ranged(headers: &HeaderMap) -> Ranged {
    // What cannot be read or stands twice names no tag we ever gave out.
    let tag = one(headers, "if-range", "header:If-Range").unwrap_or(Some(""));
    Ranged { range: byte_range(headers), if_range: tag.map(str::to_owned) }
}

const CONTENT_RANGE: &str = "header:Content-Range";

fn content_range(headers: &HeaderMap) -> Result<Option<ContentRange>, Fault> {
    let Some(text) = one(headers, "content-range", CONTENT_RANGE)? else { return Ok(None) };
    let malformed = || Fault::bad(CONTENT_RANGE, "malformed");
    let (span, total) =
        text.strip_prefix("bytes ").and_then(|rest| rest.split_once('/')).ok_or_else(malformed)?;
    let (first, last) = span.split_once('-').ok_or_else(malformed)?;
    let (first, last) = (number(first).ok_or_else(malformed)?, number(last).ok_or_else(malformed)?);
    let total = match total {
        "*" => None,
        n => Some(number(n).ok_or_else(malformed)?),
    };
    if first > last || total.is_some_and(|total| last >= total) {
        return Err(malformed());
    }
    Ok(Some(ContentRange { first, last, total }))
}

fn byte_range(headers: &HeaderMap) -> Option<ByteRange> {
    let text = one(headers, "range", "header:Range").ok().flatten()?;
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    match (first, last) {
        ("", n) => number(n).map(ByteRange::Last),
        (n, "") => Some(ByteRange::From(number(n)?, None)),
        (n, m) => {
            let (first, last) = (number(n)?, number(m)?);
            (first <= last).then_some(ByteRange::From(first, Some(last)))
        }
    }
}

fn number(text: &str) -> Option<u64> {
    if is_number(text) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue, header};

    use super::*;

    fn with(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_piece_of_an_upload_says_where_it_belongs() {
        let read = |text| content_range(&with(header::CONTENT_RANGE, text));
        let piece = ContentRange { first: 5, last: 9, total: Some(10) };
        assert_eq!(read("bytes 5-9/10"), Ok(Some(piece)));
        assert_eq!(read("bytes 5-9/*"), Ok(Some(ContentRange { total: None, ..piece })));
        for bad in [
            "bytes 9-5/10",
            "bytes 5-10/10",
            "bytes 5-/10",
            "5-9/10",
            "bytes */10",
            "bytes +5-9/10",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert_eq!(content_range(&HeaderMap::new()), Ok(None));
    }

    #[test]
    fn a_download_may_ask_for_one_range() {
        let read = |text| byte_range(&with(header::RANGE, text));
        assert_eq!(read("bytes=5-"), Some(ByteRange::From(5, None)));
        assert_eq!(read("bytes=5-9"), Some(ByteRange::From(5, Some(9))));
        assert_eq!(read("bytes=-9"), Some(ByteRange::Last(9)));
        let mut headers = with(header::RANGE, "bytes=5-9");
        let range = Some(ByteRange::From(5, Some(9)));
        assert_eq!(ranged(&headers).of("\"a\""), range);
        for (tag, given) in [("\"a\"", range), ("\"b\"", None), ("W/\"a\"", None)] {
            headers.insert(header::IF_RANGE, HeaderValue::from_static(tag));
            assert_eq!(ranged(&headers).of("\"a\""), given, "{tag}");
        }
        for ignored in ["bytes=9-5", "bytes=0-1,3-4", "lines=1-2", "bytes=-"] {
            assert_eq!(read(ignored), None, "{ignored}");
        }
    }
}
