//! Shreds: of a dataset, of everything. Keys first, rows after, a certificate at the end.
//!
//! ```text
//! call   decide → entry + operation + open certificate, one commit → keys forgotten → 202
//! job    rows, in steps → entry "completed" → published → certificate signed and kept → operation done
//! ```
//! From the commit on nothing of it is found; from the forgetting on nothing of it can be read, in no copy
//! either. The job is idempotent and begins again after a restart; it certifies once (deletion.md 5.3).

mod certificate;
mod dataset;
mod tenant;

use std::sync::Arc;

use leadvault_domain::{DatasetId, OperationId, Role};
use leadvault_store::{OperationRow, TenantScope};
use serde_json::Value as Json;

use crate::cell::Cell;
use crate::error::Refusal;
use crate::room::Room;

pub(crate) use dataset::KIND as KIND_DATASET;
pub use dataset::dataset;
pub use tenant::tenant;

/// Only they shred.
const CONTROLLER: [Role; 1] = [Role::Controller];

/// The certificate of a shred, once it is issued. It is in clear and outlives the tenant's keys.
///
/// # Errors
/// What the store says.
pub(crate) async fn certificate_of(
    cell: &Cell,
    room: &Room,
    operation: OperationId,
) -> Result<Option<Json>, Refusal> {
    let row = cell.data().find_certificate(TenantScope(room.no), operation).await?;
    Ok(row.and_then(|row| row.body).and_then(|body| serde_json::from_str(&body).ok()))
}

/// Takes up shreds that a restart left open: their keys are forgotten before the first call is answered,
/// the rest goes on behind.
///
/// # Errors
/// What keys and store say.
pub(crate) async fn resume(cell: &Arc<Cell>) -> Result<(), Refusal> {
    for room in cell.rooms() {
        let open = cell.data().list_open_operations(TenantScope(room.no)).await?;
        if Cell::is_closed(&room) {
            let shred = open.iter().find(|row| row.kind == tenant::KIND);
            tenant::resume(cell, &room, shred.map(|row| row.id)).await?;
            continue;
        }
        for row in open {
            take_up(cell, &room, &row).await?;
        }
    }
    Ok(())
}

/// Takes up an operation that is a shred.
///
/// # Errors
/// What keys and store say.
pub(crate) async fn take_up(
    cell: &Arc<Cell>,
    room: &Arc<Room>,
    row: &OperationRow,
) -> Result<(), Refusal> {
    match (row.kind.as_str(), row.subject.map(DatasetId::from_bytes)) {
        (dataset::KIND, Some(id)) => dataset::resume(cell, room, row.id, id).await,
        (tenant::KIND, _) => tenant::resume(cell, room, Some(row.id)).await,
        _ => Ok(()),
    }
}
