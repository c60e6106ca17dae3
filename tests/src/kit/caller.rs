//! A client with a key.
#![expect(clippy::expect_used, reason = "a kit of tests: what is unexpected fails the test")]

use std::io::Read as _;
use std::time::Duration;

use leadvault_crypto::Sha256Stream;
use reqwest::Method;
use reqwest::blocking::Client;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::{Answer, until};

/// For how long a body may come.
const LONG: Duration = Duration::from_mins(10);

/// A client with a key.
#[derive(Debug, Clone)]
pub struct Caller {
    http: Client,
    url: String,
    key: Option<String>,
    instruction: Option<String>,
    purpose: Option<String>,
}

impl Caller {
    /// With a key.
    pub fn new(url: &str, key: &str) -> Self {
        // The second caller finds it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().timeout(Duration::from_mins(1)).build();
        Self {
            http: http.expect("an HTTP client"),
            url: url.to_owned(),
            key: Some(key.to_owned()),
            instruction: None,
            purpose: None,
        }
    }

    /// Without a key.
    pub fn nobody(url: &str) -> Self {
        Self { key: None, ..Self::new(url, "") }
    }

    /// The same, under an instruction and a purpose.
    pub fn under(mut self, instruction: &str, purpose: &str) -> Self {
        self.instruction = Some(instruction.to_owned());
        self.purpose = Some(purpose.to_owned());
        self
    }

    /// The same, naming neither.
    pub fn without_instruction(mut self) -> Self {
        self.instruction = None;
        self.purpose = None;
        self
    }

    /// Sends a request with further headers.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> reqwest::Result<Answer> {
        let mut request = self.request(method, path, headers);
        if let Some(body) = body {
            request = request.body(body);
        }
        request.send().map(Answer::of)
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> reqwest::blocking::RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        if let Some(instruction) = &self.instruction {
            request = request.header("Instruction", instruction);
        }
        if let Some(purpose) = &self.purpose {
            request = request.header("Purpose", purpose);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request
    }

    /// As [`Caller::try_send`], of a server that lives.
    pub fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Answer {
        self.try_send(method, path, headers, body).expect("the server answers")
    }

    /// PUT of a body as it comes.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn put_stream(
        &self,
        path: &str,
        body: impl std::io::Read + Send + 'static,
    ) -> reqwest::Result<Answer> {
        self.stream(Method::PUT, path, &[], body)
    }

    /// A request with a body as it comes.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn stream(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl std::io::Read + Send + 'static,
    ) -> reqwest::Result<Answer> {
        let mut request = self.request(method, path, headers).timeout(LONG);
        request = request.body(reqwest::blocking::Body::new(body));
        request.send().map(Answer::of)
    }

    /// GET.
    pub fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], None)
    }

    /// GET of bytes: status, headers and what came.
    pub fn fetch(&self, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, Vec<u8>) {
        self.try_fetch(path, headers).expect("the server answers to the end")
    }

    /// GET whose body is read by and by.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn begin(&self, path: &str) -> reqwest::Result<impl std::io::Read + use<>> {
        self.request(Method::GET, path, &[]).timeout(LONG).send()
    }

    /// GET of bytes that are not kept: status, how many they were, and their digest.
    ///
    /// # Errors
    /// When the connection breaks, in the body too.
    pub fn digest(&self, path: &str) -> std::io::Result<(u16, u64, [u8; 32])> {
        let sent = self.request(Method::GET, path, &[]).timeout(LONG).send();
        let mut response = sent.map_err(std::io::Error::other)?;
        let (mut digest, mut bytes) = (Sha256Stream::new(), 0);
        let mut piece = vec![0; 1 << 20];
        loop {
            match response.read(&mut piece)? {
                0 => break,
                n => {
                    digest.update(&piece[..n]);
                    bytes += n as u64;
                }
            }
        }
        Ok((response.status().as_u16(), bytes, digest.finish()))
    }

    /// As [`Caller::fetch`].
    ///
    /// # Errors
    /// When the connection breaks, in the body too.
    pub fn try_fetch(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> reqwest::Result<(u16, HeaderMap, Vec<u8>)> {
        let response = self.request(Method::GET, path, headers).send()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok((status, headers, response.bytes()?.to_vec()))
    }

    /// POST of JSON.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        let json = [("content-type", "application/json")];
        self.send(Method::POST, path, &json, Some(body.to_string().into_bytes()))
    }

    /// POST of JSON with an idempotency key.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn try_post(&self, path: &str, body: &Value, key: &str) -> reqwest::Result<Answer> {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        self.try_send(Method::POST, path, &headers, Some(body.to_string().into_bytes()))
    }

    /// Waits until an operation is over, and gives its last state. `operation` is its id or its path.
    pub fn ended(&self, operation: &str) -> Value {
        let id = operation.rsplit('/').next().unwrap_or(operation);
        until(&format!("{id} is over"), || {
            let state = self.get(&format!("/v1/operations/{id}")).expect(200).body;
            (state["state"] != "running").then_some(state)
        })
    }

    /// As [`Caller::ended`], of an operation that succeeds; its result.
    #[track_caller]
    pub fn finished(&self, operation: &str) -> Value {
        let state = self.ended(operation);
        assert_eq!(state["state"], "done", "{state}");
        state["result"].clone()
    }
}
