//! One call, made once and sent by many: without a key, by strangers, by weaker keys, by the right one.

use leadvault_tests::kit::{Answer, Caller};
use reqwest::Method;
use serde_json::Value;

/// Prefixes of ids.
const PREFIXES: &[&str] = &["ct", "ds", "ins", "imp", "exp", "key", "ntc", "op", "tn", "file"];
/// Characters of an id behind its prefix.
const ID_CHARS: usize = 26;
/// An id of nobody.
const NOBODY: &str = "01h455vb4pex5vsknk084sn02q";

/// A call.
#[derive(Debug, Clone)]
pub(super) struct Shot {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Option<Vec<u8>>,
    /// Under the sender's own instruction; else it names none.
    pub(super) under: bool,
}

impl Shot {
    pub(super) fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: None, under: false }
    }

    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    pub(super) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string().into_bytes())
    }

    pub(super) fn body(self, body: Vec<u8>) -> Self {
        Self { body: Some(body), ..self }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With an idempotency key that nothing else has.
    pub(super) fn once(self) -> Self {
        let path = self.path.clone();
        self.header("idempotency-key", path)
    }

    pub(super) fn under(self) -> Self {
        Self { under: true, ..self }
    }

    /// The same call on things of nobody.
    pub(super) fn of_nobody(&self) -> Self {
        let body = self.body.as_ref().map(|body| {
            String::from_utf8(body.clone()).map_or_else(|_| body.clone(), |t| of_nobody(&t).into())
        });
        Self { path: of_nobody(&self.path), body, ..self.clone() }
    }

    /// Whether it names anything by id.
    pub(super) fn names_something(&self) -> bool {
        let other = self.of_nobody();
        (&other.path, &other.body) != (&self.path, &self.body)
    }

    /// What of a code is heard: an answer to HEAD has no body.
    pub(super) fn heard<'a>(&self, code: &'a str) -> &'a str {
        if self.method == Method::HEAD { "" } else { code }
    }

    pub(super) fn send(&self, caller: &Caller) -> Answer {
        let headers: Vec<_> = self.headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        caller.send(self.method.clone(), &self.path, &headers, self.body.clone())
    }
}

/// A text with every id in it changed to one of nobody.
fn of_nobody(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('_') {
        let (before, behind) = rest.split_at(at + 1);
        out.push_str(before);
        let is_id = PREFIXES.iter().any(|p| before.trim_end_matches('_').ends_with(p))
            && behind.len() >= ID_CHARS
            && behind.bytes().take(ID_CHARS).all(|b| b.is_ascii_alphanumeric());
        if is_id {
            out.push_str(NOBODY);
            rest = behind.split_at(ID_CHARS).1;
        } else {
            rest = behind;
        }
    }
    out + rest
}

#[test]
fn every_id_of_a_text_is_changed_and_nothing_else() {
    let id = "01kb0000000000000000000000";
    let text = format!("/v1/leads/ct_{id}?a_b=1 {{\"confirm\":\"ds_{id}\"}} crm_operations");
    let changed =
        format!("/v1/leads/ct_{NOBODY}?a_b=1 {{\"confirm\":\"ds_{NOBODY}\"}} crm_operations");
    assert_eq!(of_nobody(&text), changed);
}
