//! The end of files: unlinked from leads that go, their leaves punctured in the same epoch, then objects and rows.
//!
//! Every step can be repeated. What a crash leaves is found by the next end of a file and by the sweep.

use std::sync::atomic::Ordering;

use leadvault_domain::{DatasetNo, LeafAddress, LeafRange, Timestamp};
use leadvault_keys::Change;
use leadvault_ledger::{EntryOutcome, LogOperation, ResourceType};
use leadvault_store::{
    DeleteFile, EraseIdleFile, FileRow, FileState, Outcome as Written, TenantScope, UnlinkFiles,
};

use crate::cell::Cell;
use crate::error::Refusal;
use crate::export;
use crate::operator;
use crate::room::Room;
use crate::system;

/// An upload that brought nothing for so long is given up; an object that nothing names is old enough to be none that
/// is about to be named.
const IDLE_SECONDS: i64 = 24 * 3600;
/// Files looked at at a time.
const PAGE: u32 = 1_000;
/// Later than any file's last byte.
const EVER: Timestamp = Timestamp::from_micros(i64::MAX);

/// Takes files from leads that go; the leaves to puncture together with those of the leads. Safe to run again after a
/// crash: what is not punctured yet is named again.
///
/// # Errors
/// What keys and store say.
pub(crate) async fn unlink(
    cell: &Cell,
    room: &Room,
    leads: &[LeafRange],
) -> Result<Vec<LeafRange>, Refusal> {
    take_from(cell, room, leads).await?;
    doomed(cell, room).await
}

/// Takes files from leads that go, where their leaves are punctured already.
///
/// # Errors
/// What the store says.
pub(crate) async fn take_from(
    cell: &Cell,
    room: &Room,
    leads: &[LeafRange],
) -> Result<(), Refusal> {
    for range in leads {
        let step = UnlinkFiles { range: *range };
        while let Written::Count(1..) = cell.data().apply(TenantScope(room.no), step).await? {}
    }
    Ok(())
}

/// The leaves of files that are erasing, and of exports that hold one of them.
async fn doomed(cell: &Cell, room: &Room) -> Result<Vec<LeafRange>, Refusal> {
    let ring = room.ring()?;
    let mut erasing = erasing(cell, room).await?;
    erasing.retain(|file| ring.is_live(system::leaf(file.meta.leaf)));
    let mut leads: Vec<LeafAddress> = Vec::new();
    for file in &erasing {
        // Leads that stay: an export of them has the file.
        let links = cell.data().list_file_links(TenantScope(room.no), file.id).await?;
        leads.extend(links.iter().map(|link| link.at));
    }
    let mut leaves: Vec<LeafRange> =
        erasing.iter().map(|file| LeafRange::single(system::leaf(file.meta.leaf))).collect();
    if !leads.is_empty() {
        leaves.extend(export::mark_stale(cell, room, &leads).await?.leaves);
    }
    Ok(leaves)
}

async fn erasing(cell: &Cell, room: &Room) -> Result<Vec<FileRow>, Refusal> {
    let scope = TenantScope(room.no);
    Ok(cell.data().list_unfinished_files(scope, FileState::Erasing, EVER, u32::MAX).await?)
}

/// The leaves that files of a dataset may have.
///
/// # Errors
/// What the store says.
pub(crate) async fn blocks_of(
    cell: &Cell,
    room: &Room,
    dataset: DatasetNo,
) -> Result<Vec<LeafRange>, Refusal> {
    let blocks = cell.data().list_file_blocks(TenantScope(room.no), dataset).await?;
    let range = |(first, end)| LeafRange {
        dataset: DatasetNo::SYSTEM,
        tree: system::SYSTEM_TREE,
        first,
        end,
    };
    Ok(blocks.into_iter().map(range).collect())
}

