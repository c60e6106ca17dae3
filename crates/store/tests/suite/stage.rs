//! Staged tags: found wherever they are, gone when their lead goes, and moved on without anybody noticing.

use leadvault_domain::{ImportId, Labels, LeafRange, TagKind};
use leadvault_ledger::OpResult;
use leadvault_store::{
    Conflict, DataStore, DeleteLead, DeleteLeadRange, DeleteTenantRows, LeadSlice, LeadTags,
    LostAs, LostRow, NewLead, Outcome, RANGE_STEP_ROWS, SliceOutcome, StepImport, TenantScope,
    TombstoneLead, UpdateLead, Write,
};

use crate::kit::{
    DATASET, NOW, SMALL, TestCell, append, apply, done, duplicate_of, email, id, insert, lead,
    lead_id, open_sqlite, stored, tenant, write,
};
use sqlx::ConnectOptions as _;

use crate::lead::by_tag;

/// Leads of a slice here; pieces of merging are smaller, and no divisor of it.
const ROWS: u32 = 90;
const PIECE: usize = 7;

/// Leads with every kind of tag, in an order that is not that of their leaves.
fn rows(first: u32) -> Vec<NewLead> {
    (first..first + ROWS)
        .map(|n| {
            let tag = i64::from((n * 37) % ROWS + first);
            let tags = LeadTags {
                phone: Some(-tag),
                domain: Some(tag % 5),
                more: vec![(TagKind::EXTERNAL_ID, tag), (TagKind::EMAIL, 10_000 + tag)],
                ..email(tag)
            };
            lead(n, tags)
        })
        .collect()
}

fn slice(rows: Vec<NewLead>) -> LeadSlice {
    LeadSlice { rows, step: None, lost_as: LostAs::Skipped }
}

fn all_stored() -> Outcome {
    Outcome::Slice(SliceOutcome { stored: ROWS, lost: Vec::new() })
}

/// Every lead is found by each of its tags, alone where the tag is its own.
async fn assert_found(data: &DataStore, scope: TenantScope, rows: &[NewLead]) {
    for row in rows {
        let tag = row.tags.email.unwrap();
        for (kind, tag) in [
            (TagKind::EMAIL, tag),
            (TagKind::EMAIL, 10_000 + tag),
            (TagKind::PHONE, -tag),
            (TagKind::EXTERNAL_ID, tag),
        ] {
            assert_eq!(by_tag(data, scope, kind, tag).await, [row.id], "{kind:?} {tag}");
        }
        let of_domain = by_tag(data, scope, TagKind::DOMAIN, tag % 5).await;
        assert!(of_domain.contains(&row.id));
        let all = Labels::default();
        for (kind, tags) in [
            (TagKind::EMAIL, [tag, 10_000 + tag].as_slice()),
            (TagKind::PHONE, &[-tag]),
            (TagKind::EXTERNAL_ID, &[tag]),
        ] {
            let probed = data.probe_tags(scope, DATASET, kind, tags, all).await.unwrap();
            assert_eq!(probed.len(), tags.len(), "{kind:?} {tag}");
            assert!(probed.iter().all(|(_, holder)| *holder == row.id));
        }
    }
    let mut expected: Vec<i64> = rows.iter().filter_map(|r| r.tags.email).collect();
    expected.sort_unstable();
    let mut listed = Vec::new();
    loop {
        let page = data.list_email_tags(scope, DATASET, listed.last().copied(), 40).await.unwrap();
        if page.is_empty() {
            break;
        }
        listed.extend(page);
    }
    assert_eq!(listed, expected);
}

async fn merge_all(data: &DataStore) {
    while data.merge_staged(PIECE).await.unwrap() {}
}

pub(crate) async fn tags_are_found_at_every_step_of_their_way(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    let mut all = rows(0);
    assert_eq!(apply(&cell.data, scope, slice(all.clone())).await, all_stored());
    assert_found(&cell.data, scope, &all).await;
    let mut steps: usize = 0;
    while cell.data.merge_staged(PIECE).await.unwrap() {
        steps += 1;
        if steps == 20 {
            // Another slice comes while the pass is under way, and waits for the next one.
            assert_eq!(apply(&cell.data, scope, slice(rows(ROWS))).await, all_stored());
            all.extend(rows(ROWS));
        }
        if steps.is_multiple_of(10) {
            assert_found(&cell.data, scope, &all).await;
        }
        let tag = i64::try_from(steps % 90).unwrap();
        let taken = insert(lead(5_000, email(tag)));
        let outcome = apply(&cell.data, scope, taken).await;
        assert!(matches!(outcome, Outcome::Conflict(Conflict::Duplicate { .. })), "{outcome:?}");
    }
    assert!(steps > 2 * 90 * 5 / PIECE, "both slices went piece by piece: {steps}");
    assert_found(&cell.data, scope, &all).await;
}

