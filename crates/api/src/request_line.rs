//! The edge of the surface: gives the request its id, bounds its headers, renders problems, puts the
//! headers every answer has, and writes the one line per request.
//!
//! The line is written when the last byte of the answer has gone, or the caller has. It holds method, matched path, status, latency, request id, tenant and code; never the URI,
//! whose query and ids are the caller's. A fault of ours adds the place where it arose, once, here.

use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use leadvault_domain::{Clock, Entropy, Measured, Observer, RequestId, SPANS, TenantId, Timestamp};
use leadvault_vault::Fault;
use tracing::field::{Empty, display};
use tracing::{Instrument as _, Span};

use crate::problem::Problem;
use crate::rate::{RATE_LIMIT, RATE_LIMIT_POLICY};

/// Id of the request, on every answer.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// Header fields of one request. Clients send about a dozen, proxies add a few.
const HEADERS_MAX: usize = 64;
/// Bytes of all header names and values; the largest honest one is an API key or a trace context.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// What is said of a request whose caller hung up before its answer began. No answer has it; proxies say it so.
const CALLER_GONE: u16 = 499;
/// One year, the least that browsers' preload lists take.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");

/// What the edge needs.
#[derive(Debug, Clone)]
pub(crate) struct Edge {
    /// For ids and latency.
    pub(crate) clock: Arc<dyn Clock>,
    /// For ids.
    pub(crate) entropy: Arc<dyn Entropy>,
    /// Told of each request.
    pub(crate) observer: Arc<dyn Observer>,
    /// Whether answers travel over TLS.
    pub(crate) https: bool,
}

/// Filled in by authentication, read by the line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Whose(Arc<OnceLock<TenantId>>);

impl Whose {
    /// Notes whose request it is.
    pub(crate) fn note(&self, tenant: TenantId) {
        // The first note stands: one request has one credential.
        let _ = self.0.set(tenant);
    }
}

/// The outermost layer.
pub(crate) async fn request_line(
    State(edge): State<Edge>,
    matched: Option<MatchedPath>,
    mut request: Request,
    next: Next,
) -> Response {
    let https = edge.https;
    let id = RequestId::make(&*edge.clock, &*edge.entropy);
    let mut line = Line::begin(edge, request.method(), matched, id.ok());
    let response = match id {
        Ok(id) if within_bounds(request.headers()) => {
            request.extensions_mut().insert(id);
            request.extensions_mut().insert(line.whose.clone());
            next.run(request).instrument(line.span.clone()).await
        }
        Ok(_) => Problem::from(Fault::bad("header:*", "headers_too_large")).into_response(),
        Err(_) => Problem::from(Fault::Internal("request_id_entropy")).into_response(),
    };
    line.problem = response.extensions().get::<Problem>().cloned();
    let mut response = match &line.problem {
        Some(problem) => with_headers_of(problem.render(line.id), &response),
        None => response,
    };
    put_common(response.headers_mut(), line.id, https);
    line.status = response.status().as_u16();
    response.map(|body| ends_with(body, line))
}

/// The method as a word: an unusual one is the caller's text.
fn word_of(method: &Method) -> &'static str {
    const WORDS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    WORDS.into_iter().find(|word| method.as_str() == *word).unwrap_or("other")
}

fn route_of(matched: Option<&MatchedPath>) -> &str {
    matched.map_or("unmatched", MatchedPath::as_str)
}

/// The span of a request, named by the semantic conventions of OpenTelemetry for HTTP. It has no parent: the trace
/// context of a caller is the caller's text.
fn span_of(method: &'static str, matched: Option<&MatchedPath>) -> Span {
    let route = route_of(matched);
    tracing::info_span!(
        target: SPANS, parent: None, "request",
        otel.kind = "server",
        otel.name = format_args!("{method} {route}"),
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        "error.type" = Empty,
        leadvault.request.id = Empty,
        leadvault.tenant.id = Empty,
    )
}

