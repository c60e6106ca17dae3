//! The key store: the compare-and-set, hygiene, leaf numbers.

use leadvault_domain::{DatasetNo, DirectoryId, PageId, SlotId, TenantId, Timestamp};
use leadvault_keys::{
    BlobsError, Decided, Decision, DirectoryRow, FirstRows, HeadRow, HopRow, HwmRow, KekRow,
    KekState, KeyBlobs as _, NodeEpochRow, PageRow, TenantRows, Unreferenced,
};
use leadvault_store::{CellSecretRow, KeyStore, LogHeadRow, StoreError};

use crate::kit::{NOW, TestCell, id};

const TENANT: TenantId = TenantId::from_bytes([7; 16]);

fn directory_id(epoch: u32) -> DirectoryId {
    DirectoryId::from_bytes(id(2, epoch.into()))
}

fn page_id(n: u64) -> PageId {
    PageId::from_bytes(id(3, n))
}

fn directory(epoch: u32) -> DirectoryRow {
    DirectoryRow { tenant: TENANT, directory: directory_id(epoch), epoch, blob: vec![1; 50] }
}

fn page(n: u64, inserted_at: Timestamp) -> PageRow {
    PageRow { tenant: TENANT, page: page_id(n), blob: vec![2; 60], inserted_at }
}

fn hop(epoch: u32) -> HopRow {
    HopRow { tenant: TENANT, epoch, directory: directory_id(epoch), blob: vec![3; 70] }
}

fn kek(generation: u32) -> KekRow {
    KekRow { tenant: TENANT, generation, wrapped: vec![4; 48], state: KekState::Active }
}

fn head(epoch: u32, forgotten_epoch: u32) -> HeadRow {
    let slot = SlotId::from_bytes([9; 16]);
    HeadRow { tenant: TENANT, epoch, directory: directory_id(epoch), forgotten_epoch, slot }
}

fn first() -> FirstRows {
    FirstRows { head: head(1, 1), directory: directory(1), kek: kek(1) }
}

/// From `epoch` to the next, with page number `epoch + 1`.
fn decision(epoch: u32) -> Decision {
    Decision {
        tenant: TENANT,
        expected_epoch: epoch,
        expected_directory: directory_id(epoch),
        directory: directory(epoch + 1),
        pages: vec![page(u64::from(epoch) + 1, NOW)],
        staged: Vec::new(),
        hop: hop(epoch + 1),
        kek: None,
    }
}

async fn born(keys: &KeyStore) {
    keys.insert_tenant(first()).await.unwrap();
}

pub(crate) async fn a_tenant_is_born_once(cell: &TestCell) {
    let keys = &cell.keys;
    assert_eq!(keys.find_head(TENANT).await, Ok(None));
    born(keys).await;
    assert_eq!(keys.insert_tenant(first()).await, Err(BlobsError::Exists));
    assert_eq!(keys.find_head(TENANT).await, Ok(Some(head(1, 1))));
    assert_eq!(keys.list_heads().await, Ok(vec![head(1, 1)]));
    assert_eq!(keys.find_directory(TENANT, directory_id(1)).await, Ok(Some(directory(1))));
    assert_eq!(keys.list_keks(TENANT).await, Ok(vec![kek(1)]));
}

pub(crate) async fn the_decision_is_won_once(cell: &TestCell) {
    let keys = &cell.keys;
    born(keys).await;
    let mut second = decision(1);
    second.directory.directory = directory_id(99);
    second.hop.directory = directory_id(99);
    second.pages = vec![page(99, NOW)];
    let (a, b) = tokio::join!(keys.decide(decision(1)), keys.decide(second));
    // Either may be the first.
    let (won, lost) = match (a, b) {
        (Ok(Decided::Won), Ok(Decided::Lost)) => (2_u32, 99_u32),
        (Ok(Decided::Lost), Ok(Decided::Won)) => (99, 2),
        both => panic!("one wins and one loses: {both:?}"),
    };
    assert_eq!(keys.find_head(TENANT).await.unwrap().unwrap().epoch, 2);
    assert_eq!(
        keys.find_hop(TENANT, 2).await.unwrap().map(|hop| hop.directory),
        Some(directory_id(won))
    );
    assert_eq!(keys.find_page(TENANT, page_id(won.into())).await, Ok(Some(page(won.into(), NOW))));
    assert_eq!(
        keys.find_page(TENANT, page_id(lost.into())).await,
        Ok(None),
        "the loser stored nothing"
    );
    assert_eq!(keys.find_directory(TENANT, directory_id(lost)).await, Ok(None));
    keys.raise_forgotten(TENANT, 2).await.unwrap();
    keys.raise_forgotten(TENANT, 1).await.unwrap();
    assert_eq!(keys.find_head(TENANT).await.unwrap().unwrap().forgotten_epoch, 2);
    let stranger = TenantId::from_bytes([8; 16]);
    assert_eq!(keys.raise_forgotten(stranger, 1).await, Err(BlobsError::Missing));
}

