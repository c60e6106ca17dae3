//! Answers of use cases as HTTP responses: status, body, and the headers that say where the entry stands.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use leadvault_vault::{Answer, Fault, Stamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::Problem;

/// Position of the call's entry in the tenant's log.
pub(crate) const LEDGER_INDEX: HeaderName = HeaderName::from_static("ledger-index");
/// Leaf hash of the entry, 64 hexadecimal digits.
pub(crate) const LEDGER_LEAF: HeaderName = HeaderName::from_static("ledger-leaf");
/// The signed statement that the entry is in the log (protocols.md 2.3).
pub(crate) const LEDGER_RECEIPT: HeaderName = HeaderName::from_static("ledger-receipt");

/// What a handler returns.
pub(crate) type Handled = Result<Reply, Problem>;

/// An answer on its way out.
#[derive(Debug)]
pub(crate) struct Reply(Response);

impl Reply {
    /// 200 with the value in the shape of the route.
    ///
    /// # Errors
    /// [`Fault::Internal`] for a shape that does not serialise.
    pub(crate) fn ok<T, D: Serialize>(answer: Answer<T>, shape: impl FnOnce(T) -> D) -> Handled {
        Self::json(StatusCode::OK, answer, shape)
    }

    /// 201 with the new thing.
    ///
    /// # Errors
    /// As [`Reply::ok`].
    pub(crate) fn created<T, D: Serialize>(
        answer: Answer<T>,
        shape: impl FnOnce(T) -> D,
    ) -> Handled {
        Self::json(StatusCode::CREATED, answer, shape)
    }

    /// 202 with what is known so far.
    ///
    /// # Errors
    /// As [`Reply::ok`].
    pub(crate) fn accepted<T, D: Serialize>(
        answer: Answer<T>,
        shape: impl FnOnce(T) -> D,
    ) -> Handled {
        Self::json(StatusCode::ACCEPTED, answer, shape)
    }

    /// 204.
    pub(crate) fn no_content(answer: &Answer<()>) -> Self {
        Self::raw(StatusCode::NO_CONTENT, answer.stamp.as_ref(), ())
    }

    /// Any status and any body: files, NDJSON, text.
    pub(crate) fn raw(status: StatusCode, stamp: Option<&Stamp>, body: impl IntoResponse) -> Self {
        let mut response = (status, body).into_response();
        if let Some(stamp) = stamp {
            put_stamp(response.headers_mut(), stamp);
        }
        Self(response)
    }

    /// Any status with a JSON body.
    ///
    /// # Errors
    /// [`Fault::Internal`] for a shape that does not serialise.
    pub(crate) fn json<T, D: Serialize>(
        status: StatusCode,
        answer: Answer<T>,
        shape: impl FnOnce(T) -> D,
    ) -> Handled {
        let body = serde_json::to_vec(&shape(answer.value))
            .map_err(|_| Fault::Internal("answer_serialise"))?;
        let typed = ([(header::CONTENT_TYPE, "application/json")], body);
        Ok(Self::raw(status, answer.stamp.as_ref(), typed))
    }

    /// Adds the strong `ETag` of a version. It is never a content hash, which would tell equality.
    #[must_use]
    pub(crate) fn etag(self, version: u32) -> Self {
        self.header(header::ETAG, etag(version))
    }

    /// Adds `Location`, for 201 and 202.
    #[must_use]
    pub(crate) fn location(self, path: &str) -> Self {
        match HeaderValue::from_str(path) {
            Ok(value) => self.header(header::LOCATION, value),
            // A path of ours is made of ids and fixed words; nothing else is put into a header.
            Err(_) => self,
        }
    }

    /// Adds `Link: …; rel="next"` to a page that goes on: the same path with the cursor in its query. What
    /// is asked for by a query is ids and numbers, so nothing personal comes into a URL.
    #[must_use]
    pub(crate) fn link_next(self, path: &str, asked: &[(&str, Option<String>)], at: &str) -> Self {
        let asked = asked.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
        let query: Vec<_> =
            asked.chain([("cursor", at)]).map(|(name, value)| format!("{name}={value}")).collect();
        match HeaderValue::from_str(&format!("<{path}?{}>; rel=\"next\"", query.join("&"))) {
            Ok(value) => self.header(header::LINK, value),
            // Ids, numbers and a cursor in base64url; nothing else is put into a header.
            Err(_) => self,
        }
    }

    /// Adds a header.
    #[must_use]
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers_mut().insert(name, value);
        self
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        self.0
    }
}

/// The strong entity tag of a version: `"v3"`.
pub(crate) fn etag(version: u32) -> HeaderValue {
    let text: Cow<'static, str> = format!("\"v{version}\"").into();
    // `"v` and digits are always a header value.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("\"v0\""))
}

/// Puts the `Ledger-*` headers of an entry.
pub(crate) fn put_stamp(headers: &mut HeaderMap, stamp: &Stamp) {
    headers.insert(LEDGER_INDEX, HeaderValue::from(stamp.index));
    if let Ok(leaf) = HeaderValue::from_str(&hex::encode(stamp.leaf)) {
        headers.insert(LEDGER_LEAF, leaf);
    }
    if let Ok(receipt) = HeaderValue::from_str(&stamp.receipt) {
        headers.insert(LEDGER_RECEIPT, receipt);
    }
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// The items, at most `limit`.
    pub(crate) data: Vec<T>,
    /// Pass it as `cursor` to go on; opaque.
    pub(crate) next_cursor: Option<String>,
    /// Whether there is more.
    pub(crate) has_more: bool,
}

impl<T> Page<T> {
    /// A page and where it goes on.
    pub(crate) fn new(data: Vec<T>, next_cursor: Option<String>) -> Self {
        let has_more = next_cursor.is_some();
        Self { data, next_cursor, has_more }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_where_its_entry_stands() {
        let stamp = Stamp { index: 7, leaf: [0xab; 32], receipt: "r1".to_owned() };
        let answer = Answer { value: 5, stamp: Some(stamp) };
        let response = Reply::created(answer, |n: u8| n).unwrap().etag(3).into_response();
        assert_eq!(response.status(), StatusCode::CREATED);
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("ledger-index"), "7");
        assert_eq!(header("ledger-leaf"), "ab".repeat(32));
        assert_eq!(header("ledger-receipt"), "r1");
        assert_eq!(header("etag"), "\"v3\"");
    }

    #[test]
    fn an_answer_without_an_entry_has_no_ledger_headers() {
        let response = Reply::no_content(&Answer::plain(())).into_response();
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert!(!response.headers().contains_key(LEDGER_INDEX));
    }
}
