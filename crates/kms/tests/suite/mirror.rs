//! Sets in a directory: whole or absent, and never a page fewer than a set needs.

use std::fs::{read, write};
use std::path::{Path, PathBuf};

use leadvault_domain::{DatasetNo, DirectoryId, PageId, SlotId, TenantId, Timestamp};
use leadvault_keys::{
    DirectoryRow, HeadRow, HopRow, HwmRow, KekRow, KekState, Mirror, MirrorError, PageRow,
    TenantRows,
};
use leadvault_kms::DirMirror;

const TENANT: TenantId = TenantId::from_bytes([1; 16]);

fn page(n: u8) -> PageRow {
    let inserted_at = Timestamp::from_micros(i64::from(n));
    PageRow { tenant: TENANT, page: PageId::from_bytes([n; 16]), blob: vec![n; 100], inserted_at }
}

fn rows(epoch: u32, pages: &[u8]) -> TenantRows {
    let tenant = TENANT;
    let directory = DirectoryId::from_bytes([u8::try_from(epoch).unwrap(); 16]);
    let slot = SlotId::from_bytes([8; 16]);
    TenantRows {
        head: HeadRow { tenant, epoch, directory, forgotten_epoch: epoch - 1, slot },
        directory: DirectoryRow { tenant, directory, epoch, blob: vec![7; 300] },
        pages: pages.iter().map(|n| page(*n)).collect(),
        hops: vec![HopRow { tenant, epoch, directory, blob: vec![6; 268] }],
        keks: vec![
            KekRow { tenant, generation: 1, wrapped: vec![5; 128], state: KekState::Destroyed },
            KekRow { tenant, generation: 2, wrapped: vec![4; 128], state: KekState::Active },
        ],
        hwm: vec![HwmRow { tenant, dataset: DatasetNo(1), tree: 1, next_leaf: 1 << 32 }],
    }
}

fn ids(pages: &[u8]) -> Vec<PageId> {
    pages.iter().map(|n| page(*n).page).collect()
}

fn same(a: &TenantRows, b: &TenantRows) -> bool {
    a.head == b.head
        && a.directory == b.directory
        && a.pages == b.pages
        && a.hops == b.hops
        && a.keks == b.keks
        && a.hwm == b.hwm
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let inside = dir.join(TENANT.uuid().to_string());
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(inside).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[tokio::test]
async fn a_set_reads_back_with_pages_written_by_earlier_sets() {
    let dir = tempfile::tempdir().unwrap();
    let mirror = DirMirror::open(dir.path()).unwrap();
    assert_eq!(mirror.tenants().await, Ok(Vec::new()));
    mirror.store(&rows(1, &[1, 2]), &ids(&[1, 2])).await.unwrap();
    mirror.store(&rows(2, &[3]), &ids(&[2, 3])).await.unwrap();
    assert_eq!(mirror.epochs(TENANT).await, Ok(vec![2, 1]));
    assert_eq!(mirror.tenants().await, Ok(vec![TENANT]));
    assert!(same(&mirror.load(TENANT, 2).await.unwrap(), &rows(2, &[2, 3])));
    assert!(same(&mirror.load(TENANT, 1).await.unwrap(), &rows(1, &[1, 2])));
    mirror.store(&rows(2, &[]), &ids(&[2, 3])).await.unwrap();
    assert_eq!(mirror.load(TENANT, 3).await.err(), Some(MirrorError::Damaged));
}

#[tokio::test]
async fn a_set_that_names_a_page_it_neither_brings_nor_finds_is_refused_and_absent() {
    let dir = tempfile::tempdir().unwrap();
    let mirror = DirMirror::open(dir.path()).unwrap();
    let refused = mirror.store(&rows(1, &[1]), &ids(&[1, 2])).await;
    assert_eq!(refused, Err(MirrorError::Damaged));
    assert_eq!(mirror.epochs(TENANT).await, Ok(Vec::new()));
}

#[tokio::test]
async fn keeping_an_epoch_drops_older_sets_and_only_the_pages_no_set_needs() {
    let dir = tempfile::tempdir().unwrap();
    let mirror = DirMirror::open(dir.path()).unwrap();
    mirror.store(&rows(1, &[1, 2]), &ids(&[1, 2])).await.unwrap();
    mirror.store(&rows(2, &[3]), &ids(&[2, 3])).await.unwrap();
    mirror.store(&rows(3, &[4]), &ids(&[3, 4])).await.unwrap();
    assert_eq!(files(dir.path()).len(), 3 + 4 + 1, "control: sets, pages, lock");
    mirror.keep_only(TENANT, 2).await.unwrap();
    assert_eq!(mirror.epochs(TENANT).await, Ok(vec![3, 2]));
    assert_eq!(files(dir.path()).len(), 2 + 3 + 1);
    assert!(same(&mirror.load(TENANT, 2).await.unwrap(), &rows(2, &[2, 3])));
    assert!(same(&mirror.load(TENANT, 3).await.unwrap(), &rows(3, &[3, 4])));
}

#[tokio::test]
async fn a_changed_byte_of_a_set_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let mirror = DirMirror::open(dir.path()).unwrap();
    mirror.store(&rows(1, &[]), &[]).await.unwrap();
    let set = files(dir.path()).into_iter().find(|p| p.to_string_lossy().contains("set-")).unwrap();
    let good = read(&set).unwrap();
    for at in (0..good.len()).step_by(11) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        write(&set, &bad).unwrap();
        assert_eq!(mirror.load(TENANT, 1).await.err(), Some(MirrorError::Damaged), "{at}");
    }
    write(&set, &good).unwrap();
    assert!(mirror.load(TENANT, 1).await.is_ok(), "control");
}

#[tokio::test]
async fn a_deleted_tenant_is_gone_and_deleting_it_again_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let mirror = DirMirror::open(dir.path()).unwrap();
    mirror.store(&rows(1, &[1]), &ids(&[1])).await.unwrap();
    mirror.delete(TENANT).await.unwrap();
    mirror.delete(TENANT).await.unwrap();
    mirror.keep_only(TENANT, 1).await.unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
