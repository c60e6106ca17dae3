//! Imports: opened, fed with a file, followed, undone.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use leadvault_domain::{Category, ImportId};
use leadvault_vault::import::job::{self, ImportView, NewImport};
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
    /// The header's text.
    column: String,
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
    /// Time left, where it can be told; a single upload does not say how long it is.
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
            remaining_seconds: None,
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
    body: Body,
) -> Handled {
    let from = range.map_or(0, |range| range.first);
    let done = job::content(&state.cell, &call, id, from, body.into_data_stream()).await?;
    Reply::ok(done, Import::from)
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
    let failures = job::failures(&state.cell, &call, id).await?;
    let mut csv = String::from("row,column,code\r\n");
    for failure in &failures.value {
        let column = failure.column.map(|c| c.to_string()).unwrap_or_default();
        csv.push_str(&format!("{},{column},{}\r\n", failure.row, failure.code));
    }
    let reply = Reply::raw(StatusCode::OK, None, csv);
    Ok(reply.header(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8")))
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
