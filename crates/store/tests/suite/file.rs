//! Files: made within limits, fed part by part, and gone with their leads.

use leadvault_domain::{DatasetNo, FileId, LeadId, LeafAddress, LeafRange};
use leadvault_store::{
    AppendFilePart, Conflict, DeleteFile, EraseFile, EraseIdleFile, EraseWith, FileLimits,
    FilePart, FileState, InsertFile, InsertFileBlock, LeadTags, ObjectName, Outcome, Sealed,
    TenantScope, TombstoneLead, UNLINK_STEP, UnlinkFiles,
};

use crate::kit::{DATASET, NOW, TestCell, apply, id, lead, lead_id, sealed, stored, tenant};

const LIMITS: FileLimits = FileLimits { of_lead: 2, files: 1_000, bytes: 10_000 };
const MOVED: Outcome = Outcome::Conflict(Conflict::StateMoved);
const FULL: Outcome = Outcome::Conflict(Conflict::Full);
const MISSING: Outcome = Outcome::Conflict(Conflict::Missing);

fn file_id(n: u64) -> FileId {
    FileId::from_bytes(id(8, n))
}

fn file(n: u64, leads: &[u32]) -> InsertFile {
    InsertFile {
        id: file_id(n),
        dataset: DATASET,
        leads: leads.iter().map(|leaf| lead_id(u64::from(*leaf))).collect(),
        erase_with: EraseWith::Last,
        size: 100,
        created_at: NOW,
        meta: sealed(50),
        limits: LIMITS,
    }
}

fn part(n: u64, (from, to): (u64, u64), first_chunk: u32) -> AppendFilePart {
    let object = ObjectName(id(9, n * 100 + u64::from(first_chunk)));
    let part = FilePart { first_chunk, chunks: 1, object };
    AppendFilePart { id: file_id(n), from, to, part, meta: again(50), at: NOW.plus_seconds(5) }
}

/// What is known of the content once a part of it came.
fn again(leaf: u32) -> Sealed {
    Sealed { revision: 2, ..sealed(leaf) }
}

fn range(first: u32, end: u64) -> UnlinkFiles {
    UnlinkFiles { range: LeafRange { dataset: DATASET, tree: 1, first, end } }
}

async fn with_leads(cell: &TestCell, leaves: u32) -> TenantScope {
    let scope = tenant(&cell.data).await;
    for leaf in 0..leaves {
        stored(&cell.data, scope, lead(leaf, LeadTags::default())).await;
    }
    scope
}

async fn state(cell: &TestCell, scope: TenantScope, n: u64) -> Option<FileState> {
    cell.data.find_file(scope, file_id(n)).await.unwrap().map(|row| row.state)
}

async fn at(cell: &TestCell, scope: TenantScope, leaf: u32) -> Vec<FileId> {
    let at = LeafAddress { dataset: DATASET, tree: 1, leaf };
    let rows = cell.data.list_files_at(scope, at).await.unwrap();
    rows.into_iter().map(|row| row.id).collect()
}

