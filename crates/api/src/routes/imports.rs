//! Imports: opened, fed with a file, followed, undone.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use futures::StreamExt as _;
use leadvault_domain::{Category, DatasetId, ImportId};
use leadvault_vault::import::job::{self, FailureRow, ImportView, NewImport, Part};
use leadvault_vault::import::undo;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::operations;
use crate::answer::{Handled, Reply};
use crate::extract::{ContentRange, Path, TenantCall, TenantJson};
use crate::problem::Refused;
use crate::state::ApiState;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(open_import))
        .routes(routes!(show_import))
        .routes(routes!(list_import_failures))
        .routes(routes!(undo_import))
}

pub(super) fn streams() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(put_import_content))
}

/// What became of the rows; read = stored + updated + skipped + rejected.
#[derive(Serialize, ToSchema)]
struct Rows {
    /// Seen.
    read: u64,
    /// New leads.
    stored: u64,
    /// Merged into leads that were there.
    updated: u64,
    /// Left out because the lead is there.
    skipped: u64,
    /// Refused.
    rejected: u64,
}

/// What a column became.
#[derive(Serialize, ToSchema)]
struct MappedColumn {
    /// Its index, from 0.
    index: usize,
    /// The header's text; null for a key that may not read the dataset.
    #[schema(required = true)]
    column: Option<String>,
    /// The field it went to.
    #[schema(required = true)]
    field: Option<String>,
    /// Its category.
    #[schema(value_type = String, example = "contact")]
    category: Category,
    /// `dictionary`, `caller` or `none`.
    #[schema(example = "dictionary")]
    by: &'static str,
}

/// An import.
#[derive(Serialize, ToSchema)]
struct Import {
    /// Its id.
    #[schema(value_type = String, example = "imp_01kb0000000000000000000000")]
    id: ImportId,
    /// The dataset its leads go to; null once that is shredded.
    #[schema(value_type = Option<String>, example = "ds_01kb0000000000000000000000", required = true)]
    dataset: Option<DatasetId>,
    /// `open`, `running`, `quarantined`, `done`, `failed` or `undone`.
    #[schema(example = "done")]
    state: &'static str,
    /// Where the client goes on.
    next_byte: u64,
    /// What became of the rows.
    rows: Rows,
    /// Bytes taken.
    bytes: u64,
    /// Rows a second, while it runs.
    #[schema(required = true)]
    rate_per_second: Option<f64>,
    /// Seconds left, while it is uploaded and the client said how long the file is.
    #[schema(required = true)]
    remaining_seconds: Option<f64>,
    /// What was detected: encoding, delimiter, quote, header.
    #[schema(value_type = Option<Object>, required = true)]
    detected: Option<Value>,
    /// What the columns became.
    mapping: Vec<MappedColumn>,
}

impl From<ImportView> for Import {
    fn from(view: ImportView) -> Self {
        let mapping = view.mapping.into_iter().map(|c| MappedColumn {
            index: c.index,
            column: c.column,
            field: c.field,
            category: c.category,
            by: c.by,
        });
        Self {
            id: view.id,
            dataset: view.dataset,
            state: view.state,
            next_byte: view.next_byte,
            rows: Rows {
                read: view.rows.read,
                stored: view.rows.stored,
                updated: view.rows.updated,
                skipped: view.rows.skipped,
                rejected: view.rows.rejected,
            },
            bytes: view.next_byte,
            rate_per_second: view.rate_per_second,
            remaining_seconds: view.remaining_seconds,
            detected: view.detected,
            mapping: mapping.collect(),
        }
    }
}

/// Opens an import into a dataset.
#[utoipa::path(post, path = "/v1/imports", tag = "imports",
    request_body(content = serde_json::Value, example = json!({"dataset":
        "ds_01kb0000000000000000000000", "format": "auto", "mapping": null, "duplicates": {"by":
        ["email"], "action": "skip"}, "default_region": null, "attestation": null})),
    responses((status = 201, body = Import), (status = 404, response = Refused),
        (status = 423, response = Refused)))]
async fn open_import(
    State(state): State<ApiState>,
    TenantJson { call, body }: TenantJson<NewImport>,
) -> Handled {
    let opened = job::open(&state.cell, &call, body).await?;
    let location = format!("/v1/imports/{}", opened.value.id);
    Ok(Reply::created(opened, Import::from)?.location(&location))
}

/// Uploads the file, or the rest of it with `Content-Range`.
#[utoipa::path(put, path = "/v1/imports/{id}/content", tag = "imports",
    params(("id" = String, Path, description = "The import")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = Import), (status = 404, response = Refused),
        (status = 409, response = Refused), (status = 422, response = Refused),
        (status = 423, response = Refused)))]
async fn put_import_content(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Path(id): Path<ImportId>,
    range: Option<ContentRange>,
    headers: HeaderMap,
    body: Body,
) -> Handled {
    let part = range.map_or_else(|| whole(&headers), |range| part(&range));
    let done = job::content(&state.cell, &call, id, part, body.into_data_stream()).await?;
    Reply::ok(done, Import::from)
}

/// A body without `Content-Range` is the whole file.
fn whole(headers: &HeaderMap) -> Part {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok());
    let length = length.and_then(|text| text.parse().ok());
    Part { from: 0, bytes: length, total: length }
}

fn part(range: &ContentRange) -> Part {
    let bytes = range.last.saturating_sub(range.first).saturating_add(1);
    Part { from: range.first, bytes: Some(bytes), total: range.total }
}

/// Follows an import.
#[utoipa::path(get, path = "/v1/imports/{id}", tag = "imports",
    params(("id" = String, Path, description = "The import")),
    responses((status = 200, body = Import), (status = 404, response = Refused)))]
async fn show_import(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Path(id): Path<ImportId>,
) -> Handled {
    Reply::ok(job::find(&state.cell, &call, id).await?, Import::from)
}

/// Lists the rows that were refused: row, column, code; never a value.
#[utoipa::path(get, path = "/v1/imports/{id}/failures", tag = "imports",
    params(("id" = String, Path, description = "The import")),
    responses((status = 200, body = String, content_type = "text/csv"),
        (status = 404, response = Refused)))]
async fn list_import_failures(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Path(id): Path<ImportId>,
) -> Handled {
    let pages = job::failures(&state.cell, &call, id).await?.value;
    let head = futures::stream::iter([Ok("row,column,code\r\n".to_owned())]);
    let rows = pages.map(|page| match page {
        Ok(page) => Ok(page.iter().map(failure_line).collect::<String>()),
        // The status is out: the body ends before its last chunk, and the client sees it cut off.
        Err(fault) => Err(std::io::Error::other(fault)),
    });
    let reply = Reply::raw(StatusCode::OK, None, Body::from_stream(head.chain(rows)));
    Ok(reply.header(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8")))
}

fn failure_line(failure: &FailureRow) -> String {
    let column = failure.column.map(|c| c.to_string()).unwrap_or_default();
    format!("{},{column},{}\r\n", failure.row, failure.code)
}

/// Undoes an import: its rows go, keys first.
#[utoipa::path(post, path = "/v1/imports/{id}/undo", tag = "imports",
    params(("id" = String, Path, description = "The import")),
    responses((status = 202, body = operations::Begun), (status = 404, response = Refused),
        (status = 409, response = Refused)))]
async fn undo_import(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Path(id): Path<ImportId>,
) -> Handled {
    operations::begun(undo::undo(&state.cell, &call, id).await?)
}
