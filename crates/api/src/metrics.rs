//! Metrics in the text format of Prometheus, on an address of their own.

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// The text format, in the version that every Prometheus reads.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /metrics`, and nothing else. `text` tells the metrics as they are now; `None` is answered 500.
pub fn metrics_router(text: impl Fn() -> Option<String> + Send + Sync + 'static) -> Router {
    let text = Arc::new(text);
    let answer = async move || -> Response {
        let text = Arc::clone(&text);
        // It looks at every tenant.
        match tokio::task::spawn_blocking(move || text()).await.ok().flatten() {
            Some(text) => ([(header::CONTENT_TYPE, TEXT)], text).into_response(),
            None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    };
    Router::new().route("/metrics", get(answer))
}
