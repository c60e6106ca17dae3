//! The document and a page to browse it. The page loads nothing from elsewhere.

use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::Reply;
use crate::state::ApiState;

/// Scripts, styles and requests of this origin only; no frames, no forms.
const CSP: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

const PAGE: &str = include_str!("../../assets/docs.html");
const SCRIPT: &str = include_str!("../../assets/docs.js");
const STYLE: &str = include_str!("../../assets/docs.css");

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(show_document)).routes(routes!(show_docs))
}

/// Parts of the page, which the document does not describe.
pub(super) fn assets() -> Router<ApiState> {
    Router::new()
        .route("/docs/docs.js", get(async || asset("text/javascript; charset=utf-8", SCRIPT)))
        .route("/docs/docs.css", get(async || asset("text/css; charset=utf-8", STYLE)))
}

fn asset(media_type: &'static str, text: &'static str) -> impl IntoResponse {
    let headers: [(HeaderName, HeaderValue); 2] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, text)
}

/// A page of documentation, closed against everything from elsewhere.
pub(super) fn page(html: String) -> Reply {
    Reply::raw(StatusCode::OK, None, Html(html)).header(header::CONTENT_SECURITY_POLICY, CSP)
}

/// Gives this document.
#[utoipa::path(get, path = "/openapi.json", tag = "service", responses(
    (status = 200, description = "The OpenAPI document", body = serde_json::Value),
))]
async fn show_document() -> Reply {
    let body = crate::document::json().to_string();
    Reply::raw(StatusCode::OK, None, ([(header::CONTENT_TYPE, "application/json")], body))
}

/// Shows this document to people.
#[utoipa::path(get, path = "/docs", tag = "service", responses(
    (status = 200, description = "The documentation", body = String, content_type = "text/html"),
))]
async fn show_docs() -> Reply {
    page(PAGE.to_owned())
}
