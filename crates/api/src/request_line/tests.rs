//! The edge: ids, bounds, problems, and a line without the URI.

use std::io;
use std::sync::Mutex;

use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use axum::{Extension, Router};
use leadvault_domain::{EntropyFailed, Unobserved};
use tower::ServiceExt as _;
use tracing_subscriber::fmt::MakeWriter;

use super::*;

#[derive(Debug)]
struct Still;
impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_795_424_400_000_000)
    }
}

#[derive(Debug)]
struct Sevens;
impl Entropy for Sevens {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyFailed> {
        bytes.fill(7);
        Ok(())
    }
}

/// Collects what a subscriber writes.
#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn app() -> Router {
    let edge = Edge {
        clock: Arc::new(Still),
        entropy: Arc::new(Sevens),
        observer: Arc::new(Unobserved),
        https: true,
    };
    Router::new()
        .route("/v1/leads/{id}", get(async || "lead"))
        .route("/denied", get(async || Problem::from(Fault::PurposeRequired)))
        .route("/broken", get(async || Problem::from(Fault::Internal("the_place"))))
        .route(
            "/mine",
            get(async |Extension(whose): Extension<Whose>| {
                whose.note(TenantId::from_bytes([3; 16]));
            }),
        )
        .fallback(async || Problem::from(Fault::NotFound))
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .layer(from_fn_with_state(edge, request_line))
}

async fn ask(request: Request) -> (StatusCode, HeaderMap, String, String) {
    let lines = Lines::default();
    let subscriber =
        tracing_subscriber::fmt().json().with_writer(lines.clone()).with_ansi(false).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let response = app().oneshot(request).await.unwrap();
    assert!(lines.0.lock().unwrap().is_empty(), "the line comes after the body");
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 1 << 16).await.unwrap();
    drop(guard);
    let line = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap(), line)
}

fn to(path: &str) -> Request {
    Request::builder().uri(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn every_answer_has_an_id_and_may_not_be_stored() {
    for path in ["/v1/leads/x", "/denied", "/broken", "/nowhere"] {
        let (_, headers, ..) = ask(to(path)).await;
        assert!(headers["request-id"].to_str().unwrap().starts_with("req_"), "{path}");
        assert_eq!(headers["cache-control"], "no-store", "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert!(headers.contains_key("strict-transport-security"), "{path}");
    }
}

#[tokio::test]
async fn one_line_tells_the_matched_path_and_never_the_uri() {
    let (status, headers, _, line) = ask(to("/v1/leads/canary-id?fields=canary-query")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(line.lines().count(), 1, "{line}");
    let told: serde_json::Value = serde_json::from_str(&line).unwrap();
    let fields = &told["fields"];
    assert_eq!(fields["method"], "GET");
    assert_eq!(fields["path"], "/v1/leads/{id}");
    assert_eq!(fields["status"], 200);
    assert_eq!(fields["latency_ms"], 0);
    assert_eq!(fields["request_id"], headers["request-id"].to_str().unwrap());
    assert!(!line.contains("canary"), "{line}");
}

#[tokio::test]
async fn a_path_that_is_not_served_is_not_told_either() {
    let (status, _, body, line) = ask(to("/canary-path")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(body.contains("\"not_found\"") && !body.contains("canary"), "{body}");
    assert!(line.contains("\"unmatched\"") && !line.contains("canary"), "{line}");
}

#[tokio::test]
async fn the_line_names_the_tenant_and_the_code() {
    let (.., line) = ask(to("/mine")).await;
    let tenant = TenantId::from_bytes([3; 16]).to_string();
    assert!(line.contains(&tenant), "{line}");
    let (.., line) = ask(to("/denied")).await;
    assert!(line.contains("purpose_required") && !line.contains(&tenant), "{line}");
}

#[tokio::test]
async fn a_fault_of_ours_tells_its_place_to_the_log_alone() {
    let (status, _, body, line) = ask(to("/broken")).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(line.contains("the_place"), "{line}");
    assert!(!body.contains("the_place"), "{body}");
}

#[tokio::test]
async fn another_method_is_refused_with_those_that_are_taken() {
    let mut request = to("/denied");
    *request.method_mut() = Method::DELETE;
    let (status, headers, body, _) = ask(request).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(headers["allow"], "GET,HEAD");
    assert!(body.contains("\"method_not_allowed\""), "{body}");
}

#[tokio::test]
async fn too_many_or_too_long_headers_are_refused_unread() {
    let mut many = to("/v1/leads/x");
    for n in 0..65 {
        let name = HeaderName::from_bytes(format!("x-{n}").as_bytes()).unwrap();
        many.headers_mut().insert(name, HeaderValue::from_static("1"));
    }
    let mut long = to("/v1/leads/x");
    let value = HeaderValue::from_str(&"canary".repeat(3_000)).unwrap();
    long.headers_mut().insert("x-long", value);
    for request in [many, long] {
        let (status, _, body, line) = ask(request).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(body.contains("headers_too_large") && !body.contains("canary"), "{body}");
        assert!(!line.contains("canary"), "{line}");
    }
}

/// Counts requests that began and have not ended.
#[derive(Debug, Default)]
struct Active(std::sync::atomic::AtomicI64, Mutex<Vec<u16>>);

impl Observer for Active {
    fn observe(&self, measured: &Measured<'_>) {
        use std::sync::atomic::Ordering::SeqCst;
        match measured {
            Measured::RequestBegan => drop(self.0.fetch_add(1, SeqCst)),
            Measured::RequestEnded { status, .. } => {
                self.0.fetch_sub(1, SeqCst);
                self.1.lock().unwrap().push(*status);
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_caller_that_hangs_up_before_the_answer_is_a_request_that_ended() {
    let active = Arc::new(Active::default());
    let observer: Arc<dyn Observer> = active.clone();
    let edge = Edge { clock: Arc::new(Still), entropy: Arc::new(Sevens), observer, https: false };
    let app = Router::new()
        .route("/slow", get(async || std::future::pending::<()>().await))
        .route("/quick", get(async || "done"))
        .layer(from_fn_with_state(edge, request_line));
    let count = || active.0.load(std::sync::atomic::Ordering::SeqCst);
    let mut call = Box::pin(app.clone().oneshot(to("/slow")));
    assert!(futures::poll!(call.as_mut()).is_pending());
    assert_eq!(count(), 1);
    drop(call);
    assert_eq!(count(), 0);
    let answer = app.oneshot(to("/quick")).await.unwrap();
    assert_eq!(count(), 1, "it ends with the body");
    drop(answer);
    assert_eq!((count(), active.1.lock().unwrap().clone()), (0, vec![499, 200]));
}
