//! After a database was put back from a copy: what narrows is replayed from the log, erased rows go, leaf
//! numbers are raised, and the tenant is told (protocols.md 2.4, steps 3 to 5).

use std::collections::HashSet;
use std::sync::Arc;

use leadvault_domain::{ApiKeyId, DatasetNo, InstructionId, InstructionStatus, LeafAddress};
use leadvault_ledger::{EntryView, Generations, LogOperation};
use leadvault_store::{BumpState, DeleteLead, RevokeApiKey, TenantScope, UpdateInstruction, Write};

use crate::cell::Cell;
use crate::error::Refusal;
use crate::notices::{self, NoticeKind};
use crate::publisher;
use crate::recover::{StartError, record_restore};
use crate::room::Room;

/// Rows looked at at a time.
const PAGE_ROWS: u32 = 1_000;
/// Generations continue above anything seen: a decision of before can never be taken for one of now.
const GENERATION_LEAP: u32 = 1_000;

/// Reconciles a tenant whose log had `from` entries in the database that was put back.
///
/// # Errors
/// What store, keys and journal say; the start is tried again from the same state.
pub(crate) async fn after(cell: &Arc<Cell>, room: &Arc<Room>, from: u64) -> Result<(), StartError> {
    let scope = TenantScope(room.no);
    let to = cell.data().find_log_size(scope).await?;
    raise_generations(cell, scope).await?;
    let erased = replay(cell, room, from, to).await?;
    reconcile(cell, room, &erased).await?;
    record_restore(cell, room, from, to).await?;
    let notice = notices::write(cell, NoticeKind::Restored)?;
    cell.data().apply(scope, notice).await?;
    cell.reload(room).await?;
    tracing::warn!(tenant = %room.id, from, to, "the database was put back; the log was brought up");
    Ok(())
}

async fn raise_generations(cell: &Cell, scope: TenantScope) -> Result<(), StartError> {
    let seen = cell.data().find_log_generation(scope).await?;
    let control = cell.data().find_control(scope).await?;
    let (state, dir) = control.map_or((0, 0), |c| (c.state_gen, c.dir_gen));
    let floor = Generations {
        state_gen: seen.max(state).saturating_add(GENERATION_LEAP),
        dir_gen: Some(dir.saturating_add(GENERATION_LEAP)),
    };
    cell.data().raise_generations(scope, floor).await?;
    Ok(())
}

/// Replays what narrows; returns the references of leads whose erasure was requested meanwhile.
async fn replay(
    cell: &Cell,
    room: &Room,
    from: u64,
    to: u64,
) -> Result<HashSet<String>, StartError> {
    let scope = TenantScope(room.no);
    let mut erased = HashSet::new();
    for bytes in publisher::entries(cell, scope, from, to).await? {
        let Some(view) = EntryView::parse(&bytes) else { continue };
        if !view.is_allow() {
            continue;
        }
        let status = match view.operation() {
            LogOperation::InstructionRevoke => Some(InstructionStatus::Revoked),
            LogOperation::InstructionSuspend => Some(InstructionStatus::Suspended),
            LogOperation::InstructionChallenge => Some(InstructionStatus::Challenged),
            LogOperation::EraseRequested => {
                erased.extend(view.refs().map(str::to_owned));
                None
            }
            LogOperation::KeyRevoke => {
                revoke_key(cell, scope, &view).await?;
                None
            }
            _ => None,
        };
        if let (Some(to), Some((id, version))) = (status, view.instruction()) {
            let id = id.parse::<InstructionId>();
            if let (Ok(id), Ok(version)) = (id, u32::try_from(version)) {
                narrow(cell, room, scope, id, version, to).await?;
            }
        }
    }
    Ok(erased)
}

async fn narrow(
    cell: &Cell,
    room: &Room,
    scope: TenantScope,
    id: InstructionId,
    version: u32,
    to: InstructionStatus,
) -> Result<(), StartError> {
    let control = room.control();
    let present = control.instructions.iter().find(|i| i.id == id && i.version == version);
    let Some(from) = present.map(|i| i.status).filter(|from| *from != to) else { return Ok(()) };
    let write = UpdateInstruction { id, version, from, to, activated_at: None, body: None };
    let write: Write = vec![write.into(), BumpState.into()].into();
    cell.data().apply(scope, write).await?;
    Ok(())
}

async fn revoke_key(cell: &Cell, scope: TenantScope, view: &EntryView) -> Result<(), StartError> {
    let Some(id) = view.resource_id().and_then(|id| id.parse::<ApiKeyId>().ok()) else {
        return Ok(());
    };
    let at = cell.clock().now();
    cell.data().apply(scope, RevokeApiKey { id, at }).await?;
    Ok(())
}

/// Drops rows whose leaf is punctured or whose dataset is gone, finishes erasures the database forgot, and
/// raises the leaf numbers above every leaf in use.
async fn reconcile(
    cell: &Cell,
    room: &Arc<Room>,
    requested: &HashSet<String>,
) -> Result<(), Refusal> {
    let scope = TenantScope(room.no);
    let ring = room.ring()?;
    let mut after: Option<LeafAddress> = None;
    loop {
        let rows = cell.data().list_leads(scope, None, after, PAGE_ROWS).await?;
        let Some(last) = rows.last().map(|row| row.at) else { break };
        for row in rows {
            match ring.locate(row.at) {
                Err(_) => {
                    cell.data().apply(scope, DeleteLead { id: row.id }).await?;
                }
                Ok(located) if requested.contains(&located.reference().to_string()) => {
                    crate::leads::erase::finish_forgotten(cell, room, &row, located.reference())
                        .await?;
                }
                Ok(_) => {}
            }
        }
        after = Some(last);
    }
    for no in ring.datasets().collect::<Vec<DatasetNo>>() {
        let tree = ring.newest_tree(no);
        if let Some(leaf) = cell.data().find_largest_leaf(scope, no, tree).await? {
            room.keys()?.raise_leaves(no, tree, u64::from(leaf) + 1).await?;
        }
    }
    Ok(())
}
