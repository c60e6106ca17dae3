//! What a connection may take before anything of it is a request: how many there are, how long a request
//! head may be on its way, how large it may be.
//!
//! It is not the place of bounds on requests; those are in `api`. Each bound here is one that an unknown
//! caller can reach.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum_server::accept::Accept;
use axum_server::{Address, Server};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service;

/// Bytes of a request head. `api` refuses above 16 KiB of headers with a problem; this is where reading ends.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Header fields read at all; `api` refuses above 64 with a problem.
const HEADERS_MAX: usize = 256;
/// Streams of one HTTP/2 connection.
const STREAMS_MAX: u32 = 128;
/// A caller that does not answer a ping of HTTP/2 in this time is gone.
const PING: Duration = Duration::from_secs(20);
/// Files the server needs for itself: databases, logs, artifacts.
const OWN_FILES: u64 = 128;

/// Raises the limit on open files to what the system allows, and returns the connections that fit.
pub(super) fn connections_that_fit(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Where it may not be raised, the present limit holds.
    let _ = setrlimit(Resource::Nofile, raised);
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let fit = usize::try_from(files.saturating_sub(OWN_FILES)).unwrap_or(usize::MAX);
    if fit < wanted {
        tracing::warn!(connections = fit, "the limit on open files allows fewer connections");
    }
    wanted.min(fit).max(1)
}

/// Sets the bounds of a server's connections.
pub(super) fn bounded<A: Address, Acc>(
    mut server: Server<A, Acc>,
    connections: usize,
    head: Duration,
) -> Server<A, Bounded<Acc>>
where
    Acc: Clone,
{
    let builder = server.http_builder();
    builder.http1().header_read_timeout(head).max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
    builder
        .http2()
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    let permits = Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS)));
    server.first_request_timeout(head).map(|inner| Bounded { inner, permits })
}

/// Takes a number of connections at once; one more is closed at once.
#[derive(Debug, Clone)]
pub(super) struct Bounded<Acc> {
    inner: Acc,
    permits: Arc<Semaphore>,
}

impl<I, S, Acc> Accept<I, S> for Bounded<Acc>
where
    I: 'static,
    S: 'static,
    Acc: Accept<I, S> + 'static,
    Acc::Future: Send + 'static,
    Acc::Stream: Send + 'static,
    Acc::Service: Send + 'static,
{
    type Stream = Acc::Stream;
    type Service = Counted<Acc::Service>;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            return Box::pin(std::future::ready(Err(io::ErrorKind::QuotaExceeded.into())));
        };
        let accepted = self.inner.accept(stream, service);
        Box::pin(async move {
            let (stream, inner) = accepted.await?;
            Ok((stream, Counted { inner, permit: Arc::new(permit) }))
        })
    }
}

/// The service of one connection, which keeps its place for as long as it lives.
#[derive(Debug, Clone)]
pub(super) struct Counted<S> {
    inner: S,
    #[expect(dead_code, reason = "held, not read: dropping it gives the place back")]
    permit: Arc<OwnedSemaphorePermit>,
}

impl<S, R> Service<R> for Counted<S>
where
    S: Service<R>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        self.inner.call(request)
    }
}
