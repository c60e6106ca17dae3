//! An export as it is answered. Reading it makes no entry: it holds nothing of a lead.

use std::sync::Arc;

use leadvault_domain::{ExportId, Operation, Role, Timestamp};
use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_store::{ExportRow, ExportState, TenantScope};

use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::datasets;
use crate::error::{Fault, Refusal};
use crate::room::Room;

/// An export.
#[derive(Debug, Clone)]
pub struct ExportView {
    /// Its id.
    pub id: ExportId,
    /// `running`, `ready`, `stale`, `expired`.
    pub state: &'static str,
    /// Digest of the package, 64 hex digits, once it is ready.
    pub sha256: Option<String>,
    /// Length of the package in bytes, once it is ready.
    pub bytes: Option<u64>,
    /// Leads in it, once it is ready.
    pub leads: Option<u64>,
    /// Whether it is encrypted to the tenant's recipient.
    pub encrypted: bool,
    /// When it goes.
    pub expires_at: Timestamp,
}

/// Finds an export of the tenant.
///
/// # Errors
/// [`Fault::NotFound`]; [`Fault::RoleInsufficient`].
pub async fn find(cell: &Cell, call: &Call, id: ExportId) -> Outcome<ExportView> {
    let room = cell.room_of(call.caller.tenant)?;
    let (operation, on) = (LogOperation::Data(Operation::Export), ResourceType::Export);
    cell.require_role(&room, call, &[Role::Controller, Role::Auditor], operation, on).await?;
    let row = row_of(cell, &room, id).await?;
    if !may_see(&room, call, &row) {
        return Err(Fault::NotFound.into());
    }
    let state = state_of(cell, &row);
    Ok(Answer::plain(ExportView {
        id,
        state: state.as_str(),
        sha256: row.file.map(|file| hex::encode(file.sha256)),
        bytes: row.file.map(|file| file.bytes),
        leads: row.file.map(|file| file.leads),
        encrypted: row.encrypted,
        expires_at: row.expires_at,
    }))
}

/// Whether everything in an export is within the datasets of the key.
pub(crate) fn may_see(room: &Room, call: &Call, row: &ExportRow) -> bool {
    let whole = row.dataset.is_none() && call.caller.datasets.is_some();
    !whole && row.dataset.is_none_or(|dataset| datasets::may_see(room, call, dataset))
}

/// # Errors
/// [`Fault::NotFound`].
pub(crate) async fn row_of(
    cell: &Cell,
    room: &Arc<Room>,
    id: ExportId,
) -> Result<ExportRow, Refusal> {
    let row = cell.data().find_export(TenantScope(room.no), id).await?;
    Ok(row.ok_or(Fault::NotFound)?)
}

/// The state, whether or not the row says yet that its time is over.
pub(crate) fn state_of(cell: &Cell, row: &ExportRow) -> ExportState {
    match row.state {
        ExportState::Ready if row.expires_at <= cell.clock().now() => ExportState::Expired,
        state => state,
    }
}