pub(crate) async fn a_slice_meets_what_is_staged_and_what_its_own_transaction_staged(
    cell: &TestCell,
) {
    let scope = tenant(&cell.data).await;
    done(&cell.data, scope, slice(vec![lead(1, email(1))])).await;
    let ops = vec![
        write(scope, "first", slice(vec![lead(2, email(2)), lead(3, email(1))])),
        write(scope, "second", slice(vec![lead(4, email(2)), lead(5, email(3))])),
    ];
    let mut lost = Vec::new();
    for result in append(&cell.data, ops).await.results {
        match result {
            OpResult::Committed { outcome: Some(Outcome::Slice(slice)), .. } => {
                lost.extend(slice.lost);
            }
            other => panic!("{other:?}"),
        }
    }
    let met = |place, n| LostRow { place, holder: Some(lead_id(n)) };
    assert_eq!(lost, [met(1, 1), met(0, 2)]);
}

pub(crate) async fn a_transaction_that_is_rolled_back_stages_nothing(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    let step = StepImport {
        id: ImportId::from_bytes(id(9, 9)),
        from_row: 1,
        next_byte: 1,
        next_row: 2,
        rows: leadvault_store::ImportRows::default(),
        ranges: Vec::new(),
        cursor: None,
    };
    for n in 0..3 {
        // The second part meets a conflict: there is no such import.
        let parts: Vec<Write> = vec![slice(vec![lead(n, email(7))]).into(), step.clone().into()];
        let outcome = apply(&cell.data, scope, Write::from(parts)).await;
        assert_eq!(outcome, Outcome::Conflict(Conflict::StateMoved));
        assert!(by_tag(&cell.data, scope, TagKind::EMAIL, 7).await.is_empty());
    }
    done(&cell.data, scope, slice(vec![lead(8, email(7))])).await;
    assert_eq!(by_tag(&cell.data, scope, TagKind::EMAIL, 7).await, [lead_id(8)]);
}

pub(crate) async fn what_changes_or_goes_leaves_the_stage(cell: &TestCell) {
    for merged_pieces in [0, 1, 12, 40] {
        let scope = tenant(&cell.data).await;
        let all = rows(0);
        done(&cell.data, scope, slice(all.clone())).await;
        for _ in 0..merged_pieces {
            cell.data.merge_staged(PIECE).await.unwrap();
        }
        let [gone, changed, ..] = all.as_slice() else { panic!("rows") };
        let (gone_tag, old_tag) = (gone.tags.email.unwrap(), changed.tags.email.unwrap());
        done(&cell.data, scope, TombstoneLead { id: gone.id, base: None }).await;
        let update = UpdateLead {
            id: changed.id,
            base: None,
            parts: Vec::new(),
            removed: Vec::new(),
            tags: Some(email(-5)),
            probes: Vec::new(),
            labels: None,
            updated: NOW,
        };
        done(&cell.data, scope, update).await;
        for tag in [gone_tag, old_tag] {
            for (kind, tag) in [
                (TagKind::EMAIL, tag),
                (TagKind::EMAIL, 10_000 + tag),
                (TagKind::PHONE, -tag),
                (TagKind::EXTERNAL_ID, tag),
            ] {
                assert!(by_tag(&cell.data, scope, kind, tag).await.is_empty());
            }
        }
        assert_eq!(by_tag(&cell.data, scope, TagKind::EMAIL, -5).await, [changed.id]);
        // Both addresses are free, and what is stored under them now stays found to the end.
        stored(&cell.data, scope, lead(2_000, email(gone_tag))).await;
        done(&cell.data, scope, slice(vec![lead(2_001, email(old_tag))])).await;
        merge_all(&cell.data).await;
        assert_eq!(by_tag(&cell.data, scope, TagKind::EMAIL, gone_tag).await, [lead_id(2_000)]);
        assert_eq!(by_tag(&cell.data, scope, TagKind::EMAIL, old_tag).await, [lead_id(2_001)]);
        let last = all.last().unwrap();
        let last_tag = last.tags.email.unwrap();
        assert_eq!(by_tag(&cell.data, scope, TagKind::EMAIL, last_tag).await, [last.id]);
        let again = apply(&cell.data, scope, insert(lead(3_000, email(last_tag)))).await;
        assert_eq!(again, duplicate_of(last.at.leaf));
    }
}

