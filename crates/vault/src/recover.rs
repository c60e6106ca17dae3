//! The start of a cell: every log brought up from its files, every key hierarchy settled, every erasure
//! finished, before the first request is answered (protocols.md 1.2, 2.4).

use std::collections::HashSet;
use std::sync::Arc;

use leadvault_domain::{TenantId, TenantNo, TenantState};
use leadvault_keys::{KeyError, sweep_unborn};
use leadvault_ledger::tile::{bundle_path, decode_bundle};
use leadvault_ledger::{Checkpoint, Entry, EntryView, LogOperation, LogSource, OPERATOR_LOG, Vkey};
use leadvault_store::{AppendBundle, TenantScope};

use crate::cell::{Appender, Cell, CellParts};
use crate::control;
use crate::error::{Fault, Refusal};
use crate::leads::erase;
use crate::leaf_numbers;
use crate::nodes;
use crate::publisher;
use crate::restore::{self, Restored};
use crate::room::Room;
use crate::upkeep;

/// Entries in a bundle (C2SP tlog-tiles).
const BUNDLE_WIDTH: u64 = 256;
/// Entries looked through at a time on the way back to the last erasure.
const LOOK_BACK: u64 = 4_096;

/// Why a cell does not start.
#[derive(Debug)]
pub enum StartError {
    /// Refused for safety: exit code 3.
    Refused {
        /// `slot_behind_log`, `key_store_behind_slot`, `log_behind_checkpoint`.
        code: &'static str,
        /// Tenant and numbers.
        detail: String,
    },
    /// Something below did not work.
    Failed(Fault),
}

impl From<Refusal> for StartError {
    fn from(refusal: Refusal) -> Self {
        Self::Failed(refusal.fault)
    }
}

