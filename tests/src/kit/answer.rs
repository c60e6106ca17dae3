//! What the server answered.
#![expect(clippy::panic, reason = "a kit of tests: what is unexpected fails the test")]

use std::collections::BTreeMap;

use reqwest::blocking::Response;
use serde_json::Value;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// JSON body, or null.
    pub body: Value,
    /// Body as text.
    pub text: String,
    /// `Ledger-Index`.
    pub index: Option<u64>,
    /// `Ledger-Leaf`.
    pub leaf: Option<String>,
    /// `Ledger-Receipt`.
    pub receipt: Option<String>,
    /// `Retry-After`.
    pub retry_after: Option<String>,
    /// `ETag`.
    pub etag: Option<String>,
    /// `Location`.
    pub location: Option<String>,
    /// All header fields, names in lower case.
    pub headers: BTreeMap<String, String>,
}

impl Answer {
    pub(super) fn of(response: Response) -> Self {
        let header = |name: &str| {
            response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned)
        };
        let (index, receipt) = (header("ledger-index"), header("ledger-receipt"));
        let (leaf, retry_after) = (header("ledger-leaf"), header("retry-after"));
        let (etag, location) = (header("etag"), header("location"));
        let headers = response.headers().iter();
        let headers = headers
            .map(|(n, v)| {
                (n.as_str().to_owned(), String::from_utf8_lossy(v.as_bytes()).into_owned())
            })
            .collect();
        let status = response.status().as_u16();
        let text = response.text().unwrap_or_default();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        let index = index.and_then(|i| i.parse().ok());
        Self { status, body, text, index, leaf, receipt, retry_after, etag, location, headers }
    }

    /// A header field, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The problem's code.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// Asserts a status and gives the answer back.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// A text member of the body.
    #[track_caller]
    pub fn text_of(&self, member: &str) -> String {
        self.body[member]
            .as_str()
            .unwrap_or_else(|| panic!("no {member}: {}", self.text))
            .to_owned()
    }
}