pub(crate) async fn a_range_goes_with_what_is_staged_of_it(cell: &TestCell) {
    let scope = tenant(&cell.data).await;
    done(&cell.data, scope, slice(rows(0))).await;
    for _ in 0..15 {
        cell.data.merge_staged(PIECE).await.unwrap();
    }
    done(&cell.data, scope, slice(rows(ROWS))).await;
    let range = LeafRange { dataset: DATASET, tree: 1, first: 30, end: u64::from(ROWS) + 30 };
    let removed = apply(&cell.data, scope, DeleteLeadRange { range }).await;
    assert_eq!(removed, Outcome::Count(ROWS.min(RANGE_STEP_ROWS).into()));
    let kept: Vec<NewLead> = rows(0)
        .into_iter()
        .chain(rows(ROWS))
        .filter(|row| !(30..ROWS + 30).contains(&row.at.leaf))
        .collect();
    assert_found(&cell.data, scope, &kept).await;
    merge_all(&cell.data).await;
    assert_found(&cell.data, scope, &kept).await;
}

pub(crate) async fn leads_behind_a_range_that_is_gone_are_found_like_any(cell: &TestCell) {
    for merged_pieces in [0, 1, 30, usize::MAX] {
        let scope = tenant(&cell.data).await;
        done(&cell.data, scope, slice(rows(0))).await;
        for _ in 0..merged_pieces {
            if !cell.data.merge_staged(PIECE).await.unwrap() {
                break;
            }
        }
        // An undone import leaves no lead row behind the ones it had; made again, it has new leaves.
        let range = LeafRange { dataset: DATASET, tree: 1, first: 0, end: u64::from(ROWS) };
        done_count(&cell.data, scope, DeleteLeadRange { range }, ROWS.into()).await;
        let again = rows(ROWS);
        assert_eq!(apply(&cell.data, scope, slice(again.clone())).await, all_stored());
        assert_found(&cell.data, scope, &again).await;
        for _ in 0..20 {
            cell.data.merge_staged(PIECE).await.unwrap();
        }
        assert_found(&cell.data, scope, &again).await;
        // The same where only the last lead of a run is gone.
        let last = lead_id(u64::from(2 * ROWS - 1));
        done(&cell.data, scope, TombstoneLead { id: last, base: None }).await;
        done(&cell.data, scope, DeleteLead { id: last }).await;
        assert_eq!(apply(&cell.data, scope, slice(rows(2 * ROWS))).await, all_stored());
        merge_all(&cell.data).await;
        let kept: Vec<NewLead> =
            again.into_iter().chain(rows(2 * ROWS)).filter(|row| row.id != last).collect();
        assert_found(&cell.data, scope, &kept).await;
    }
}

