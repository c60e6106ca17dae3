//! After a database was put back from a copy: what narrows is replayed from the log, erased rows go,
//! and the tenant is told (protocols.md 2.4, steps 3 and 5; step 4, leaf numbers, is any start's).
//!
//! What widens (activations, new keys, a lifted restriction) is counted and not replayed. Where an entry says
//! that something changed but not into what (agreement, export recipient), the narrower state is taken: the
//! controller puts the present one again.

mod carry;
mod narrow;
mod reconcile;

use std::sync::Arc;

use leadvault_domain::{KeyState, TenantNo, TenantState};
use leadvault_ledger::{EntryView, Generations, LogOperation, ResourceType};
use leadvault_store::{BumpState, TenantScope, UpdateTenantState, Write};
use serde::Serialize;

pub use self::carry::carry_suppressions;
use self::narrow::Narrowed;
use crate::cell::Cell;
use crate::error::Refusal;
use crate::notices::{self, NoticeKind};
use crate::operator;
use crate::publisher;
use crate::recover::StartError;
use crate::room::Room;

/// Generations continue above anything seen: a decision of before can never be taken for one of now.
const GENERATION_LEAP: u32 = 1_000;

/// What became of one tenant when its database was put back.
#[derive(Debug, Clone, Serialize)]
pub struct Restored {
    /// The tenant.
    pub tenant: leadvault_domain::TenantId,
    /// Entries its log had in the copy.
    pub from_size: u64,
    /// Entries after the log was brought up from its bundles.
    pub to_size: u64,
    /// Changes that narrow, done again.
    pub replayed: u64,
    /// Changes that widen, or whose content only the newer database held: to be done again by hand.
    pub not_replayed: u64,
    /// Rows that were removed because their keys are gone.
    pub rows_removed: u64,
    /// Datasets that were removed because they were shredded since.
    pub datasets_removed: u64,
}

/// Reconciles a tenant whose log had `from` entries in the database that was put back.
///
/// # Errors
/// What store, keys and journal say; the start is tried again from the same state.
pub(crate) async fn after(
    cell: &Arc<Cell>,
    room: &Arc<Room>,
    from: u64,
    backup: Option<&str>,
) -> Result<Restored, StartError> {
    let scope = TenantScope(room.no);
    let to = cell.data().find_log_size(scope).await?;
    raise_generations(cell, scope).await?;
    let narrowed = narrow::replay(cell, room, from, to).await?;
    let reconciled = reconcile::run(cell, room, &narrowed).await?;
    settle_states(cell, room, &narrowed).await?;
    record(cell, room, from, to, backup).await?;
    let mut told: Vec<Write> = vec![notices::write(cell, NoticeKind::Restored)?];
    if narrowed.instructions_lost > 0 {
        told.push(notices::write(cell, NoticeKind::InstructionsLost)?);
    }
    cell.data().apply(scope, Write::from(told)).await?;
    cell.reload(room).await?;
    let restored = Restored {
        tenant: room.id,
        from_size: from,
        to_size: to,
        replayed: narrowed.replayed.saturating_add(reconciled.restricted),
        not_replayed: narrowed.not_replayed,
        rows_removed: reconciled.rows,
        datasets_removed: reconciled.datasets,
    };
    tracing::warn!(
        tenant = %room.id, from, to, replayed = restored.replayed,
        not_replayed = restored.not_replayed, rows_removed = restored.rows_removed,
        "the database was put back; the log was brought up"
    );
    Ok(restored)
}

/// States are set last: reconciling needs keys that a replayed suspension takes away.
async fn settle_states(cell: &Cell, room: &Room, narrowed: &Narrowed) -> Result<(), Refusal> {
    let control = room.control();
    let state = narrowed.state.filter(|s| rank(*s) > rank(control.state)).unwrap_or(control.state);
    let suspended = narrowed.suspended && control.key_state == KeyState::Active;
    let key_state = if suspended { KeyState::Disabled } else { control.key_state };
    if (state, key_state) != (control.state, control.key_state) {
        let update = UpdateTenantState { state, key_state };
        let write: Write = vec![update.into(), BumpState.into()].into();
        cell.data().apply(TenantScope(room.no), write).await?;
    }
    if suspended {
        room.keys()?.purge();
    }
    Ok(())
}

/// States of a tenant from wide to narrow.
const fn rank(state: TenantState) -> u8 {
    match state {
        TenantState::Active => 0,
        TenantState::Restricted => 1,
        TenantState::Closing => 2,
        TenantState::Closed => 3,
    }
}

/// Closes a tenant again that the log says was shredded since; its slot is not asked for then.
///
/// # Errors
/// What the store says.
pub(crate) async fn close_if_shredded(
    cell: &Cell,
    log: TenantNo,
    from: u64,
) -> Result<bool, StartError> {
    let scope = TenantScope(log);
    let to = cell.data().find_log_size(scope).await?;
    let shredded = publisher::entries(cell, scope, from, to).await?.iter().any(|bytes| {
        let view = EntryView::parse(bytes);
        view.is_some_and(|v| v.is_allow() && v.operation() == LogOperation::TenantShred)
    });
    if shredded {
        let update =
            UpdateTenantState { state: TenantState::Closed, key_state: KeyState::Destroyed };
        let write: Write = vec![update.into(), BumpState.into()].into();
        cell.data().apply(scope, write).await?;
    }
    Ok(shredded)
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

/// Records in the tenant's log that its database was put back.
async fn record(
    cell: &Cell,
    room: &Room,
    from: u64,
    to: u64,
    backup: Option<&str>,
) -> Result<(), Refusal> {
    let mut entry = operator::entry(cell, LogOperation::Restore, ResourceType::Backup)
        .own_number("from_size", from)
        .own_number("to_size", to);
    if let Some(backup) = backup {
        entry = entry.own_text("backup_id", backup);
    }
    cell.commit(room, entry, None).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_narrow_in_the_order_of_the_specification() {
        let ranks: Vec<u8> = TenantState::ALL.iter().map(|s| rank(*s)).collect();
        assert!(ranks.is_sorted_by(|a, b| a < b), "{ranks:?}");
    }
}