pub(crate) async fn a_file_is_made_for_live_leads_of_its_dataset_and_within_limits(
    cell: &TestCell,
) {
    let scope = with_leads(cell, 3).await;
    assert_eq!(apply(&cell.data, scope, file(1, &[0, 1])).await, Outcome::Done);
    let row = cell.data.find_file(scope, file_id(1)).await.unwrap().unwrap();
    assert_eq!((row.state, row.erase_with), (FileState::Open, EraseWith::Last));
    assert_eq!((row.size, row.next_byte, row.dataset), (100, 0, DATASET));
    assert_eq!((row.created_at, row.touched_at, row.meta), (NOW, NOW, sealed(50)));
    let links = cell.data.list_file_links(scope, file_id(1)).await.unwrap();
    let leads: Vec<LeadId> = links.iter().map(|link| link.lead).collect();
    assert_eq!(leads, [lead_id(0), lead_id(1)]);
    assert_eq!(links[1].at, LeafAddress { dataset: DATASET, tree: 1, leaf: 1 });
    assert_eq!(at(cell, scope, 1).await, [file_id(1)]);

    // A lead that is not there, one of another dataset, one that is erased: nothing is kept.
    assert_eq!(apply(&cell.data, scope, file(2, &[0, 9])).await, MISSING);
    let other = InsertFile { dataset: DatasetNo(2), ..file(2, &[0]) };
    assert_eq!(apply(&cell.data, scope, other).await, MISSING);
    apply(&cell.data, scope, TombstoneLead { id: lead_id(2), base: None }).await;
    assert_eq!(apply(&cell.data, scope, file(2, &[2])).await, MISSING);
    assert_eq!(at(cell, scope, 0).await, [file_id(1)]);

    // The limits hold for the first file of a tenant as well.
    let third = with_leads(cell, 1).await;
    for limits in [FileLimits { bytes: 99, ..LIMITS }, FileLimits { files: 0, ..LIMITS }] {
        let first = InsertFile { limits, ..file(1, &[0]) };
        assert_eq!(apply(&cell.data, third, first).await, FULL);
    }

    // Limits: of a lead, of files, of bytes. What fits goes on being taken.
    assert_eq!(apply(&cell.data, scope, file(3, &[0])).await, Outcome::Done);
    assert_eq!(apply(&cell.data, scope, file(4, &[0])).await, FULL);
    let few = InsertFile { limits: FileLimits { files: 2, ..LIMITS }, ..file(4, &[1]) };
    assert_eq!(apply(&cell.data, scope, few).await, FULL);
    let large = InsertFile { size: 9_801, ..file(4, &[1]) };
    assert_eq!(apply(&cell.data, scope, large.clone()).await, FULL);
    assert_eq!(at(cell, scope, 1).await, [file_id(1)], "nothing was kept");
    let fits = InsertFile { size: 9_800, ..large };
    assert_eq!(apply(&cell.data, scope, fits).await, Outcome::Done);

    // Another tenant has limits and files of its own.
    let other = with_leads(cell, 1).await;
    assert_eq!(cell.data.find_file(other, file_id(1)).await, Ok(None));
    assert_eq!(apply(&cell.data, other, file(1, &[0])).await, Outcome::Done);
}

pub(crate) async fn parts_come_in_order_and_one_upload_is_ahead(cell: &TestCell) {
    let scope = with_leads(cell, 1).await;
    apply(&cell.data, scope, file(1, &[0])).await;
    assert_eq!(apply(&cell.data, scope, part(1, (0, 60), 0)).await, Outcome::Done);
    // Another one from the same place, one that leaves a gap, one beyond the size, one of another leaf.
    assert_eq!(apply(&cell.data, scope, part(1, (0, 60), 7)).await, MOVED);
    assert_eq!(apply(&cell.data, scope, part(1, (80, 100), 7)).await, MOVED);
    assert_eq!(apply(&cell.data, scope, part(1, (60, 101), 7)).await, MOVED);
    let stale = AppendFilePart { meta: again(51), ..part(1, (60, 100), 7) };
    assert_eq!(apply(&cell.data, scope, stale).await, MOVED);
    assert_eq!(state(cell, scope, 1).await, Some(FileState::Open), "40 bytes are missing");
    assert_eq!(apply(&cell.data, scope, part(1, (60, 100), 1)).await, Outcome::Done);

    let parts = cell.data.list_file_parts(scope, file_id(1)).await.unwrap();
    assert_eq!(parts, [part(1, (0, 0), 0).part, part(1, (0, 0), 1).part]);
    let known = cell.data.is_file_part(scope, parts[1].object).await;
    assert_eq!(known, Ok(true));
    assert_eq!(cell.data.is_file_part(scope, ObjectName(id(9, 107))).await, Ok(false));
    let row = cell.data.find_file(scope, file_id(1)).await.unwrap().unwrap();
    assert_eq!((row.next_byte, row.touched_at), (100, NOW.plus_seconds(5)));
    assert_eq!((row.state, row.meta), (FileState::Complete, again(50)));
    assert_eq!(apply(&cell.data, scope, part(1, (100, 100), 2)).await, MOVED, "nothing follows");
}

