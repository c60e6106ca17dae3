//! A small HTTP client of the API, for the commands that talk to a server. Blocking, one connection.

mod upload;

use std::io::Read;
use std::path::Path;

use anyhow::Context as _;
use leadvault_domain::Sensitive;
use reqwest::StatusCode;
use reqwest::blocking::{Client as Http, RequestBuilder, Response};
use reqwest::header::{AUTHORIZATION, CONTENT_RANGE, HeaderMap, HeaderValue};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::exit::Stop;
use crate::input;

/// Longest wait for an answer that is not a stream.
const ANSWER_WAIT: std::time::Duration = std::time::Duration::from_secs(120);
/// Longest wait for a connection.
const CONNECT_WAIT: std::time::Duration = std::time::Duration::from_secs(10);

/// Places of a problem that are shown.
const PLACES_MAX: usize = 10;

/// A server and a key.
pub(crate) struct Client {
    http: Http,
    base: String,
    /// The key, and once it acts under an instruction, that.
    headers: HeaderMap,
}

/// An answer as it came.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

/// An answer that is not a 2xx: status and the problem's code.
#[derive(Debug)]
pub(crate) struct Refused {
    /// HTTP status.
    pub(crate) status: u16,
    /// `code` of the problem.
    pub(crate) code: String,
    /// The whole problem.
    pub(crate) body: Value,
}

/// An answer: JSON and the headers worth keeping.
#[derive(Debug)]
pub(crate) struct Answered {
    /// HTTP status.
    pub(crate) status: u16,
    /// Body; null where it is empty or not JSON.
    pub(crate) body: Value,
    /// `Ledger-Index`.
    pub(crate) index: Option<u64>,
}

/// A stream that has begun.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// The bytes.
    pub(crate) body: Response,
    /// Where they begin: the server may send the whole instead of a range.
    pub(crate) from: u64,
}

/// What the server said.
pub(crate) type Said = Result<Answered, Refused>;

impl Client {
    /// A client of `url` with the key in `key_file`.
    ///
    /// # Errors
    /// 2 for a file that holds no key, and as [`Client::new`].
    pub(crate) fn from_file(url: &str, key_file: &Path) -> Result<Self, Stop> {
        Self::new(url, &read_key(key_file)?)
    }

    /// A client of `url` with a key.
    ///
    /// # Errors
    /// 2 for a URL that names no server of HTTP; or when TLS cannot be set up.
    pub(crate) fn new(url: &str, key: &Sensitive<String>) -> Result<Self, Stop> {
        let base = base_url(url)?;
        let http = Http::builder().timeout(None).connect_timeout(CONNECT_WAIT).build();
        let mut headers = HeaderMap::new();
        let mut bearer = header("key", &Zeroizing::new(format!("Bearer {}", key.expose())))?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
        Ok(Self { http: http.context("HTTP client")?, base, headers })
    }

    /// The same, acting under an instruction and a purpose.
    ///
    /// # Errors
    /// 2 for a text that no header can hold.
    pub(crate) fn under(
        mut self,
        instruction: Option<&str>,
        purpose: Option<&str>,
    ) -> Result<Self, Stop> {
        for (name, value) in [("instruction", instruction), ("purpose", purpose)] {
            if let Some(value) = value {
                self.headers.insert(name, header(name, value)?);
            }
        }
        Ok(self)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn request(&self, method: reqwest::Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path)).headers(self.headers.clone())
    }

    /// Sends without a body.
    ///
    /// # Errors
    /// [`Stop::Again`] when the server cannot be reached.
    pub(crate) fn get(&self, path: &str) -> Result<Said, Stop> {
        Self::finish(self.request(reqwest::Method::GET, path).timeout(ANSWER_WAIT))
    }

    /// POSTs JSON; `key` is the idempotency key.
    ///
    /// # Errors
    /// [`Stop::Again`] when the server cannot be reached.
    pub(crate) fn post(&self, path: &str, body: &Value, key: Option<&str>) -> Result<Said, Stop> {
        let mut request = self.request(reqwest::Method::POST, path).timeout(ANSWER_WAIT).json(body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        Self::finish(request)
    }

    /// PUTs a stream; `range` is a `Content-Range`.
    ///
    /// # Errors
    /// [`Stop::Again`] when the server cannot be reached.
    pub(crate) fn put<R: Read + Send + 'static>(
        &self,
        path: &str,
        body: R,
        len: u64,
        range: Option<&str>,
    ) -> Result<Said, Stop> {
        let mut headers = self.headers.clone();
        if let Some(range) = range {
            headers.insert(CONTENT_RANGE, header("range", range)?);
        }
        upload::put(&self.url(path), headers, body, len).map(Answer::said)
    }

    /// GETs a stream from a byte on, as long as the thing still has the entity tag `etag` (without quotes).
    ///
    /// # Errors
    /// [`Stop::Again`] when the server cannot be reached or may say yes later; [`Stop::Usage`] when it says no.
    pub(crate) fn download(&self, path: &str, from: u64, etag: &str) -> Result<Fetched, Stop> {
        let mut request = self.request(reqwest::Method::GET, path);
        if from > 0 {
            request = request.header("Range", format!("bytes={from}-"));
            request = request.header("If-Range", format!("\"{etag}\""));
        }
        let body = request.send().map_err(|e| Stop::Again(unreachable_server(e)))?;
        match body.status() {
            reqwest::StatusCode::PARTIAL_CONTENT => Ok(Fetched { body, from }),
            status if status.is_success() => Ok(Fetched { body, from: 0 }),
            _ => Err(Answer::of(body)?.refused().stop("the download")),
        }
    }

    fn finish(request: RequestBuilder) -> Result<Said, Stop> {
        let response = request.send().map_err(|e| Stop::Again(unreachable_server(e)))?;
        Answer::of(response).map(Answer::said)
    }
}

