//! Long-running operations, as a client follows them. Reading one makes no entry.

use leadvault_domain::OperationId;
use leadvault_store::{OperationRow, OperationState, TenantScope};
use serde_json::Value as Json;

use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::error::Fault;
use crate::room::Room;
use crate::shred;
use crate::system;

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
/// [`Fault::NotFound`].
pub async fn find(cell: &Cell, call: &Call, id: OperationId) -> Outcome<OperationView> {
    let room = cell.room_of(call.caller.tenant)?;
    let row = cell.data().find_operation(TenantScope(room.no), id).await?;
    let row = row.ok_or(Fault::NotFound)?;
    let mut view = view(&room, row);
    if view.result.is_none() {
        view.result = shred::certificate_of(cell, &room, id).await?;
    }
    Ok(Answer::plain(view))
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
