//! The tenant's log: keys, checkpoint, tiles, entries and proofs, in the formats tools of others read.

use axum::extract::State;
use axum::http::{StatusCode, header};
use leadvault_vault::Answer;
use leadvault_vault::log::{self, Proof};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::{Handled, Reply};
use crate::extract::{Path, Query, TenantCall};
use crate::state::ApiState;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(show_vkey))
        .routes(routes!(show_checkpoint))
        .routes(routes!(list_entries))
        .routes(routes!(prove_entry))
        .routes(routes!(show_tile))
}

const TEXT: &str = "text/plain; charset=utf-8";
const NDJSON: &str = "application/x-ndjson";
const BYTES: &str = "application/octet-stream";

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EntriesQuery {
    /// Index of the first entry.
    #[serde(default)]
    from: u64,
    /// Index after the last one; without it, as many as one answer holds.
    to: Option<u64>,
}

/// In which tree.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ProofQuery {
    /// Size of the tree; without it, that of the newest checkpoint.
    size: Option<u64>,
}

/// Where an entry stands in a tree (RFC 6962).
#[derive(Serialize, ToSchema)]
struct InclusionProof {
    /// Index of the entry.
    index: u64,
    /// Size of the tree.
    size: u64,
    /// Leaf hash of the entry, 64 hexadecimal digits.
    leaf_hash: String,
    /// Hashes from the leaf up, 64 hexadecimal digits each.
    path: Vec<String>,
    /// The signed checkpoint the path leads to.
    checkpoint: String,
}

impl From<Proof> for InclusionProof {
    fn from(proof: Proof) -> Self {
        Self {
            index: proof.index,
            size: proof.size,
            leaf_hash: hex::encode(proof.leaf_hash),
            path: proof.path.iter().map(hex::encode).collect(),
            checkpoint: proof.checkpoint,
        }
    }
}

/// Gives the verifier keys of the log, one a line.
#[utoipa::path(get, path = "/v1/log/vkey", tag = "log",
    responses((status = 200, body = String, content_type = "text/plain")))]
async fn show_vkey(State(state): State<ApiState>, TenantCall(call): TenantCall) -> Handled {
    let Answer { value, stamp } = log::vkey(&state.cell, &call).await?;
    Ok(Reply::raw(StatusCode::OK, stamp.as_ref(), ([(header::CONTENT_TYPE, TEXT)], value)))
}

/// Gives the newest checkpoint (C2SP tlog-checkpoint).
#[utoipa::path(get, path = "/v1/log/checkpoint", tag = "log",
    responses((status = 200, body = String, content_type = "text/plain")))]
async fn show_checkpoint(State(state): State<ApiState>, TenantCall(call): TenantCall) -> Handled {
    let Answer { value, stamp } = log::file(&state.cell, &call, "checkpoint").await?;
    Ok(Reply::raw(StatusCode::OK, stamp.as_ref(), ([(header::CONTENT_TYPE, TEXT)], value)))
}

/// Gives the exact bytes of entries, one a line.
#[utoipa::path(get, path = "/v1/log/entries", tag = "log", params(EntriesQuery),
    responses((status = 200, body = String, content_type = "application/x-ndjson")))]
async fn list_entries(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Query(query): Query<EntriesQuery>,
) -> Handled {
    let Answer { value, stamp } = log::entries(&state.cell, &call, query.from, query.to).await?;
    // An entry is RFC 8785 JSON, which holds no line break.
    let lines: Vec<u8> =
        value.into_iter().flat_map(|entry| [entry, vec![b'\n']].concat()).collect();
    Ok(Reply::raw(StatusCode::OK, stamp.as_ref(), ([(header::CONTENT_TYPE, NDJSON)], lines)))
}

/// Proves that an entry is in the log.
#[utoipa::path(get, path = "/v1/log/proof/{index}", tag = "log",
    params(("index" = u64, Path, description = "Index of the entry"), ProofQuery),
    responses((status = 200, body = InclusionProof)))]
async fn prove_entry(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Path(index): Path<u64>,
    Query(query): Query<ProofQuery>,
) -> Handled {
    Reply::ok(log::proof(&state.cell, &call, index, query.size).await?, InclusionProof::from)
}

/// Gives a tile or a bundle of entries (C2SP tlog-tiles).
#[utoipa::path(get, path = "/v1/log/tile/{*path}", tag = "log",
    params(("path" = String, Path, description = "Level and index, such as `0/000`, or `entries/000`")),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream")))]
async fn show_tile(
    State(state): State<ApiState>,
    TenantCall(call): TenantCall,
    Path(path): Path<String>,
) -> Handled {
    let Answer { value, stamp } = log::file(&state.cell, &call, &format!("tile/{path}")).await?;
    Ok(Reply::raw(StatusCode::OK, stamp.as_ref(), ([(header::CONTENT_TYPE, BYTES)], value)))
}