pub(crate) async fn a_missing_staged_page_undoes_the_decision(cell: &TestCell) {
    let keys = &cell.keys;
    born(keys).await;
    keys.insert_pages(vec![page(10, NOW), page(11, NOW)]).await.unwrap();
    assert_eq!(
        keys.insert_pages(vec![page(12, NOW), page(10, NOW)]).await,
        Err(BlobsError::Exists)
    );
    assert_eq!(keys.find_page(TENANT, page_id(12)).await, Ok(None), "all or nothing");
    let staged = |pages: &[u64]| Decision {
        staged: pages.iter().map(|n| page_id(*n)).collect(),
        kek: Some(kek(2)),
        ..decision(1)
    };
    assert_eq!(keys.decide(staged(&[10, 77])).await, Err(BlobsError::Missing));
    assert_eq!(keys.find_head(TENANT).await, Ok(Some(head(1, 1))));
    assert_eq!(keys.list_keks(TENANT).await, Ok(vec![kek(1)]));
    assert_eq!(keys.decide(staged(&[10, 11])).await, Ok(Decided::Won));
    assert_eq!(keys.list_keks(TENANT).await, Ok(vec![kek(1), kek(2)]));
}

pub(crate) async fn leaves_are_taken_in_aligned_blocks_until_the_tree_is_used_up(cell: &TestCell) {
    let keys = &cell.keys;
    let dataset = DatasetNo(1);
    let take = |count, align| keys.take_leaves(TENANT, dataset, 1, count, align);
    assert_eq!(take(1_024, 1_024).await, Ok(0));
    assert_eq!(take(10, 1).await, Ok(1_024));
    assert_eq!(take(100, 1_024).await, Ok(2_048));
    let row = |next_leaf| HwmRow { tenant: TENANT, dataset, tree: 1, next_leaf };
    assert_eq!(keys.list_leaves(TENANT).await, Ok(vec![row(2_148)]));
    keys.raise_leaves(row(5)).await.unwrap();
    keys.raise_leaves(row((1 << 32) - 10)).await.unwrap();
    assert_eq!(take(11, 1).await, Err(BlobsError::Exhausted));
    assert_eq!(take(1, 1_024).await, Err(BlobsError::Exhausted));
    assert_eq!(take(10, 1).await, Ok(u32::MAX - 9));
    assert_eq!(take(1, 1).await, Err(BlobsError::Exhausted));
    assert_eq!(keys.take_leaves(TENANT, dataset, 2, 1, 1).await, Ok(0), "another tree");
    let both = tokio::join!(
        keys.take_leaves(TENANT, dataset, 3, 50, 1),
        keys.take_leaves(TENANT, dataset, 3, 50, 1)
    );
    assert!(matches!(both, (Ok(0), Ok(50)) | (Ok(50), Ok(0))));
}

pub(crate) async fn hygiene_keeps_what_the_head_needs_and_does_nothing_under_another_head(
    cell: &TestCell,
) {
    let keys = &cell.keys;
    born(keys).await;
    for epoch in 1..=2 {
        assert_eq!(keys.decide(decision(epoch)).await, Ok(Decided::Won));
    }
    let hour = NOW.plus_seconds(3_600);
    keys.insert_pages(vec![page(20, NOW), page(21, hour)]).await.unwrap();
    let sweep = |epoch| Unreferenced {
        tenant: TENANT,
        head_epoch: epoch,
        head_directory: directory_id(epoch),
        live_pages: vec![page_id(3)],
        unnamed_before: hour,
        hops_through: 2,
        keks_below: 1,
    };
    let there = || async {
        let mut there = Vec::new();
        for n in [2, 3, 20, 21] {
            there.push(keys.find_page(TENANT, page_id(n)).await.unwrap().is_some());
        }
        there
    };
    keys.delete_unreferenced(sweep(2)).await.unwrap();
    assert_eq!(there().await, [true; 4], "another head");
    keys.delete_unreferenced(sweep(3)).await.unwrap();
    assert_eq!(there().await, [false, true, false, true], "old page, live, old unnamed, young");
    assert_eq!(keys.find_directory(TENANT, directory_id(2)).await, Ok(None));
    assert_eq!(keys.find_directory(TENANT, directory_id(3)).await, Ok(Some(directory(3))));
    assert_eq!(keys.find_hop(TENANT, 2).await, Ok(None));
    assert_eq!(keys.find_hop(TENANT, 3).await, Ok(Some(hop(3))));
    assert_eq!(keys.list_keks(TENANT).await, Ok(vec![kek(1)]));
}

