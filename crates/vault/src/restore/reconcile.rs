//! Rows of a restored database against keys and log: rows whose leaf is gone are removed, datasets that
//! were shredded too, erasures the database forgot are taken up again, restrictions are set again, and leaf
//! numbers are raised above every leaf in use (protocols.md 1.4, 2.4).

use std::sync::Arc;

use leadvault_domain::{LabelFlag, Labels, LeafAddress, LeafRange};
use leadvault_keys::Change;
use leadvault_store::{
    BumpState, DatasetRow, DatasetState, DeleteLead, DeleteLeadRange, EraseFile, LeadRow,
    Outcome as Written, TenantScope, TombstoneLead, UpdateDataset, UpdateLabels, Write,
};

use super::narrow::Narrowed;
use crate::cell::Cell;
use crate::error::Refusal;
use crate::export;
use crate::files;
use crate::leads::erase;
use crate::room::Room;
use crate::system;

/// Rows looked at at a time.
const PAGE_ROWS: u32 = 1_000;
/// Leaves of a tree: all that 32 bits can number.
const TREE_END: u64 = 1 << 32;

/// What was changed.
#[derive(Debug, Default)]
pub(super) struct Reconciled {
    pub(super) rows: u64,
    pub(super) restricted: u64,
    pub(super) datasets: u64,
}

/// Brings the rows of a tenant in line.
///
/// # Errors
/// What store and keys say.
pub(super) async fn run(
    cell: &Cell,
    room: &Arc<Room>,
    narrowed: &Narrowed,
) -> Result<Reconciled, Refusal> {
    let mut done = Reconciled::default();
    remove_datasets(cell, room, narrowed, &mut done).await?;
    walk_leads(cell, room, narrowed, &mut done).await?;
    walk_files(cell, room, narrowed, &mut done).await?;
    Ok(done)
}

/// Datasets whose keys are gone, and those whose shred the log asked for and a crash left open.
async fn remove_datasets(
    cell: &Cell,
    room: &Arc<Room>,
    narrowed: &Narrowed,
    done: &mut Reconciled,
) -> Result<(), Refusal> {
    let scope = TenantScope(room.no);
    for row in cell.data().list_datasets(scope).await? {
        if row.state != DatasetState::Active {
            continue;
        }
        let has_keys = room.ring()?.dataset_id(row.no).is_some();
        if has_keys && !narrowed.shredded.contains(&row.id) {
            continue;
        }
        if has_keys {
            let whole = |tree| LeafRange { dataset: row.no, tree, first: 0, end: TREE_END };
            let ranges: Vec<_> = (1..=row.tree).map(whole).collect();
            let mut leaves = export::mark_stale_ranges(cell, room, &ranges).await?.leaves;
            leaves.extend(files::blocks_of(cell, room, row.no).await?);
            let mut changes = vec![Change::DropDataset(row.no)];
            if !leaves.is_empty() {
                changes.push(Change::Puncture(leaves));
            }
            room.keys()?.advance_all(changes).await?;
            export::remove_stale(cell, room).await?;
            files::take_from(cell, room, &ranges).await?;
        }
        let before = cell.data().count_leads(scope, Some(row.no)).await?;
        for tree in 1..=row.tree {
            let range = LeafRange { dataset: row.no, tree, first: 0, end: TREE_END };
            while cell.data().apply(scope, DeleteLeadRange { range }).await? != Written::Count(0) {}
        }
        let gone = DatasetRow { state: DatasetState::Shredded, meta: None, columns: None, ..row };
        let write: Write = vec![UpdateDataset { row: gone }.into(), BumpState.into()].into();
        cell.data().apply(scope, write).await?;
        done.rows = done.rows.saturating_add(before);
        done.datasets = done.datasets.saturating_add(1);
    }
    cell.reload(room).await
}

async fn walk_leads(
    cell: &Cell,
    room: &Arc<Room>,
    narrowed: &Narrowed,
    done: &mut Reconciled,
) -> Result<(), Refusal> {
    let scope = TenantScope(room.no);
    let ring = room.ring()?;
    let mut after: Option<LeafAddress> = None;
    loop {
        let rows = cell.data().list_leads(scope, None, after, PAGE_ROWS).await?;
        let Some(last) = rows.last().map(|row| row.at) else { return Ok(()) };
        for row in rows {
            let Ok(located) = ring.locate(row.at) else {
                // A row of before its erasure has no tombstone yet, and only what has one is removed.
                // Files first: a row that is gone is not come across again.
                files::take_from(cell, room, &[LeafRange::single(row.at)]).await?;
                cell.data().apply(scope, TombstoneLead { id: row.id, base: None }).await?;
                cell.data().apply(scope, DeleteLead { id: row.id }).await?;
                done.rows = done.rows.saturating_add(1);
                continue;
            };
            let reference = located.reference();
            let text = reference.to_string();
            if narrowed.erased.contains(&text) {
                erase::finish_forgotten(cell, room, &row, reference).await?;
            } else if narrowed.restricted.get(&text) == Some(&true) {
                restrict(cell, scope, &row).await?;
                done.restricted = done.restricted.saturating_add(1);
            }
        }
        after = Some(last);
    }
}

/// Files whose leaf is gone, those whose erasure the log asked for, and those that lost their leads above.
async fn walk_files(
    cell: &Cell,
    room: &Arc<Room>,
    narrowed: &Narrowed,
    done: &mut Reconciled,
) -> Result<(), Refusal> {
    let scope = TenantScope(room.no);
    let ring = room.ring()?;
    for row in cell.data().list_files(scope).await? {
        let is_live = ring.is_live(system::leaf(row.meta.leaf));
        if is_live && !narrowed.files.contains(&row.id) {
            continue;
        }
        // A conflict: it is erasing already.
        cell.data().apply(scope, EraseFile { id: row.id }).await?;
        done.rows = done.rows.saturating_add(1);
    }
    files::finish(cell, room).await
}

async fn restrict(cell: &Cell, scope: TenantScope, row: &LeadRow) -> Result<(), Refusal> {
    let set = Labels::default().with(LabelFlag::Restricted, true);
    let write = UpdateLabels { id: row.id, base: None, set, clear: Labels::default() };
    cell.data().apply(scope, write).await?;
    Ok(())
}
