//! Several nodes on one database: what another node did is seen here, what it left behind is taken up, and what
//! this node holds is said (protocols.md 1.1 and 4).
//!
//! Nothing here is needed for safety: every commit asserts the generations it was decided under, and every receipt
//! names the epoch its keys must have. What is here makes a call begun after another node's answer see
//! it at once, lets an advance learn soon that this node has dropped the old keys, and finishes the work of a node
//! that died.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use leadvault_domain::{KeyState, TenantId, TenantNo, TenantState, Timestamp};
use leadvault_keys::KeyBlobs as _;
use leadvault_ledger::OPERATOR_LOG;
use leadvault_store::{ControlRow, HeadWatch, NodeId, TenantScope};

use crate::cell::Cell;
use crate::control;
use crate::error::{Fault, Refusal};
use crate::jobs;
use crate::leads::erase;
use crate::room::Room;

/// The time between two looks at what the others did.
const LOOK: Duration = Duration::from_millis(500);
/// Looks between two searches for what a node that died left behind.
const LOOKS_PER_SEARCH: u32 = 4;
/// A node that has seen nothing for so long drops its keys: the others count on it (protocols.md 1.1).
const SILENT_SECONDS: i64 = 3;
/// An erasure that waits for so long is taken up by whoever sees it: its node is gone.
const ERASE_WAITS_SECONDS: i64 = 5;
/// Operations taken up at a time.
const DUE_MAX: u32 = 64;

