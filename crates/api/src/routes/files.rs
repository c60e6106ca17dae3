//! Files of leads: made, uploaded, listed, downloaded, deleted.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use leadvault_domain::{FileId, LeadId, Timestamp};
use leadvault_vault::files::{self, Deleted, FileView, NewFile, Progress, Upload};
use leadvault_vault::{Answer, Span};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::{Handled, Reply};
use crate::extract::{ByteRange, ContentRange, Path, Ranged, TenantCall, TenantJson};
use crate::linger::linger;
use crate::problem::Refused;
use crate::state::ApiState;

/// Bytes that are stored: where an upload goes on.
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
/// Bytes of the whole.
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(create_file, list_files))
        .routes(routes!(delete_file))
        .routes(routes!(tell_offset, delete_file_content))
}

pub(super) fn streams() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(put_file_content, download_file))
}

/// A file to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FileDraft {
    /// What it is called: at most 255 bytes, no path, no control characters.
    #[schema(example = "contract.pdf")]
    name: String,
    /// Bytes that will be uploaded.
    #[schema(example = 482_133)]
    size: u64,
    /// Other leads of the same dataset it belongs to as well; 20 in all.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    leads: Vec<LeadId>,
    /// Whether it goes with the `last` of its leads that is erased, or with `any`.
    #[serde(default)]
    erase_with: EraseWith,
}

/// Which of its leads a file goes with.
#[derive(Deserialize, Serialize, ToSchema, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum EraseWith {
    /// The last one.
    #[default]
    Last,
    /// The first of them that is erased.
    Any,
}

/// A file that was made.
#[derive(Serialize, ToSchema)]
struct FileMade {
    /// Its id.
    #[schema(value_type = String, example = "file_01kb0000000000000000000000")]
    id: FileId,
}

/// A file without its content.
#[derive(Serialize, ToSchema)]
struct File {
    /// Its id.
    #[schema(value_type = String, example = "file_01kb0000000000000000000000")]
    id: FileId,
    /// What it is called.
    #[schema(example = "contract.pdf")]
    name: String,
    /// Bytes.
    size: u64,
    /// Told by its first bytes; null until they came.
    #[serde(rename = "type")]
    #[schema(required = true, example = "application/pdf")]
    media_type: Option<String>,
    /// SHA-256 of the whole, 64 hexadecimal digits; null until it is complete.
    #[schema(required = true)]
    sha256: Option<String>,
    /// `open` while it is uploaded, then `complete`.
    #[schema(example = "complete")]
    state: &'static str,
    /// Which of its leads it goes with.
    erase_with: EraseWith,
    /// Its leads.
    #[schema(value_type = Vec<String>)]
    leads: Vec<LeadId>,
    /// When it was made.
    #[schema(value_type = String, example = "2026-11-30T00:00:00.000000Z")]
    created_at: Timestamp,
}

impl From<FileView> for File {
    fn from(view: FileView) -> Self {
        Self {
            id: view.id,
            name: view.name.expose().clone(),
            size: view.size,
            media_type: view.media_type,
            sha256: view.sha256,
            state: view.state,
            erase_with: if view.goes_with_any { EraseWith::Any } else { EraseWith::Last },
            leads: view.leads,
            created_at: view.created_at,
        }
    }
}

/// The files of a lead.
#[derive(Serialize, ToSchema)]
struct FileList {
    /// All of them, by age; their number is limited.
    data: Vec<File>,
}

/// A file that was uploaded.
#[derive(Serialize, ToSchema)]
struct FileStored {
    /// Its id.
    #[schema(value_type = String, example = "file_01kb0000000000000000000000")]
    id: FileId,
    /// Bytes.
    size: u64,
    /// Told by its first bytes.
    #[serde(rename = "type")]
    #[schema(required = true, example = "application/pdf")]
    media_type: Option<String>,
    /// SHA-256 of the whole, 64 hexadecimal digits.
    #[schema(required = true)]
    sha256: Option<String>,
}

/// A file that nothing finds any more, whose key is destroyed when the tenant's key is back.
#[derive(Serialize, ToSchema)]
struct PendingDeletion {
    /// The file.
    #[schema(value_type = String, example = "file_01kb0000000000000000000000")]
    file: FileId,
    /// Always `pending_key`.
    #[schema(example = "pending_key")]
    state: &'static str,
}

/// Makes a file of a lead; its content is uploaded next.
#[utoipa::path(post, path = "/v1/leads/{id}/files", tag = "files", request_body = FileDraft,
    params(("id" = String, Path, description = "The lead")),
    responses((status = 201, body = FileMade), (status = 404, response = Refused),
        (status = 423, response = Refused)))]
