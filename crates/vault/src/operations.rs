//! Long-running operations, as a client follows them. Reading one makes no entry.

use std::sync::Arc;

use leadvault_domain::{DatasetId, ExportId, ImportId, OperationId, Role};
use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_store::{OperationRow, OperationState, TenantScope};
use serde_json::Value as Json;

use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::room::Room;
use crate::{datasets, export, import, shred, system};

/// Those who begin operations, and who looks at them afterwards.
const READERS: [Role; 3] = [Role::Controller, Role::Editor, Role::Auditor];

/// An operation.
#[derive(Debug)]
pub struct OperationView {
    /// Its id.
    pub id: OperationId,
    /// What kind of job.
    pub kind: String,
    /// `running`, `done`, `failed`.
    pub state: &'static str,
    /// Units done.
    pub done: u64,
    /// Units in all, where known.
    pub total: Option<u64>,
    /// What came of it.
    pub result: Option<Json>,
    /// Why it failed, a code.
    pub error: Option<String>,
}

/// Finds an operation of the tenant.
///
/// # Errors
/// [`Fault::NotFound`], for one on a dataset the key may not see too; [`Fault::RoleInsufficient`].
pub async fn find(cell: &Cell, call: &Call, id: OperationId) -> Outcome<OperationView> {
    let room = cell.room_of(call.caller.tenant)?;
    let (operation, on) = (LogOperation::ConfigChange, ResourceType::Query);
    cell.require_role(&room, call, &READERS, operation, on).await?;
    let row = cell.data().find_operation(TenantScope(room.no), id).await?;
    let row = row.ok_or(Fault::NotFound)?;
    if !may_see(cell, call, &room, &row).await? {
        return Err(Fault::NotFound.into());
    }
    let mut view = view(&room, row);
    if view.result.is_none() {
        view.result = shred::certificate_of(cell, &room, id).await?;
    }
    Ok(Answer::plain(view))
}

/// Whether what an operation works on is within the datasets of the key.
async fn may_see(
    cell: &Cell,
    call: &Call,
    room: &Arc<Room>,
    row: &OperationRow,
) -> Result<bool, Refusal> {
    let Some(own) = &call.caller.datasets else { return Ok(true) };
    let scope = TenantScope(room.no);
    let seen = match (row.kind.as_str(), row.subject) {
        (shred::KIND_DATASET, Some(id)) => own.contains(&DatasetId::from_bytes(id)),
        (import::undo::KIND, Some(id)) => {
            let import = cell.data().find_import(scope, ImportId::from_bytes(id)).await?;
            import.is_some_and(|import| datasets::may_see(room, call, import.dataset))
        }
        (export::KIND, Some(id)) => {
            let export = cell.data().find_export(scope, ExportId::from_bytes(id)).await?;
            let of = export.and_then(|export| export.dataset);
            of.is_some_and(|dataset| datasets::may_see(room, call, dataset))
        }
        _ => false,
    };
    Ok(seen)
}

fn view(room: &Room, row: OperationRow) -> OperationView {
    let result = row.result.as_ref().and_then(|sealed| {
        let plain = system::open(room, leadvault_crypto::Kind::Small, row.id.bytes(), sealed);
        serde_json::from_slice(&plain.ok()?).ok()
    });
    let state = match row.state {
        OperationState::Done => "done",
        OperationState::Failed => "failed",
        OperationState::Running => "running",
    };
    OperationView {
        id: row.id,
        kind: row.kind,
        state,
        done: row.done,
        total: row.total,
        result,
        error: row.error,
    }
}