/// Looks after the others for as long as the cell lives.
pub(crate) async fn run(cell: Arc<Cell>, node: NodeId) {
    let mut seen = cell.clock().now();
    for looks in 0_u32.. {
        match look(&cell, node).await {
            Ok(()) => seen = cell.clock().now(),
            Err(refusal) => {
                tracing::warn!(fault = %refusal.fault, "what other nodes did cannot be seen");
                drop_keys_if_silent(&cell, seen);
            }
        }
        if looks.is_multiple_of(LOOKS_PER_SEARCH)
            && let Err(refusal) = take_up(&cell).await
        {
            tracing::warn!(fault = %refusal.fault, "work of other nodes was not taken up");
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Takes over each new epoch as soon as it is decided, on whichever node. Where it cannot listen, looking does.
pub(crate) async fn follow(cell: Arc<Cell>, mut watch: HeadWatch) {
    loop {
        match watch.next().await {
            Ok(None) => return,
            Ok(Some(tenant)) => {
                let Ok(room) = cell.room_of(tenant) else { continue };
                if let Some(keys) = room.keys.as_ref().filter(|keys| keys.ring().is_ok())
                    && let Err(error) = keys.refresh().await
                {
                    tracing::warn!(tenant = %tenant, %error, "a new epoch was not taken over yet");
                }
            }
            Err(error) => {
                tracing::warn!(error.code = error.code(), "new epochs are not heard of for now");
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

/// Sees what moved, and says which epochs this node is at.
async fn look(cell: &Cell, node: NodeId) -> Result<(), Refusal> {
    for (no, control) in cell.data().list_controls().await? {
        if no == OPERATOR_LOG {
            continue;
        }
        // One tenant's trouble is no other's.
        if let Err(refusal) = cell.catch_up(no, control).await {
            tracing::warn!(tenant = no.0, fault = %refusal.fault, "a tenant was not brought up");
        }
    }
    let epochs = epochs_of(cell);
    cell.parts().key_store.say_epochs(node, &epochs, cell.clock().now()).await?;
    Ok(())
}

/// The epoch this node is at, of each tenant whose keys it holds.
fn epochs_of(cell: &Cell) -> Vec<(TenantId, u32)> {
    let rooms = cell.rooms();
    rooms.iter().filter_map(|room| Some((room.id, room.ring().ok()?.epoch()))).collect()
}

/// Says of every tenant that this node holds its keys no more, so that nobody waits for it.
pub(crate) async fn leave(cell: &Cell, node: NodeId) {
    for room in cell.rooms() {
        let Some(keys) = &room.keys else { continue };
        keys.purge();
        if let Err(error) = cell.parts().key_store.delete_node_epoch(node, room.id).await {
            // It counts as gone after three seconds of silence.
            tracing::warn!(tenant = %room.id, %error, "the end of this node was not said");
        }
    }
}

/// Whoever advances a tenant's keys waits for nodes that were heard of within three seconds, and for no other.
fn drop_keys_if_silent(cell: &Cell, seen: Timestamp) {
    if cell.clock().now().seconds_since(seen) < SILENT_SECONDS {
        return;
    }
    for room in cell.rooms() {
        if let Some(keys) = room.keys.as_ref().filter(|keys| keys.ring().is_ok()) {
            keys.purge();
        }
    }
}

/// Publishes, erases and works on for nodes that died.
async fn take_up(cell: &Arc<Cell>) -> Result<(), Refusal> {
    let behind = cell.data().list_logs_behind().await?;
    let known: HashSet<TenantNo> = cell.rooms().iter().map(|room| room.no).collect();
    let here = |log: &TenantNo| *log == OPERATOR_LOG || known.contains(log);
    cell.journal().dirty().mark(behind.into_iter().filter(here));
    let now = cell.clock().now();
    for no in cell.data().list_waiting_erases(now.plus_seconds(-ERASE_WAITS_SECONDS)).await? {
        let Ok(room) = cell.room(no) else { continue };
        erase::resume(cell, &room).await?;
    }
    for due in cell.data().list_due_operations(now, DUE_MAX).await? {
        let Ok(room) = cell.room(due.tenant) else { continue };
        let row = cell.data().find_operation(TenantScope(due.tenant), due.id).await?;
        if let Some(row) = row {
            jobs::take_up(cell, &room, &row).await?;
        }
    }
    Ok(())
}

impl Cell {
    /// Brings what this node knows of a tenant up to what the database says, where that is newer.
    ///
    /// # Errors
    /// What keys and store say.
    pub(crate) async fn catch_up(&self, no: TenantNo, seen: ControlRow) -> Result<(), Refusal> {
        let Ok(room) = self.room(no) else { return self.adopt(no).await };
        if is_present(&room, seen) {
            return Ok(());
        }
        let _alone = room.overtaken.lock().await;
        if is_present(&room, seen) {
            return Ok(());
        }
        if let Some(keys) = &room.keys
            && keys.ring().is_ok_and(|ring| ring.epoch() < seen.key_epoch)
        {
            keys.refresh().await.map_err(Fault::from)?;
        }
        self.reload(&room).await?;
        self.follow_key_state(&room).await
    }

    /// Brings every tenant up, where others may have changed any: before a call of the operator, who names whom it
    /// likes.
    ///
    /// # Errors
    /// [`Fault::NotReady`] when the database does not answer.
    pub(crate) async fn catch_up_all(&self) -> Result<(), Fault> {
        if self.parts().node.is_none() {
            return Ok(());
        }
        for (no, control) in self.data().list_controls().await? {
            if no != OPERATOR_LOG
                && let Err(refusal) = self.catch_up(no, control).await
            {
                tracing::warn!(tenant = no.0, fault = %refusal.fault, "a tenant was not brought up");
            }
        }
        Ok(())
    }

    /// Keys that were suspended, resumed or destroyed elsewhere are so here.
    async fn follow_key_state(&self, room: &Room) -> Result<(), Refusal> {
        let control = room.control();
        let Some(keys) = &room.keys else { return Ok(()) };
        match (control.key_state, keys.ring().is_ok()) {
            _ if control.state == TenantState::Closed => {
                keys.purge();
                let bare = control::load_with(self, room.id, room.no, None).await?;
                self.put_room(Arc::new(Room::new(room.id, room.no, None, bare)));
            }
            (KeyState::Active, false) => {
                keys.resume().await.map_err(Fault::from)?;
                // Now what is sealed can be read.
                self.reload(room).await?;
            }
            (KeyState::Active, true) | (_, false) => {}
            (_, true) => keys.purge(),
        }
        Ok(())
    }

    /// Opens a tenant that another node made.
    async fn adopt(&self, no: TenantNo) -> Result<(), Refusal> {
        let Some(row) = self.data().find_tenant(TenantScope(no)).await? else { return Ok(()) };
        self.parts().log_keys.add_log(no, row.id);
        let keys = match row.state {
            TenantState::Closed => None,
            _ => Some(self.open_keys(row.id, no, 0).await.map_err(Fault::from)?),
        };
        let room = match keys {
            None => Room::new(row.id, no, None, control::load_with(self, row.id, no, None).await?),
            keys => Room::load(self, row.id, no, keys).await?,
        };
        self.put_room_if_new(Arc::new(room));
        Ok(())
    }
}

/// Whether a room knows the present state: generations, and keys of the present epoch where there are any.
fn is_present(room: &Room, seen: ControlRow) -> bool {
    let control = room.control();
    let is_known = (control.state_gen, control.dir_gen) == (seen.state_gen, seen.dir_gen);
    let ring = room.ring();
    let has_keys = ring.as_ref().is_ok_and(|ring| ring.epoch() >= seen.key_epoch);
    let needs_none = control.key_state != KeyState::Active || room.keys.is_none();
    is_known && (has_keys || (needs_none && ring.is_err()))
}