pub(crate) async fn a_shredded_tenant_keeps_nothing_staged(cell: &TestCell) {
    let (gone, kept) = (tenant(&cell.data).await, tenant(&cell.data).await);
    for scope in [gone, kept] {
        for n in 0..5 {
            done(&cell.data, scope, slice(rows(n * ROWS))).await;
        }
    }
    for _ in 0..10 {
        cell.data.merge_staged(PIECE).await.unwrap();
    }
    let mut steps = 0;
    loop {
        match apply(&cell.data, gone, DeleteTenantRows).await {
            Outcome::Count(0) => break,
            Outcome::Count(_) => steps += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(steps > 1, "all leads went at once: {steps}");
    assert_found(&cell.data, gone, &[]).await;
    let all: Vec<NewLead> = (0..5).flat_map(|n| rows(n * ROWS)).collect();
    assert_found(&cell.data, kept, &all).await;
    merge_all(&cell.data).await;
    assert_found(&cell.data, gone, &[]).await;
    assert_found(&cell.data, kept, &all).await;
}

async fn done_count(data: &DataStore, scope: TenantScope, write: DeleteLeadRange, count: u64) {
    assert_eq!(apply(data, scope, write).await, Outcome::Count(count));
}

#[tokio::test]
async fn a_crash_in_the_middle_of_a_pass_loses_no_tag() {
    let mut cell = open_sqlite().await;
    let scope = tenant(&cell.data).await;
    let all: Vec<NewLead> = rows(0).into_iter().chain(rows(ROWS)).collect();
    done(&cell.data, scope, slice(rows(0))).await;
    for _ in 0..5 {
        cell.data.merge_staged(PIECE).await.unwrap();
        cell = cell.reopened().await;
    }
    done(&cell.data, scope, slice(rows(ROWS))).await;
    cell = cell.reopened().await;
    assert_found(&cell.data, scope, &all).await;
    while cell.data.merge_staged(60).await.unwrap() {
        cell = cell.reopened().await;
    }
    assert_found(&cell.data, scope, &all).await;
}

/// A tag as it lies in a run and in a table.
fn lies_in(cell: &TestCell, tag: i64) -> bool {
    let bytes = tag.to_be_bytes();
    cell.files().iter().any(|path| {
        let file = std::fs::read(path).unwrap_or_default();
        file.windows(bytes.len()).any(|window| window == bytes)
    })
}

#[tokio::test]
async fn the_tags_of_an_erased_lead_are_nowhere_in_the_file() {
    const TAG: i64 = 0x5eed_c0de_1234_5678;
    for merged_pieces in [0, 1, 3] {
        let cell = open_sqlite().await;
        let scope = tenant(&cell.data).await;
        let mut leads = rows(0);
        leads.push(lead(ROWS, email(TAG)));
        done(&cell.data, scope, slice(leads)).await;
        for _ in 0..merged_pieces {
            cell.data.merge_staged(1_000).await.unwrap();
        }
        assert!(lies_in(&cell, TAG), "the control");
        done(&cell.data, scope, TombstoneLead { id: lead_id(ROWS.into()), base: None }).await;
        assert!(cell.data.checkpoint().await.unwrap());
        assert!(!lies_in(&cell, TAG), "{merged_pieces}");
    }
}

#[tokio::test]
async fn the_tags_of_a_shredded_tenant_are_nowhere_in_the_file() {
    const TAG: i64 = 0x5eed_c0de_8765_4321;
    for merged_pieces in [0, 1, 3] {
        let cell = open_sqlite().await;
        let scope = tenant(&cell.data).await;
        let mut leads = rows(0);
        leads.push(lead(ROWS, email(TAG)));
        done(&cell.data, scope, slice(leads)).await;
        for _ in 0..merged_pieces {
            cell.data.merge_staged(1_000).await.unwrap();
        }
        assert!(lies_in(&cell, TAG), "the control");
        while apply(&cell.data, scope, DeleteTenantRows).await != Outcome::Count(0) {}
        assert!(cell.data.checkpoint().await.unwrap());
        assert!(!lies_in(&cell, TAG), "{merged_pieces}");
    }
}

#[tokio::test]
async fn a_tenant_whose_runs_are_damaged_holds_up_no_other() {
    let cell = open_sqlite().await;
    let (damaged, whole) = (tenant(&cell.data).await, tenant(&cell.data).await);
    for scope in [damaged, whole] {
        done(&cell.data, scope, slice(rows(0))).await;
    }
    cell.data.close().await;
    let [file, _] = cell.files();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file);
    let mut beside = options.connect().await.unwrap();
    let damage = "UPDATE lead_run SET bytes = x'00' WHERE tenant_no = ?";
    sqlx::query(damage).bind(i64::from(damaged.0.0)).execute(&mut beside).await.unwrap();
    // With its keeper, which merges by itself what nothing was added to for a while.
    let data = DataStore::open(&file, SMALL).await.unwrap();
    let staged = "SELECT staged FROM lead_stage WHERE tenant_no = ?";
    let mut left = [0_i64; 2];
    for _ in 0..600 {
        for (left, scope) in left.iter_mut().zip([damaged, whole]) {
            let query = sqlx::query_scalar(staged).bind(i64::from(scope.0.0));
            *left = query.fetch_one(&mut beside).await.unwrap();
        }
        if left[1] == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(left[0] > 0, "the control: what is damaged is not merged");
    assert_eq!(left[1], 0, "and the other is");
    assert_found(&data, whole, &rows(0)).await;
}
