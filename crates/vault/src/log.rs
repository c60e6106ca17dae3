//! The tenant's own log, read by the tenant: no instruction, no entry. It is one tree and is read whole or not
//! at all: a key that is limited to datasets does not read it.

use leadvault_domain::Role;
use leadvault_ledger::{Checkpoint, LogSource, Vkey, proof};
use leadvault_store::TenantScope;

use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::publisher;

/// Roles that read the log.
const READERS: [Role; 2] = [Role::Controller, Role::Auditor];
/// Most entries of one answer.
pub const ENTRIES_MAX: u64 = 1_000;

/// Where an entry stands in a tree.
#[derive(Debug)]
pub struct Proof {
    /// Index of the entry.
    pub index: u64,
    /// Size of the tree.
    pub size: u64,
    /// Its leaf hash.
    pub leaf_hash: [u8; 32],
    /// Audit path, from the leaf up.
    pub path: Vec<[u8; 32]>,
    /// The checkpoint the path leads to.
    pub checkpoint: String,
}

/// The room of a caller that may read its log.
///
/// # Errors
/// [`Fault::RoleInsufficient`].
pub(crate) fn allowed(
    cell: &Cell,
    call: &Call,
) -> Result<std::sync::Arc<crate::room::Room>, Refusal> {
    if !READERS.contains(&call.caller.role) {
        return Err(Fault::RoleInsufficient.into());
    }
    Cell::require_whole_tenant(call)?;
    let room = cell.room_of(call.caller.tenant)?;
    cell.require_live_key(&room, call)?;
    Ok(room)
}

/// Verifier keys of the log, one a line.
///
/// # Errors
/// [`Fault::NotFound`].
pub async fn vkey(cell: &Cell, call: &Call) -> Outcome<String> {
    let room = allowed(cell, call)?;
    let origin = cell.origin(room.no)?;
    Ok(Answer::plain(cell.parts().log_keys.vkey_file(&origin, cell.clock().now())))
}

/// A file of the log: `checkpoint` or `tile/…`.
///
/// # Errors
/// [`Fault::NotFound`] for a file that is not there.
pub async fn file(cell: &Cell, call: &Call, path: &str) -> Outcome<Vec<u8>> {
    let room = allowed(cell, call)?;
    let known = path == "checkpoint" || leadvault_ledger::tile::TilePath::parse(path).is_some();
    if !known {
        return Err(Fault::NotFound.into());
    }
    let files = cell.log_dir(room.no)?;
    let bytes = files.read(path).map_err(|_| Fault::NotReady)?;
    Ok(Answer::plain(bytes.ok_or(Fault::NotFound)?))
}

/// The exact bytes of entries `from..to`, at most [`ENTRIES_MAX`].
///
/// # Errors
/// [`Fault::BadRequest`] for an empty range.
pub async fn entries(
    cell: &Cell,
    call: &Call,
    from: u64,
    to: Option<u64>,
) -> Outcome<Vec<Vec<u8>>> {
    let room = allowed(cell, call)?;
    let scope = TenantScope(room.no);
    let size = cell.data().find_log_size(scope).await?;
    let to = to.unwrap_or(size).min(size).min(from.saturating_add(ENTRIES_MAX));
    if from > to {
        return Err(Fault::bad("query:from", "out_of_range").into());
    }
    Ok(Answer::plain(publisher::entries(cell, scope, from, to).await?))
}

/// The inclusion proof of an entry, in the tree of the newest checkpoint or of a smaller size.
///
/// # Errors
/// [`Fault::NotFound`] for an entry that is not published yet.
pub async fn proof(cell: &Cell, call: &Call, index: u64, size: Option<u64>) -> Outcome<Proof> {
    let room = allowed(cell, call)?;
    Ok(Answer::plain(proof_of(cell, room.no, index, size)?))
}

/// As [`proof()`], for a log of this cell.
///
/// # Errors
/// As [`proof()`].
pub(crate) fn proof_of(
    cell: &Cell,
    log: leadvault_domain::TenantNo,
    index: u64,
    size: Option<u64>,
) -> Result<Proof, Fault> {
    let files = cell.log_dir(log)?;
    let (note, checkpoint) = checkpoint_of(cell, log)?;
    let size = size.unwrap_or(checkpoint.size);
    if size > checkpoint.size || index >= size {
        return Err(Fault::NotFound);
    }
    let proof = proof::inclusion_at(&files, index, size, checkpoint.size);
    let proof = proof.map_err(|_| Fault::NotReady)?;
    Ok(Proof { index, size, leaf_hash: proof.leaf_hash, path: proof.path, checkpoint: note })
}

/// The newest checkpoint of a log: its text, and what it says.
///
/// # Errors
/// [`Fault::NotFound`] before the first one.
pub(crate) fn checkpoint_of(
    cell: &Cell,
    log: leadvault_domain::TenantNo,
) -> Result<(String, Checkpoint), Fault> {
    let files = cell.log_dir(log)?;
    let note = files.read("checkpoint").map_err(|_| Fault::NotReady)?.ok_or(Fault::NotFound)?;
    let origin = cell.origin(log)?;
    let keys = cell.parts().log_keys.vkey_file(&origin, cell.clock().now());
    let keys = Vkey::parse_all(&keys).map_err(|_| Fault::Internal("vkey"))?;
    let checkpoint = Checkpoint::open(&note, &keys).map_err(|_| Fault::NotReady)?;
    let text = String::from_utf8(note).map_err(|_| Fault::NotReady)?;
    Ok((text, checkpoint))
}
