//! A small HTTP client of the API, for the commands that talk to a server. Blocking, one connection.

use std::io::Read;
use std::path::Path;

use anyhow::Context as _;
use leadvault_domain::Sensitive;
use reqwest::blocking::{Body, Client as Http, RequestBuilder, Response};
use serde_json::Value;

use crate::exit::Stop;
use crate::input;

/// Longest wait for an answer that is not a stream.
const ANSWER_WAIT: std::time::Duration = std::time::Duration::from_secs(120);

/// Places of a problem that are shown.
const PLACES_MAX: usize = 10;

/// A server and a key.
pub(crate) struct Client {
    http: Http,
    base: String,
    key: Sensitive<String>,
    instruction: Option<String>,
    purpose: Option<String>,
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
        Self::new(url, read_key(key_file)?)
    }

    /// A client of `url` with a key.
    ///
    /// # Errors
    /// 2 for a URL that names no server of HTTP; or when TLS cannot be set up.
    pub(crate) fn new(url: &str, key: Sensitive<String>) -> Result<Self, Stop> {
        let base = base_url(url)?;
        let http = Http::builder()
            .timeout(None)
            .connect_timeout(std::time::Duration::from_secs(10))
            .build()
            .context("HTTP client")?;
        Ok(Self { http, base, key, instruction: None, purpose: None })
    }

    /// The same, acting under an instruction and a purpose.
    pub(crate) fn under(mut self, instruction: Option<String>, purpose: Option<String>) -> Self {
        self.instruction = instruction;
        self.purpose = purpose;
        self
    }

    fn request(&self, method: reqwest::Method, path: &str) -> RequestBuilder {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(self.key.expose());
        if let Some(instruction) = &self.instruction {
            request = request.header("Instruction", instruction);
        }
        if let Some(purpose) = &self.purpose {
            request = request.header("Purpose", purpose);
        }
        request
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
        let mut request = self.request(reqwest::Method::PUT, path).body(Body::sized(body, len));
        if let Some(range) = range {
            request = request.header("Content-Range", range);
        }
        Self::finish(request)
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
            _ => Err(refused(body).stop("the download")),
        }
    }

    fn finish(request: RequestBuilder) -> Result<Said, Stop> {
        let response = request.send().map_err(|e| Stop::Again(unreachable_server(e)))?;
        if !response.status().is_success() {
            return Ok(Err(refused(response)));
        }
        let header = |name: &str| {
            response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned)
        };
        let index = header("Ledger-Index").and_then(|v| v.parse().ok());
        let status = response.status().as_u16();
        let text = response.text().map_err(|e| Stop::Again(unreachable_server(e)))?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Ok(Answered { status, body, index }))
    }
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

fn refused(response: Response) -> Refused {
    let status = response.status().as_u16();
    let body: Value = response.json().unwrap_or(Value::Null);
    let code = body.get("code").and_then(Value::as_str).unwrap_or("unknown").to_owned();
    Refused { status, code, body }
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