async fn create_file(
    State(state): State<ApiState>,
    Path(lead): Path<LeadId>,
    TenantJson { call, body }: TenantJson<FileDraft>,
) -> Handled {
    let goes_with_any = matches!(body.erase_with, EraseWith::Any);
    let new = NewFile { name: body.name, size: body.size, leads: body.leads, goes_with_any };
    let made = files::create(&state.cell, &call, lead, &new).await?;
    let location = format!("/v1/files/{}/content", made.value);
    Ok(Reply::created(made, |id| FileMade { id })?.location(&location))
}

/// Lists the files of a lead.
#[utoipa::path(get, path = "/v1/leads/{id}/files", tag = "files",
    params(("id" = String, Path, description = "The lead")),
    responses((status = 200, body = FileList), (status = 423, response = Refused)))]
async fn list_files(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Path(lead): Path<LeadId>,
) -> Handled {
    let listed = files::list(&state.cell, &call, lead).await?;
    Reply::ok(listed, |files| FileList { data: files.into_iter().map(File::from).collect() })
}

/// Uploads the file, or a piece of it with `Content-Range`. What is not the end is stored in whole chunks of 65,535
/// bytes and answered 308: `Range` and `Upload-Offset` say how far, and the next piece begins there. Sent again from
/// the beginning, the file is compared with what is stored.
#[utoipa::path(put, path = "/v1/files/{id}/content", tag = "files",
    params(("id" = String, Path, description = "The file"),
        ("Content-Range" = Option<String>, Header, description = "Which bytes the body brings",
            example = "bytes 0-65534/482133")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = FileStored), (status = 308, description = "More is to come"),
        (status = 404, response = Refused), (status = 409, response = Refused),
        (status = 423, response = Refused)))]
async fn put_file_content(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Path(id): Path<FileId>,
    range: Option<ContentRange>,
    headers: HeaderMap,
    body: Body,
) -> Handled {
    let part = range.map_or_else(|| whole(&headers), |range| piece(&range));
    let mut body = body.into_data_stream();
    let done = match files::upload(&state.cell, &call, id, part, &mut body).await {
        Ok(done) => done,
        Err(refusal) => {
            linger(&mut body).await;
            return Err(refusal.into());
        }
    };
    if done.value.sha256.is_none() {
        let reply = Reply::raw(StatusCode::PERMANENT_REDIRECT, done.stamp.as_ref(), ());
        return Ok(with_offset(reply, &done.value));
    }
    let stored = |p: Progress| FileStored {
        id: p.id,
        size: p.size,
        media_type: p.media_type,
        sha256: p.sha256,
    };
    Reply::ok(done, stored)
}

/// A body without `Content-Range` is the whole file.
fn whole(headers: &HeaderMap) -> Upload {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok());
    let bytes = length.and_then(|text| text.parse().ok());
    Upload { from: 0, bytes, total: bytes }
}

fn piece(range: &ContentRange) -> Upload {
    let bytes = range.last.saturating_sub(range.first).saturating_add(1);
    Upload { from: range.first, bytes: Some(bytes), total: range.total }
}

/// Tells where an upload stands, in `Upload-Offset` and `Range`; it makes no entry, as nothing of the file goes out.
#[utoipa::path(head, path = "/v1/files/{id}/content", tag = "files",
    params(("id" = String, Path, description = "The file")),
    responses((status = 200, description = "`Upload-Offset` and `Upload-Length` in bytes"),
        (status = 404, response = Refused), (status = 423, response = Refused)))]
async fn tell_offset(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Path(id): Path<FileId>,
) -> Handled {
    let told = files::offset(&state.cell, &call, id).await?;
    let progress = told.value;
    let reply = Reply::raw(StatusCode::OK, told.stamp.as_ref(), ());
    let reply = if progress.sha256.is_some() {
        let etag = HeaderValue::from_str(&etag(id)).unwrap_or(HeaderValue::from_static("\"\""));
        reply
            .header(header::ETAG, etag)
            .header(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"))
            .header(header::CONTENT_LENGTH, HeaderValue::from(progress.size))
    } else {
        reply
    };
    Ok(with_offset(reply, &progress))
}

/// How far an upload is.
fn with_offset(reply: Reply, progress: &Progress) -> Reply {
    let reply = reply
        .header(UPLOAD_OFFSET, HeaderValue::from(progress.stored))
        .header(UPLOAD_LENGTH, HeaderValue::from(progress.size));
    let range = progress.stored.checked_sub(1).map(|last| format!("bytes=0-{last}"));
    match range.map(|range| HeaderValue::from_str(&range)) {
        Some(Ok(range)) => reply.header(header::RANGE, range),
        _ => reply,
    }
}

/// Downloads the file, or a span of it with `Range`; each download is an entry. It is sent as an attachment; its type
/// was told by its first bytes and is bytes alone where a browser would run it.
#[utoipa::path(get, path = "/v1/files/{id}/content", tag = "files",
    params(("id" = String, Path, description = "The file"),
        ("Range" = Option<String>, Header, description = "One range of bytes"),
        ("If-Range" = Option<String>, Header, description = "The `ETag` the range is of")),
    responses((status = 200, body = Vec<u8>, content_type = "*/*"),
        (status = 206, body = Vec<u8>, content_type = "*/*"),
        (status = 404, response = Refused), (status = 409, response = Refused),
        (status = 416, response = Refused), (status = 423, response = Refused)))]