/// What came of it, for the span.
fn tell(span: &Span, status: u16, tenant: Option<TenantId>, code: Option<&'static str>) {
    span.record("http.response.status_code", status);
    if let Some(tenant) = tenant {
        span.record("leadvault.tenant.id", display(tenant));
    }
    if let Some(code) = code {
        span.record("error.type", code);
    }
    if status >= 500 {
        span.record("otel.status_code", "error");
    }
}

/// The body, which takes the line along and drops it at its end, or when the caller hangs up. A mapping
/// of errors that maps nothing is the lightest body that owns a value and keeps its length.
fn ends_with(body: Body, line: Line) -> Body {
    Body::new(body.map_err(move |error| {
        let _until_the_end = &line;
        error
    }))
}

fn within_bounds(headers: &HeaderMap) -> bool {
    let bytes: usize = headers.iter().map(|(n, v)| n.as_str().len() + v.len()).sum();
    headers.len() <= HEADERS_MAX && bytes <= HEADER_BYTES_MAX
}

/// Keeps what inner layers said beside the problem: `Allow` of a 405, where the tenant stands.
fn with_headers_of(mut rendered: Response, inner: &Response) -> Response {
    for name in [header::ALLOW, RATE_LIMIT, RATE_LIMIT_POLICY] {
        if let Some(value) = inner.headers().get(&name) {
            rendered.headers_mut().insert(name, value.clone());
        }
    }
    rendered
}

/// Headers of every answer. A route that may be cached has said so itself.
fn put_common(headers: &mut HeaderMap, id: RequestId, https: bool) {
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
}

/// The line of one request, written when it is dropped: at the end of the answer, or when the caller hangs up,
/// be it before the answer has begun.
#[derive(Debug)]
struct Line {
    method: &'static str,
    matched: Option<MatchedPath>,
    /// [`CALLER_GONE`] until there is an answer.
    status: u16,
    id: RequestId,
    whose: Whose,
    problem: Option<Problem>,
    began: Timestamp,
    span: Span,
    edge: Edge,
}

impl Line {
    /// A request has come.
    fn begin(
        edge: Edge,
        method: &Method,
        matched: Option<MatchedPath>,
        id: Option<RequestId>,
    ) -> Self {
        edge.observer.observe(&Measured::RequestBegan);
        let method = word_of(method);
        let span = span_of(method, matched.as_ref());
        if let Some(id) = id {
            span.record("leadvault.request.id", display(id));
        }
        Self {
            method,
            matched,
            status: CALLER_GONE,
            id: id.unwrap_or(RequestId::from_bytes([0; 16])),
            whose: Whose::default(),
            problem: None,
            began: edge.clock.now(),
            span,
            edge,
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let method = self.method;
        let path = route_of(self.matched.as_ref());
        // A panic is not the caller's doing, whatever hangs up because of it.
        let panicked = std::thread::panicking();
        let status = if panicked { 500 } else { self.status };
        let took = self.edge.clock.now().since(self.began);
        let latency_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let request_id = self.id;
        let tenant = self.whose.0.get().copied();
        let tenant_id = tenant.map(display);
        let code = self.problem.as_ref().map(|p| p.shape().code);
        let ended = Measured::RequestEnded { method, route: path, status, code, took };
        self.edge.observer.observe(&ended);
        tell(&self.span, status, tenant, code);
        // So that the line is found beside its trace.
        let _inside = self.span.enter();
        if let Some(place) = self.problem.as_ref().and_then(Problem::internal_place) {
            tracing::error!(
                method, path, status, latency_ms, %request_id, tenant_id, code, place,
                "request failed for a fault of ours"
            );
        } else if status >= 500 {
            tracing::warn!(
                method, path, status, latency_ms, %request_id, tenant_id, code, "request not served"
            );
        } else if status == CALLER_GONE {
            tracing::info!(
                method, path, status, latency_ms, %request_id, tenant_id, code, "the caller hung up"
            );
        } else {
            tracing::info!(
                method, path, status, latency_ms, %request_id, tenant_id, code, "request answered"
            );
        }
    }
}

#[cfg(test)]
mod tests;