impl Answer {
    fn of(response: Response) -> Result<Self, Stop> {
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().map_err(|e| Stop::Again(unreachable_server(e)))?;
        Ok(Self { status, headers, text })
    }

    fn said(self) -> Said {
        if !self.status.is_success() {
            return Err(self.refused());
        }
        let index = self.headers.get("Ledger-Index").and_then(|v| v.to_str().ok());
        let index = index.and_then(|v| v.parse().ok());
        Ok(Answered { status: self.status.as_u16(), body: self.body(), index })
    }

    /// Body; null where it is empty or not JSON.
    fn body(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    fn refused(&self) -> Refused {
        let body = self.body();
        let code = body.get("code").and_then(Value::as_str).unwrap_or("unknown").to_owned();
        Refused { status: self.status.as_u16(), code, body }
    }
}

/// A header's value; the message never holds it.
fn header(name: &str, value: &str) -> Result<HeaderValue, Stop> {
    HeaderValue::from_str(value)
        .map_err(|_| Stop::Usage(anyhow::anyhow!("the {name} holds a character no header may")))
}

/// A key in a file: one word, whatever blanks and line ends are around it.
///
/// # Errors
/// 2 where it cannot be read or holds no key. The message never holds the contents.
pub(crate) fn read_key(path: &Path) -> Result<Sensitive<String>, Stop> {
    let text = input::text(path, input::SMALL_BYTES_MAX)?;
    let mut words = text.split_whitespace();
    match (words.next(), words.next()) {
        (Some(key), None) if key.bytes().all(|b| b.is_ascii_graphic()) => Ok(key.to_owned().into()),
        _ => {
            Err(Stop::Usage(anyhow::anyhow!("{}: not a key file: one key, alone", path.display())))
        }
    }
}

/// The URL of a server, without a slash at its end: paths are added to it.
///
/// # Errors
/// 2 for a URL that names no server of HTTP, or more than a server.
pub(crate) fn base_url(url: &str) -> Result<String, Stop> {
    let is_server = |url: &reqwest::Url| {
        let is_bare = url.query().is_none() && url.fragment().is_none();
        let is_open = url.username().is_empty() && url.password().is_none();
        url.has_host() && is_bare && is_open
    };
    let named = reqwest::Url::parse(url).ok().filter(is_server);
    match named.as_ref().map(reqwest::Url::scheme) {
        Some("http" | "https") => Ok(url.trim_end_matches('/').to_owned()),
        _ => Err(Stop::Usage(anyhow::anyhow!(
            "not the URL of a server; for example http://127.0.0.1:8620"
        ))),
    }
}

fn unreachable_server(error: reqwest::Error) -> anyhow::Error {
    anyhow::Error::new(error.without_url()).context("the server cannot be reached")
}

impl Refused {
    /// As an error for people: what the server said no to, and where.
    pub(crate) fn stop(&self, what: &str) -> Stop {
        let places = self.body["errors"].as_array().into_iter().flatten().filter_map(|error| {
            Some(format!("; {} at {}", error["code"].as_str()?, error["pointer"].as_str()?))
        });
        let places: String = places.take(PLACES_MAX).collect();
        let (status, code) = (self.status, &self.code);
        let error = anyhow::anyhow!("{what}: the server answered {status} {code}{places}");
        if self.status >= 500 || self.status == 429 {
            Stop::Again(error)
        } else {
            Stop::Usage(error)
        }
    }
}
