//! What time does to exports, and what is left of those that are over: leaves are punctured, files go.
//!
//! Every step can be repeated. What a crash leaves is found by the next look: at the start, at each export and
//! erasure, and once a minute.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use leadvault_store::{
    DropExportParts, ExportRow, ExportState, ExportStep, ObjectName, TenantScope, UpdateExport,
};

use crate::cell::Cell;
use crate::error::Refusal;
use crate::room::Room;
use crate::system;

/// How often expired exports are looked for. The answer to a download tells the time by itself.
const INTERVAL: Duration = Duration::from_secs(60);

/// Ends exports whose time is over, for as long as the cell lives.
pub(crate) async fn run(cell: Arc<Cell>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        for room in cell.rooms() {
            if room.ring().is_err() {
                continue;
            }
            if let Err(refusal) = expire(&cell, &room).await {
                tracing::error!(fault = %refusal.fault, "expired exports were not removed");
            }
        }
    }
}

/// Ends exports whose time is over.
///
/// # Errors
/// What keys, store and files say.
pub(crate) async fn expire(cell: &Cell, room: &Room) -> Result<(), Refusal> {
    let scope = TenantScope(room.no);
    let now = cell.clock().now();
    for row in cell.data().list_exports(scope).await? {
        let open = matches!(row.state, ExportState::Running | ExportState::Ready);
        if open && row.expires_at <= now {
            let step = ExportStep::Expired;
            cell.data().apply(scope, UpdateExport { id: row.id, step }).await?;
        }
    }
    remove(cell, room).await
}

/// The objects that exports name.
///
/// # Errors
/// What the store says.
pub(crate) async fn objects(cell: &Cell, room: &Room) -> Result<HashSet<ObjectName>, Refusal> {
    let (data, scope) = (cell.data(), TenantScope(room.no));
    let mut objects = HashSet::new();
    for row in data.list_exports(scope).await? {
        objects.extend(row.object);
        let parts = data.list_export_parts(scope, row.id).await?;
        objects.extend(parts.into_iter().map(|part| part.object));
    }
    Ok(objects)
}

/// Removes what is over: the parts of every export that is not running, the file of one that is stale or
/// expired, and what an expired one was asked for.
///
/// # Errors
/// What keys, store and files say.
pub(crate) async fn remove(cell: &Cell, room: &Room) -> Result<(), Refusal> {
    let (data, scope) = (cell.data(), TenantScope(room.no));
    let with_parts = data.list_exports_with_parts(scope).await?;
    let (mut leaves, mut objects, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for row in data.list_exports(scope).await? {
        let over = matches!(row.state, ExportState::Stale | ExportState::Expired);
        let parts = row.state != ExportState::Running && with_parts.contains(&row.id);
        if parts {
            for part in data.list_export_parts(scope, row.id).await? {
                leaves.extend(part.leaf);
                objects.push(part.object);
            }
        }
        if over && (row.file_leaf.is_some() || parts) {
            leaves.extend(row.file_leaf);
            objects.extend(row.object);
        }
        if row.state == ExportState::Expired {
            leaves.push(row.leaf);
        }
        if parts || (over && row.file_leaf.is_some()) {
            rows.push((row, parts));
        }
    }
    let ring = room.ring()?;
    leaves.retain(|leaf| ring.is_live(system::leaf(*leaf)));
    system::erase(room, &leaves).await?;
    for object in objects {
        data.objects().delete(room.id, object).await?;
    }
    for (row, parts) in rows {
        note(cell, scope, &row, parts).await?;
    }
    Ok(())
}

/// Records that files are gone, so that nobody looks for them again.
async fn note(
    cell: &Cell,
    scope: TenantScope,
    row: &ExportRow,
    parts: bool,
) -> Result<(), Refusal> {
    if parts {
        cell.data().apply(scope, DropExportParts { id: row.id }).await?;
    }
    // A conflict: it is ready, and its file stays.
    let step = ExportStep::Removed;
    cell.data().apply(scope, UpdateExport { id: row.id, step }).await?;
    Ok(())
}
