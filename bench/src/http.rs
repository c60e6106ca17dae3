//! One keep-alive connection to the server. No pool and no retry: a load generator must not hide anything.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Who calls, and under what.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Where the server listens.
    pub(crate) address: SocketAddr,
    /// The API key.
    pub(crate) key: String,
    /// The instruction, if one is named.
    pub(crate) instruction: Option<String>,
    /// The purpose; nothing lets the built-in permit of an exit have its own.
    pub(crate) purpose: Option<&'static str>,
}

/// An open connection of a caller.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Body>,
    caller: Caller,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub(crate) async fn open(caller: &Caller) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(caller.address).await.context("the server")?;
        stream.set_nodelay(true).context("the connection")?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.context("HTTP")?;
        // It ends with the sender, or with an error that the sender reports too.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, caller: caller.clone() })
    }

    /// Sends and reads the whole answer: status and body.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(crate) async fn call(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        idempotency_key: Option<&str>,
    ) -> anyhow::Result<(u16, Bytes)> {
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let mut headers = vec![("content-length", bytes.len().to_string())];
        if body.is_some() {
            headers.push(("content-type", "application/json".to_owned()));
        }
        if let Some(key) = idempotency_key {
            headers.push(("idempotency-key", key.to_owned()));
        }
        let answer = self.send(method, path, &headers, Full::new(bytes).boxed_unsync()).await?;
        let status = answer.status().as_u16();
        Ok((status, answer.into_body().collect().await.context("the answer")?.to_bytes()))
    }

    /// As [`Connection::call`], expecting one status and JSON.
    ///
    /// # Errors
    /// Another status, with the problem's code.
    pub(crate) async fn json(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        idempotency_key: Option<&str>,
        expected: u16,
    ) -> anyhow::Result<Value> {
        let (status, bytes) = self.call(method, path, body, idempotency_key).await?;
        let value: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        ensure!(status == expected, "{path}: the server answered {status} {}", value["code"]);
        Ok(value)
    }

    /// PUTs a stream of bytes.
    ///
    /// # Errors
    /// Another status than 200.
    pub(crate) async fn put<S>(&mut self, path: &str, body: S) -> anyhow::Result<Value>
    where
        S: Stream<Item = Bytes> + Send + 'static,
    {
        let frames = body.map(|bytes| Ok::<_, Infallible>(Frame::data(bytes)));
        let body = StreamBody::new(frames).boxed_unsync();
        let answer = self.send(Method::PUT, path, &[], body).await?;
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.context("the answer")?.to_bytes();
        let value: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        ensure!(status == 200, "{path}: the server answered {status} {}", value["code"]);
        Ok(value)
    }

    /// GETs a body of any size and returns its length; nothing of it is kept.
    ///
    /// # Errors
    /// Another status than 200, or a connection that breaks.
    pub(crate) async fn download(&mut self, path: &str) -> anyhow::Result<u64> {
        let empty = Full::new(Bytes::new()).boxed_unsync();
        let answer = self.send(Method::GET, path, &[], empty).await?;
        ensure!(answer.status() == 200, "{path}: the server answered {}", answer.status());
        let (mut body, mut length) = (answer.into_body(), 0);
        while let Some(frame) = body.frame().await {
            let frame = frame.context("the download")?;
            length += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        Ok(length)
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, String)],
        body: Body,
    ) -> anyhow::Result<Response<hyper::body::Incoming>> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("authorization", format!("Bearer {}", self.caller.key));
        if let Some(purpose) = self.caller.purpose {
            request = request.header("purpose", purpose);
        }
        if let Some(instruction) = &self.caller.instruction {
            request = request.header("instruction", instruction);
        }
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        self.sender.ready().await.context("the connection")?;
        let request = request.body(body).context("the request")?;
        self.sender.send_request(request).await.context("the server")
    }
}