pub(crate) async fn an_upload_nobody_goes_on_with_is_found(cell: &TestCell) {
    let scope = with_leads(cell, 1).await;
    apply(&cell.data, scope, file(1, &[0])).await;
    apply(&cell.data, scope, part(1, (0, 60), 0)).await;
    let idle = |seconds| {
        cell.data.list_unfinished_files(scope, FileState::Open, NOW.plus_seconds(seconds), 9)
    };
    assert_eq!(idle(5).await.unwrap().len(), 0);
    assert_eq!(idle(6).await.unwrap().len(), 1);
    let give_up = |n, seconds| EraseIdleFile { id: file_id(n), before: NOW.plus_seconds(seconds) };
    assert_eq!(apply(&cell.data, scope, give_up(1, 5)).await, MOVED, "a byte came at 5");
    apply(&cell.data, scope, part(1, (60, 100), 1)).await;
    assert_eq!(idle(6).await.unwrap().len(), 0, "it is complete");
    assert_eq!(apply(&cell.data, scope, give_up(1, 9)).await, MOVED, "it is complete");
    apply(&cell.data, scope, file(2, &[0])).await;
    assert_eq!(apply(&cell.data, scope, give_up(2, 1)).await, Outcome::Done);
    assert_eq!(state(cell, scope, 2).await, Some(FileState::Erasing));
}

pub(crate) async fn a_file_goes_with_the_last_of_its_leads_or_with_any(cell: &TestCell) {
    let scope = with_leads(cell, 2).await;
    apply(&cell.data, scope, file(1, &[0, 1])).await;
    apply(&cell.data, scope, InsertFile { erase_with: EraseWith::Any, ..file(2, &[0, 1]) }).await;
    assert_eq!(apply(&cell.data, scope, range(0, 1)).await, Outcome::Count(2));
    assert_eq!(apply(&cell.data, scope, range(0, 1)).await, Outcome::Count(0));
    assert_eq!(state(cell, scope, 1).await, Some(FileState::Open), "it has a lead left");
    assert_eq!(state(cell, scope, 2).await, Some(FileState::Erasing));
    assert_eq!(at(cell, scope, 1).await, [file_id(1)], "what is erasing is not listed");
    assert_eq!(apply(&cell.data, scope, range(1, 2)).await, Outcome::Count(2));
    assert_eq!(state(cell, scope, 1).await, Some(FileState::Erasing));
    // Nothing comes to a file that goes.
    assert_eq!(apply(&cell.data, scope, part(1, (0, 60), 0)).await, MOVED);
    let later = NOW.plus_seconds(1);
    let list = cell.data.list_unfinished_files(scope, FileState::Erasing, later, 9).await.unwrap();
    assert_eq!(list.len(), 2);
}

pub(crate) async fn a_range_of_leads_gives_up_its_files_in_steps(cell: &TestCell) {
    let scope = with_leads(cell, UNLINK_STEP + 2).await;
    let other = with_leads(cell, 1).await;
    apply(&cell.data, other, file(1, &[0])).await;
    // One file of each lead, and one that has its two leads in different steps.
    let small = |file: InsertFile| InsertFile { size: 1, ..file };
    for leaf in 0..=UNLINK_STEP {
        apply(&cell.data, scope, small(file(u64::from(leaf), &[leaf]))).await;
    }
    apply(&cell.data, scope, small(file(900, &[0, UNLINK_STEP]))).await;
    apply(&cell.data, scope, small(file(901, &[1, UNLINK_STEP + 1]))).await;
    let all = range(0, u64::from(UNLINK_STEP) + 1);
    assert_eq!(apply(&cell.data, scope, all).await, Outcome::Count(UNLINK_STEP.into()));
    assert_eq!(state(cell, scope, 900).await, Some(FileState::Open));
    assert_eq!(apply(&cell.data, scope, all).await, Outcome::Count(4));
    assert_eq!(apply(&cell.data, scope, all).await, Outcome::Count(0));
    assert_eq!(state(cell, scope, 900).await, Some(FileState::Erasing));
    assert_eq!(state(cell, scope, 901).await, Some(FileState::Open), "a lead outside is left");
    assert_eq!(state(cell, other, 1).await, Some(FileState::Open), "another tenant's");
}

