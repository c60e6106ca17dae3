//! Exports: started, followed, downloaded.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use leadvault_domain::{DatasetId, ExportId, Timestamp};
use leadvault_vault::Span;
use leadvault_vault::export::{self, ExportView};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::operations;
use crate::answer::{Handled, Reply};
use crate::extract::{ByteRange, Path, Ranged, TenantCall, TenantJson};
use crate::problem::Refused;
use crate::state::ApiState;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(start_export)).routes(routes!(show_export))
}

pub(super) fn streams() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(download_export))
}

/// What is exported.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ExportDraft {
    /// One dataset; null = everything.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    dataset: Option<DatasetId>,
    /// Unencrypted. The log says so.
    #[serde(default)]
    plain: bool,
}

/// An export.
#[derive(Serialize, ToSchema)]
struct Export {
    /// Its id.
    #[schema(value_type = String, example = "exp_01kb0000000000000000000000")]
    id: ExportId,
    /// `running`, `ready`, `stale` or `expired`.
    #[schema(example = "ready")]
    state: &'static str,
    /// Digest of the package, 64 hexadecimal digits.
    #[schema(required = true)]
    sha256: Option<String>,
    /// Its length.
    #[schema(required = true)]
    bytes: Option<u64>,
    /// Leads in it.
    #[schema(required = true)]
    leads: Option<u64>,
    /// Whether it is encrypted to the tenant's recipient.
    encrypted: bool,
    /// When it goes.
    #[schema(value_type = String, example = "2026-11-30T00:00:00.000000Z")]
    expires_at: Timestamp,
}

impl From<ExportView> for Export {
    fn from(view: ExportView) -> Self {
        let ExportView { id, state, sha256, bytes, leads, encrypted, expires_at } = view;
        Self { id, state, sha256, bytes, leads, encrypted, expires_at }
    }
}

/// Starts an export; the operation's result names it.
#[utoipa::path(post, path = "/v1/exports", tag = "exports", request_body = ExportDraft,
    responses((status = 202, body = operations::Begun), (status = 404, response = Refused),
        (status = 409, response = Refused), (status = 423, response = Refused)))]
async fn start_export(
    State(state): State<ApiState>,
    TenantJson { call, body }: TenantJson<ExportDraft>,
) -> Handled {
    operations::begun(export::start(&state.cell, &call, body.dataset, body.plain).await?)
}

/// Follows an export.
#[utoipa::path(get, path = "/v1/exports/{id}", tag = "exports",
    params(("id" = String, Path, description = "The export")),
    responses((status = 200, body = Export), (status = 404, response = Refused)))]
async fn show_export(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Path(id): Path<ExportId>,
) -> Handled {
    Reply::ok(export::find(&state.cell, &call, id).await?, Export::from)
}

/// Downloads the package, or a span of it with `Range`; each download is an entry. A download that was cut off
/// goes on with `Range` and, in `If-Range`, the `ETag` of the answer before.
#[utoipa::path(get, path = "/v1/exports/{id}/content", tag = "exports",
    params(("id" = String, Path, description = "The export"),
        ("Range" = Option<String>, Header, description = "One range of bytes"),
        ("If-Range" = Option<String>, Header, description = "The `ETag` the range is of")),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 404, response = Refused), (status = 410, response = Refused),
        (status = 416, response = Refused), (status = 423, response = Refused)))]
async fn download_export(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Path(id): Path<ExportId>,
    ranged: Ranged,
) -> Handled {
    // The bytes of an export never change once there are any: its id is its strong tag.
    let etag = format!("\"{id}\"");
    let span = match ranged.of(&etag) {
        Some(ByteRange::From(first, last)) => Span::From(first, last),
        Some(ByteRange::Last(n)) => Span::Last(n),
        None => Span::Whole,
    };
    let download = export::content(&state.cell, &call, id, span).await?;
    let (file, stamp) = (download.value, download.stamp);
    let status = if span == Span::Whole { StatusCode::OK } else { StatusCode::PARTIAL_CONTENT };
    let last = file.first.saturating_add(file.length).saturating_sub(1);
    let mut reply = Reply::raw(status, stamp.as_ref(), Body::from_stream(file.body))
        .header(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
        .header(header::CONTENT_LENGTH, HeaderValue::from(file.length))
        .header(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let attachment = format!("attachment; filename=\"{}\"", file.name);
    let span = format!("bytes {}-{last}/{}", file.first, file.total);
    let texts = [
        (header::ETAG, Some(etag)),
        (header::CONTENT_DISPOSITION, Some(attachment)),
        (header::CONTENT_RANGE, (status == StatusCode::PARTIAL_CONTENT).then_some(span)),
    ];
    for (name, text) in texts {
        // Ids and numbers are always a header value.
        if let Some(Ok(value)) = text.map(|text| HeaderValue::from_str(&text)) {
            reply = reply.header(name, value);
        }
    }
    Ok(reply)
}