/// Removes objects and rows of files whose leaf is punctured; each is an entry. Their erasure is done: what cannot be
/// removed now, because a bucket is away, is removed by the sweep.
pub(crate) async fn remove(cell: &Cell, room: &Room) {
    let removed = async {
        let mut left = Ok(());
        for file in erasing(cell, room).await? {
            if let Err(refusal) = remove_one(cell, room, &file).await {
                left = Err(refusal);
            }
        }
        left
    };
    if let Err(refusal) = removed.await {
        tracing::warn!(tenant = %room.id, fault = %refusal.fault, "files are removed later");
    }
}

async fn remove_one(cell: &Cell, room: &Room, file: &FileRow) -> Result<(), Refusal> {
    // One after the other, so that each file is said once.
    let _alone = room.file_removal.lock().await;
    let (data, scope) = (cell.data(), TenantScope(room.no));
    let ring = room.ring()?;
    let is_live = ring.is_live(system::leaf(file.meta.leaf));
    if is_live || data.find_file(scope, file.id).await?.is_none() {
        return Ok(());
    }
    for part in data.list_file_parts(scope, file.id).await? {
        data.objects().delete(room.id, part.object).await?;
    }
    cell.fail_point("file.objects_removed");
    let mut entry = operator::entry(cell, LogOperation::EraseCompleted, ResourceType::File)
        .resource_id(file.id)
        .n(1)
        .epoch(ring.epoch(), ring.state());
    if let Some(dataset) = room.control().dataset_by_no(file.dataset) {
        entry = entry.dataset(dataset.id);
    }
    let otherwise = entry.clone().outcome(EntryOutcome::Error);
    let delete = DeleteFile { id: file.id };
    cell.commit_write(room, entry, Some(otherwise), None, delete).await?;
    Ok(())
}

/// Punctures and removes whatever is erasing.
///
/// # Errors
/// What keys, store, files and journal say.
pub(crate) async fn finish(cell: &Cell, room: &Room) -> Result<(), Refusal> {
    let leaves = doomed(cell, room).await?;
    if !leaves.is_empty() {
        room.keys()?.advance(Change::Puncture(leaves)).await?;
        cell.fail_point("file.punctured");
        export::remove_stale(cell, room).await?;
    }
    remove(cell, room).await;
    Ok(())
}

/// Gives up uploads that nobody goes on with, finishes what is erasing, and removes objects that nothing names.
///
/// # Errors
/// What keys, store, files and journal say.
pub(crate) async fn sweep(cell: &Cell, room: &Room) -> Result<(), Refusal> {
    let (data, scope) = (cell.data(), TenantScope(room.no));
    let before = cell.clock().now().plus_seconds(-IDLE_SECONDS);
    for file in data.list_unfinished_files(scope, FileState::Open, before, PAGE).await? {
        let mut entry = operator::entry(cell, LogOperation::EraseRequested, ResourceType::File)
            .resource_id(file.id)
            .n(1);
        if let Some(dataset) = room.control().dataset_by_no(file.dataset) {
            entry = entry.dataset(dataset.id);
        }
        let otherwise = entry.clone().outcome(EntryOutcome::Error);
        let erase = EraseIdleFile { id: file.id, before };
        cell.commit_write(room, entry, Some(otherwise), None, erase).await?;
    }
    finish(cell, room).await?;
    // Looking through all objects is a day's work.
    let (now, last) = (cell.clock().now(), room.objects_swept.load(Ordering::Acquire));
    if now.micros().saturating_sub(last) < IDLE_SECONDS * 1_000_000 {
        return Ok(());
    }
    room.objects_swept.store(now.micros(), Ordering::Release);
    data.objects().delete_unfinished(room.id, before).await?;
    let old = data.objects().list_before(room.id, before).await?;
    if old.is_empty() {
        return Ok(());
    }
    let of_exports = export::objects(cell, room).await?;
    for object in old {
        if !of_exports.contains(&object) && !data.is_file_part(scope, object).await? {
            data.objects().delete(room.id, object).await?;
        }
    }
    Ok(())
}