pub(crate) async fn complete_files_are_listed_page_by_page(cell: &TestCell) {
    let scope = with_leads(cell, 1).await;
    let limits = FileLimits { of_lead: 9, ..LIMITS };
    for n in 0..5 {
        apply(&cell.data, scope, InsertFile { limits, ..file(n, &[0]) }).await;
    }
    for n in [0, 1, 3, 4] {
        apply(&cell.data, scope, part(n, (0, 100), 0)).await;
    }
    apply(&cell.data, scope, EraseFile { id: file_id(3) }).await;
    let page = async |dataset, after| {
        let rows = cell.data.list_complete_files(scope, dataset, after, 2).await.unwrap();
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(page(None, None).await, [file_id(0), file_id(1)]);
    assert_eq!(page(Some(DATASET), Some(file_id(1))).await, [file_id(4)]);
    assert_eq!(page(Some(DatasetNo(2)), None).await, []);
}

/// Of two that are under way at once the later sees what the earlier did.
pub(crate) async fn calls_at_once_go_one_after_the_other(cell: &TestCell) {
    let scope = with_leads(cell, 2).await;
    let limits = FileLimits { of_lead: 40, ..LIMITS };
    for n in 0..39 {
        apply(&cell.data, scope, InsertFile { size: 1, limits, ..file(n, &[0, 1]) }).await;
    }
    // One place is left at each lead.
    let last = |n, leads: &[u32]| InsertFile { size: 1, limits, ..file(n, leads) };
    let both = tokio::join!(
        apply(&cell.data, scope, last(100, &[0, 1])),
        apply(&cell.data, scope, last(101, &[1, 0])),
    );
    assert!(matches!(both, (Outcome::Done, FULL) | (FULL, Outcome::Done)), "{both:?}");
    // Each erasure takes one of the last two links of every file.
    let both =
        tokio::join!(apply(&cell.data, scope, range(0, 1)), apply(&cell.data, scope, range(1, 2)),);
    assert_eq!(both, (Outcome::Count(40), Outcome::Count(40)));
    let later = NOW.plus_seconds(1);
    let list = cell.data.list_unfinished_files(scope, FileState::Erasing, later, 99).await.unwrap();
    assert_eq!(list.len(), 40);
}

pub(crate) async fn what_is_left_of_a_file_goes_once(cell: &TestCell) {
    let scope = with_leads(cell, 1).await;
    let whole = InsertFile { size: LIMITS.bytes, ..file(1, &[0]) };
    apply(&cell.data, scope, whole.clone()).await;
    apply(&cell.data, scope, part(1, (0, 60), 0)).await;
    assert_eq!(
        apply(&cell.data, scope, DeleteFile { id: file_id(1) }).await,
        MISSING,
        "it is used"
    );
    assert_eq!(apply(&cell.data, scope, EraseFile { id: file_id(1) }).await, Outcome::Done);
    assert_eq!(apply(&cell.data, scope, EraseFile { id: file_id(1) }).await, MISSING);
    assert_eq!(at(cell, scope, 0).await, []);
    let next = InsertFile { id: file_id(2), ..whole };
    assert_eq!(apply(&cell.data, scope, next.clone()).await, FULL, "its bytes still count");
    assert_eq!(apply(&cell.data, scope, DeleteFile { id: file_id(1) }).await, Outcome::Done);
    assert_eq!(apply(&cell.data, scope, DeleteFile { id: file_id(1) }).await, MISSING);
    assert_eq!(state(cell, scope, 1).await, None);
    assert_eq!(cell.data.list_file_parts(scope, file_id(1)).await, Ok(Vec::new()));
    assert_eq!(cell.data.list_file_links(scope, file_id(1)).await, Ok(Vec::new()));
    assert_eq!(apply(&cell.data, scope, next).await, Outcome::Done);
}

pub(crate) async fn leaves_of_files_are_known_by_dataset(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    let block = |dataset, first| InsertFileBlock { dataset, first, end: u64::from(first) + 64 };
    for (dataset, first) in [(DATASET, 100), (DatasetNo(2), 164), (DATASET, 228)] {
        assert_eq!(apply(&cell.data, scope, block(dataset, first)).await, Outcome::Done);
    }
    let twice = apply(&cell.data, scope, block(DATASET, 100)).await;
    assert_eq!(twice, Outcome::Conflict(Conflict::Exists));
    let blocks = cell.data.list_file_blocks(scope, DATASET).await;
    assert_eq!(blocks, Ok(vec![(100, 164), (228, 292)]));
    // Leaf numbers go on above them, used or not.
    assert_eq!(cell.data.find_largest_system_leaf(scope).await, Ok(Some(291)));
}