async fn download_file(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Path(id): Path<FileId>,
    ranged: Ranged,
) -> Handled {
    let etag = etag(id);
    let span = match ranged.of(&etag) {
        Some(ByteRange::From(first, last)) => Span::From(first, last),
        Some(ByteRange::Last(n)) => Span::Last(n),
        None => Span::Whole,
    };
    let Answer { value: file, stamp } = files::content(&state.cell, &call, id, span).await?;
    let status = if span == Span::Whole { StatusCode::OK } else { StatusCode::PARTIAL_CONTENT };
    let last = file.first.saturating_add(file.length).saturating_sub(1);
    let mut reply = Reply::raw(status, stamp.as_ref(), Body::from_stream(file.body))
        .header(header::CONTENT_LENGTH, HeaderValue::from(file.length))
        .header(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"))
        .header(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    let span = format!("bytes {}-{last}/{}", file.first, file.total);
    let texts = [
        (header::CONTENT_TYPE, Some(file.media_type)),
        (header::ETAG, Some(etag)),
        (header::CONTENT_DISPOSITION, Some(disposition(file.name.expose()))),
        (header::CONTENT_RANGE, (status == StatusCode::PARTIAL_CONTENT).then_some(span)),
    ];
    for (name, text) in texts {
        // ASCII without controls is always a header value.
        if let Some(Ok(value)) = text.map(|text| HeaderValue::from_str(&text)) {
            reply = reply.header(name, value);
        }
    }
    Ok(reply)
}

/// The content of a complete file never changes: its id is its strong tag.
fn etag(id: FileId) -> String {
    format!("\"{id}\"")
}

/// An attachment under its name (RFC 6266): in ASCII for old clients, in UTF-8 (RFC 8187) for all others.
fn disposition(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '_' };
    let ascii: String =
        name.chars().map(plain).filter(|c| !matches!(c, '"' | '\\' | '%')).collect();
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte);
    let encoded: String = name
        .bytes()
        .map(|byte| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

/// Erases a file by destroying its key. Its leads stay.
#[utoipa::path(delete, path = "/v1/files/{id}", tag = "files",
    params(("id" = String, Path, description = "The file")),
    responses((status = 204, description = "It is gone"), (status = 202, body = PendingDeletion)))]
async fn delete_file(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Path(id): Path<FileId>,
) -> Handled {
    deleted(&state, &call, id).await
}

/// As `DELETE /v1/files/{id}`: a file is nothing without its content.
#[utoipa::path(delete, path = "/v1/files/{id}/content", tag = "files",
    params(("id" = String, Path, description = "The file")),
    responses((status = 204, description = "It is gone"), (status = 202, body = PendingDeletion)))]
async fn delete_file_content(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Path(id): Path<FileId>,
) -> Handled {
    deleted(&state, &call, id).await
}

async fn deleted(state: &ApiState, call: &leadvault_vault::Call, id: FileId) -> Handled {
    let Answer { value, stamp } = files::delete(&state.cell, call, id).await?;
    match value {
        Deleted::Gone => Ok(Reply::no_content(&Answer { value: (), stamp })),
        Deleted::PendingKey => {
            let value = PendingDeletion { file: id, state: "pending_key" };
            Reply::json(StatusCode::ACCEPTED, Answer { value, stamp }, |pending| pending)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_goes_out_as_a_name_whatever_it_holds() {
        assert_eq!(
            disposition("Vertrag Müller.pdf"),
            "attachment; filename=\"Vertrag M_ller.pdf\"; \
             filename*=UTF-8''Vertrag%20M%C3%BCller.pdf"
        );
        assert_eq!(
            disposition("a\"; filename=\"b.exe"),
            "attachment; filename=\"a; filename=b.exe\"; \
             filename*=UTF-8''a%22%3B%20filename%3D%22b.exe"
        );
        assert!(HeaderValue::from_str(&disposition("契約\r\nX: y")).is_ok());
    }
}