impl From<Fault> for StartError {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

impl From<leadvault_store::StoreError> for StartError {
    fn from(error: leadvault_store::StoreError) -> Self {
        Self::Failed(error.into())
    }
}

fn refused(error: KeyError) -> StartError {
    match error {
        KeyError::KeyStoreBehindSlot { .. } => {
            StartError::Refused { code: "key_store_behind_slot", detail: error.to_string() }
        }
        KeyError::SlotBehindLog { .. } => {
            StartError::Refused { code: "slot_behind_log", detail: error.to_string() }
        }
        // Keys are made before the row that names their tenant, and the row of a closed tenant says so: such a
        // row comes from the data store of another cell.
        KeyError::UnknownTenant(tenant) => StartError::Refused {
            code: "slot_behind_log",
            detail: format!(
                "neither slot nor key store know tenant {tenant}: is this another cell's?"
            ),
        },
        other => StartError::Failed(other.into()),
    }
}

/// Starts a cell and everything that runs behind it.
///
/// # Errors
/// [`StartError::Refused`] where starting would break a promise; nothing was changed then but logs that
/// were brought up.
pub async fn start(parts: CellParts) -> Result<Arc<Cell>, StartError> {
    let appender = Arc::clone(&parts.data);
    start_with(parts, appender).await
}

/// As [`start`], with another journal than the data store's: for a benchmark that asks what the journal
/// costs, never for a cell that keeps somebody's leads.
///
/// # Errors
/// As [`start`].
pub async fn start_with(
    parts: CellParts,
    appender: Arc<Appender>,
) -> Result<Arc<Cell>, StartError> {
    start_from(parts, appender, None).await.map(|(cell, _)| cell)
}

/// As [`start`], right after the data store was put back from a copy: every tenant is reconciled, also one
/// whose log the copy held whole, and the copy is named in its log. When this returns, every log is
/// published up to there.
///
/// # Errors
/// As [`start`].
pub async fn start_restored(
    parts: CellParts,
    backup: &str,
) -> Result<(Arc<Cell>, Vec<Restored>), StartError> {
    let appender = Arc::clone(&parts.data);
    let (cell, restored) = start_from(parts, appender, Some(backup)).await?;
    for log in cell.rooms().iter().map(|room| room.no).chain([OPERATOR_LOG]) {
        publisher::publish(&cell, log).await?;
    }
    Ok((cell, restored))
}

async fn start_from(
    parts: CellParts,
    appender: Arc<Appender>,
    backup: Option<&str>,
) -> Result<(Arc<Cell>, Vec<Restored>), StartError> {
    let cell = Arc::new(Cell::new(parts, appender));
    bring_up(&cell, OPERATOR_LOG).await?;
    let tenants = cell.data().list_tenants().await?;
    let known: HashSet<TenantId> = tenants.iter().map(|t| t.id).collect();
    sweep_unknown(&cell, &known).await?;
    let mut restored = Vec::new();
    for tenant in tenants {
        restored.extend(open_tenant(&cell, tenant.id, tenant.no, tenant.state, backup).await?);
    }
    tokio::spawn(publisher::run(Arc::clone(&cell)));
    tokio::spawn(crate::disk_room::run(Arc::clone(&cell)));
    cell.journal().dirty().mark(cell.rooms().iter().map(|r| r.no).chain([OPERATOR_LOG]));
    for room in cell.rooms() {
        erase::resume(&cell, &room).await?;
    }
    crate::jobs::resume(&cell).await?;
    tokio::spawn(upkeep::run(Arc::clone(&cell)));
    if let Some(node) = cell.parts().node {
        tokio::spawn(nodes::run(Arc::clone(&cell), node));
        if let Some(watch) = cell.parts().key_store.watch_heads().await? {
            tokio::spawn(nodes::follow(Arc::clone(&cell), watch));
        }
    }
    Ok((cell, restored))
}

/// Slots of tenants that were never born: a crash between keys and rows. One whose key store is whole was
/// made after the copy that was put back; its keys and its log stay where they are.
async fn sweep_unknown(cell: &Cell, known: &HashSet<TenantId>) -> Result<(), StartError> {
    let slots = cell.parts().slot.list().await.map_err(|e| Fault::from(KeyError::from(e)))?;
    for tenant in slots {
        if !known.contains(&tenant) {
            // Another node may be making it at this moment; a slot of nobody opens nothing and costs 8 KiB.
            if cell.parts().node.is_some() {
                tracing::warn!(tenant = %tenant, "the data store does not know this tenant (yet)");
                continue;
            }
            match sweep_unborn(&cell.parts().services, tenant).await {
                Ok(_) => {}
                Err(KeyError::TenantExists(_)) => {
                    tracing::warn!(tenant = %tenant, "the data store does not know this tenant");
                }
                Err(error) => return Err(refused(error)),
            }
        }
    }
    Ok(())
}

async fn open_tenant(
    cell: &Arc<Cell>,
    id: TenantId,
    no: TenantNo,
    state: TenantState,
    backup: Option<&str>,
) -> Result<Option<Restored>, StartError> {
    cell.parts().log_keys.add_log(no, id);
    // The room is needed to find the log's files; its keys come after the log is whole.
    let bare = Room::new(id, no, None, control::load_with(cell, id, no, None).await?);
    cell.put_room(Arc::new(bare));
    let behind = bring_up(cell, no).await?;
    if state == TenantState::Closed {
        return Ok(None);
    }
    if let Some(from) = behind
        && restore::close_if_shredded(cell, no, from).await?
    {
        let closed = Room::new(id, no, None, control::load_with(cell, id, no, None).await?);
        cell.put_room(Arc::new(closed));
        return Ok(None);
    }
    let logged = last_forgotten_epoch(cell, no).await?;
    let keys = cell.open_keys(id, no, logged).await.map_err(refused)?;
    let room = Room::load(cell, id, no, Some(keys)).await?;
    let room = Arc::new(room);
    cell.put_room(Arc::clone(&room));
    leaf_numbers::raise(cell, &room).await?;
    let from = match (behind, backup) {
        (Some(from), _) => from,
        (None, Some(_)) => cell.data().find_log_size(TenantScope(no)).await?,
        (None, None) => return Ok(None),
    };
    restore::after(cell, &room, from, backup).await.map(Some)
}

/// Compares a log in the database with its files. A shorter database gets the missing entries from the
/// bundles; returns the size it had.
async fn bring_up(cell: &Cell, log: TenantNo) -> Result<Option<u64>, StartError> {
    // While the files are looked at no other node supersedes them.
    let _lock = match cell.parts().node {
        None => None,
        Some(_) => Some(cell.parts().log_files.lock(cell.log_owner(log)?).await?),
    };
    let files = cell.log_dir(log)?;
    let note = files.read("checkpoint").map_err(|_| Fault::NotReady)?;
    let head = cell.parts().key_store.find_log_head(cell.log_owner(log)?).await?;
    let Some(note) = note else {
        let size = cell.data().find_log_size(TenantScope(log)).await?;
        if let Some(head) = head.filter(|head| head.size > size) {
            return Err(StartError::Refused {
                code: "log_behind_checkpoint",
                detail: format!(
                    "log {}: its files are gone, the database has {size} entries, {} were published",
                    cell.origin(log)?,
                    head.size
                ),
            });
        }
        cell.publisher().begin(log, leadvault_ledger::publish::Tail::default()).await;
        return Ok(None);
    };
    let origin = cell.origin(log)?;
    let keys = cell.parts().log_keys.vkey_file(&origin, cell.clock().now());
    let keys = Vkey::parse_all(&keys).map_err(|_| Fault::Internal("vkey"))?;
    let behind = |why: &str| StartError::Refused {
        code: "log_behind_checkpoint",
        detail: format!("log {origin}: {why}"),
    };
    let published =
        Checkpoint::open(&note, &keys).map_err(|_| behind("its checkpoint does not verify"))?;
    let scope = TenantScope(log);
    let size = cell.data().find_log_size(scope).await?;
    let tail = publisher::tail_of_files(cell, log, published.size)
        .await
        .map_err(|_| behind("its files do not lead to the checkpoint"))?;
    if tail.frontier().root() != published.root {
        return Err(behind("its files do not lead to the checkpoint"));
    }
    if let Some(head) = head
        && (head.size > published.size.max(size)
            || (head.size == published.size && head.root != published.root))
    {
        return Err(behind("a later checkpoint than its files have was published"));
    }
    if !agrees(cell, log, size.min(published.size)).await? {
        return Err(behind("the database holds other entries than its files"));
    }
    cell.publisher().begin(log, tail).await;
    if size >= published.size {
        return Ok(None);
    }
    append_from_files(cell, log, size, published.size).await?;
    Ok(Some(size))
}

/// Whether the last entries of the database that lie in files are those of the files.
async fn agrees(cell: &Cell, log: TenantNo, size: u64) -> Result<bool, StartError> {
    let from = size.saturating_sub(BUNDLE_WIDTH);
    let scope = TenantScope(log);
    let mine = publisher::entries(cell, scope, from, size).await?;
    let files = entries_of_files(cell, log, from, size).await?;
    Ok(mine == files)
}

/// Entries `from..to` as the bundles have them.
async fn entries_of_files(
    cell: &Cell,
    log: TenantNo,
    from: u64,
    to: u64,
) -> Result<Vec<Vec<u8>>, StartError> {
    let files = cell.log_dir(log)?;
    let (_, checkpoint) = crate::log::checkpoint_of(cell, log)?;
    let mut out = Vec::new();
    let mut at = from;
    while at < to {
        let index = at / BUNDLE_WIDTH;
        let first = index * BUNDLE_WIDTH;
        let width = checkpoint.size.saturating_sub(first).min(BUNDLE_WIDTH);
        let path = bundle_path(index, usize::try_from(width).unwrap_or(usize::MAX));
        let bytes = files.read(&path).map_err(|_| Fault::NotReady)?;
        let bytes = bytes.ok_or_else(|| StartError::Refused {
            code: "log_behind_checkpoint",
            detail: format!("{path} is missing"),
        })?;
        let entries = decode_bundle(&bytes).ok_or(Fault::NotReady)?;
        let skip = usize::try_from(at - first).unwrap_or(usize::MAX);
        let take = usize::try_from(to.min(first + width) - at).unwrap_or(usize::MAX);
        out.extend(entries.into_iter().skip(skip).take(take).map(<[u8]>::to_vec));
        at = first + width;
    }
    Ok(out)
}

async fn append_from_files(
    cell: &Cell,
    log: TenantNo,
    from: u64,
    to: u64,
) -> Result<(), StartError> {
    let mut at = from;
    while at < to {
        let end = to.min((at / BUNDLE_WIDTH + 1) * BUNDLE_WIDTH);
        let entries = entries_of_files(cell, log, at, end).await?;
        let entries: Result<Vec<_>, _> = entries.into_iter().map(Entry::from_bundle).collect();
        let entries = entries.map_err(|_| Fault::NotReady)?;
        cell.data().apply(TenantScope(log), AppendBundle { first: at, entries }).await?;
        at = end;
    }
    Ok(())
}

/// The epoch of the last entry that says keys were forgotten; 0 if none does.
async fn last_forgotten_epoch(cell: &Cell, log: TenantNo) -> Result<u32, StartError> {
    let scope = TenantScope(log);
    let mut to = cell.data().find_log_size(scope).await?;
    while to > 0 {
        let from = to.saturating_sub(LOOK_BACK);
        for bytes in publisher::entries(cell, scope, from, to).await?.iter().rev() {
            let Some(view) = EntryView::parse(bytes) else { continue };
            if matches!(view.operation(), LogOperation::EraseCompleted | LogOperation::KeyRotate) {
                let epoch = view.epoch().and_then(|e| u32::try_from(e).ok());
                return Ok(epoch.unwrap_or(0));
            }
        }
        to = from;
    }
    Ok(0)
}