pub(crate) async fn nodes_confirm_epochs_that_never_go_down(cell: &TestCell) {
    let keys = &cell.keys;
    let row = |epoch, seen_at| NodeEpochRow { node: [1; 16], tenant: TENANT, epoch, seen_at };
    let later = NOW.plus_seconds(5);
    keys.upsert_node_epoch(row(3, NOW)).await.unwrap();
    keys.upsert_node_epoch(row(2, later)).await.unwrap();
    assert_eq!(keys.list_node_epochs(TENANT, later).await, Ok(vec![row(3, later)]));
    assert_eq!(keys.list_node_epochs(TENANT, later.plus_seconds(1)).await, Ok(Vec::new()));
    keys.delete_node_epoch([1; 16], TENANT).await.unwrap();
    assert_eq!(keys.list_node_epochs(TENANT, NOW).await, Ok(Vec::new()));
}

pub(crate) async fn a_shred_destroys_wraps_and_then_rows(cell: &TestCell) {
    let keys = &cell.keys;
    born(keys).await;
    assert_eq!(keys.decide(decision(1)).await, Ok(Decided::Won));
    keys.take_leaves(TENANT, DatasetNo(1), 1, 1, 1).await.unwrap();
    keys.destroy_keks(TENANT).await.unwrap();
    let destroyed = KekRow { state: KekState::Destroyed, ..kek(1) };
    assert_eq!(keys.list_keks(TENANT).await, Ok(vec![destroyed]));
    for _ in 0..2 {
        keys.delete_tenant(TENANT).await.unwrap();
    }
    assert_eq!(keys.find_head(TENANT).await, Ok(None));
    assert_eq!(keys.find_page(TENANT, page_id(2)).await, Ok(None));
    assert_eq!(keys.list_keks(TENANT).await, Ok(Vec::new()));
    assert_eq!(keys.list_leaves(TENANT).await, Ok(Vec::new()));
}

pub(crate) async fn a_restore_replaces_everything(cell: &TestCell) {
    let keys = &cell.keys;
    born(keys).await;
    let rows = TenantRows {
        head: head(5, 4),
        directory: directory(5),
        pages: vec![page(50, NOW)],
        hops: vec![hop(5)],
        keks: vec![kek(2)],
        hwm: vec![HwmRow { tenant: TENANT, dataset: DatasetNo(1), tree: 1, next_leaf: 99 }],
    };
    keys.replace_tenant(rows.clone()).await.unwrap();
    assert_eq!(keys.find_head(TENANT).await, Ok(Some(rows.head)));
    assert_eq!(keys.find_directory(TENANT, directory_id(1)).await, Ok(None));
    assert_eq!(keys.find_page(TENANT, page_id(50)).await, Ok(Some(page(50, NOW))));
    assert_eq!(keys.find_hop(TENANT, 5).await, Ok(Some(hop(5))));
    assert_eq!(keys.list_keks(TENANT).await, Ok(vec![kek(2)]));
    assert_eq!(keys.list_leaves(TENANT).await, Ok(rows.hwm));
}

pub(crate) async fn secrets_and_log_heads_read_back(cell: &TestCell) {
    let keys = &cell.keys;
    let secret = |generation| CellSecretRow { generation, wrapped: vec![1; 48], created_at: NOW };
    keys.insert_cell_secret("log-signing", &secret(1)).await.unwrap();
    keys.insert_cell_secret("log-signing", &secret(2)).await.unwrap();
    let exists = keys.insert_cell_secret("log-signing", &secret(2)).await;
    assert_eq!(exists, Err(StoreError::Exists { table: "cell_secret" }));
    assert_eq!(keys.list_cell_secrets("log-signing").await, Ok(vec![secret(1), secret(2)]));
    keys.delete_cell_secrets("log-signing", 2).await.unwrap();
    assert_eq!(keys.list_cell_secrets("log-signing").await, Ok(vec![secret(2)]));

    let head = |size| LogHeadRow { size, root: [8; 32] };
    assert_eq!(keys.find_log_head(None).await, Ok(None));
    keys.raise_log_head(None, head(9)).await.unwrap();
    keys.raise_log_head(None, head(8)).await.unwrap();
    keys.raise_log_head(Some(TENANT), head(3)).await.unwrap();
    assert_eq!(keys.find_log_head(None).await, Ok(Some(head(9))));
    assert_eq!(keys.find_log_head(Some(TENANT)).await, Ok(Some(head(3))));
}
