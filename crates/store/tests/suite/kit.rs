//! A fresh cell and short words for what every case does.

use std::path::PathBuf;

use leadvault_domain::{
    Compartment, DatasetNo, KeyState, Labels, LeadId, LeafAddress, TenantId, TenantNo, TenantState,
    Timestamp,
};
use leadvault_ledger::{AppendChunks, Appended, Batch, Entry, Generations, Op, OpResult};
use leadvault_store::{
    Conflict, DataStore, InsertLead, InsertTenant, KeyStore, LeadTags, NewLead, Outcome, Part,
    PostgresOptions, Sealed, StoreOptions, TenantRow, TenantScope, Write,
};
use leadvault_test_postgres::{APP, Databases};

/// The stores of a cell, gone with it.
pub(crate) struct TestCell {
    pub(crate) data: DataStore,
    pub(crate) keys: KeyStore,
    dir: tempfile::TempDir,
    /// `None` where the stores are files in `dir`.
    databases: Option<Databases>,
}

impl TestCell {
    /// The same stores, opened again: what a process finds after a crash.
    pub(crate) async fn reopened(self) -> Self {
        let Self { data, keys, dir, databases } = self;
        drop((data, keys));
        open_in(dir, databases).await
    }

    /// The data store's file, and the log of writes beside it.
    pub(crate) fn files(&self) -> [PathBuf; 2] {
        ["data.db", "data.db-wal"].map(|name| self.dir.path().join(name))
    }
}

/// A cluster of tests has many.
const FEW: PostgresOptions = PostgresOptions { readers: 4, writers: 4 };

/// No ballast: a test writes little.
pub(crate) const SMALL: StoreOptions =
    StoreOptions { ballast_bytes: 0, readers: 2, pages_max: None };

pub(crate) const DATASET: DatasetNo = DatasetNo(1);
/// 2026-11-23T09:00:30Z: not a whole minute.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_795_424_430_000_000);

pub(crate) async fn open_sqlite() -> TestCell {
    open_in(tempfile::tempdir().unwrap(), None).await
}

pub(crate) async fn open_postgres() -> TestCell {
    let databases = tokio::task::spawn_blocking(|| Databases::fresh(migrate)).await.unwrap();
    open_in(tempfile::tempdir().unwrap(), Some(databases)).await
}

/// Makes the schema of both stores.
pub(crate) fn migrate(data: &str, keys: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        DataStore::migrate_postgres(data).await.unwrap();
        KeyStore::migrate_postgres(keys).await.unwrap();
    });
}

async fn open_in(dir: tempfile::TempDir, databases: Option<Databases>) -> TestCell {
    if let Some(pair) = &databases {
        let (data, keys) = (pair.data_url(APP), pair.keys_url(APP));
        let files = dir.path().join("files");
        let data = DataStore::open_postgres(&data, &files, FEW).await.unwrap();
        let keys = KeyStore::open_postgres(&keys, FEW).await.unwrap();
        return TestCell { data, keys, dir, databases };
    }
    let path = |name: &str| -> PathBuf { dir.path().join(name) };
    let data = DataStore::open(&path("data.db"), SMALL).await.unwrap().without_keeper();
    let keys = KeyStore::open(&path("keys.db"), SMALL).await.unwrap();
    TestCell { data, keys, dir, databases }
}

/// 16 bytes that say what they are.
pub(crate) fn id(kind: u8, n: u64) -> [u8; 16] {
    let mut bytes = [kind; 16];
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    bytes
}

pub(crate) fn lead_id(n: u64) -> LeadId {
    LeadId::from_bytes(id(1, n))
}

pub(crate) fn entry(text: &str) -> Entry {
    Entry::from_bundle(text.as_bytes().to_vec()).unwrap()
}

pub(crate) fn sealed(leaf: u32) -> Sealed {
    Sealed { leaf, revision: 1, blob: vec![0xee; 40] }
}

pub(crate) fn tenant_row(no: TenantNo) -> TenantRow {
    TenantRow {
        no,
        id: TenantId::from_bytes(id(7, u64::from(no.0))),
        region: "local".parse().unwrap(),
        state: TenantState::Active,
        key_state: KeyState::Active,
        created_at: NOW,
        facts: "{}".to_owned(),
        meta: Some(sealed(3)),
    }
}

/// A tenant whose log holds entry 0.
pub(crate) async fn tenant(data: &DataStore) -> TenantScope {
    let no = data.reserve_tenant_no().await.unwrap();
    let op = write(no.into(), "tenant.create", InsertTenant { row: tenant_row(no) });
    let done = append(data, vec![op]).await;
    assert!(matches!(done.results[..], [OpResult::Committed { index: 0, conflict: false, .. }]));
    no.into()
}

pub(crate) fn read(log: TenantScope, text: &str) -> Op<Write> {
    Op { log: log.0, entry: entry(text), otherwise: None, asserted: None, write: None }
}

pub(crate) fn write(log: TenantScope, text: &str, write: impl Into<Write>) -> Op<Write> {
    Op {
        log: log.0,
        entry: entry(text),
        otherwise: Some(entry(&format!("{text}: conflict"))),
        asserted: None,
        write: Some(write.into()),
    }
}

pub(crate) fn asserting(op: Op<Write>, state_gen: u32, dir_gen: Option<u32>) -> Op<Write> {
    Op { asserted: Some(Generations { state_gen, dir_gen }), ..op }
}

pub(crate) async fn append(data: &DataStore, ops: Vec<Op<Write>>) -> Appended<Outcome> {
    data.append(Batch(ops)).await.unwrap()
}

/// Applies a write without an entry.
pub(crate) async fn apply(
    data: &DataStore,
    scope: TenantScope,
    write: impl Into<Write> + Send,
) -> Outcome {
    data.apply(scope, write).await.unwrap()
}

/// Applies a write that must meet no conflict.
pub(crate) async fn done(data: &DataStore, scope: TenantScope, write: impl Into<Write> + Send) {
    let outcome = apply(data, scope, write).await;
    assert!(!outcome.is_conflict(), "{outcome:?}");
}

/// All entries of a log, as text.
pub(crate) async fn texts(data: &DataStore, log: TenantScope) -> Vec<String> {
    let size = data.find_log_size(log).await.unwrap();
    let mut texts: Vec<String> = Vec::new();
    let mut from = 0;
    while from < size {
        let chunks = data.list_chunks(log, from, size).await.unwrap();
        for chunk in &chunks {
            assert_eq!(chunk.first, u64::try_from(texts.len()).unwrap(), "a gap");
            texts.extend(chunk.entries.iter().map(|e| String::from_utf8(e.clone()).unwrap()));
        }
        from = chunks.last().map_or(size, leadvault_store::ChunkRow::end);
    }
    texts
}

pub(crate) fn part(compartment: u16, revision: u32, byte: u8) -> Part {
    Part { compartment: Compartment(compartment), schema: 1, revision, blob: vec![byte; 100] }
}

/// A lead with leaf `n`, and tags where they are given.
pub(crate) fn lead(n: u32, tags: LeadTags) -> NewLead {
    NewLead {
        id: lead_id(n.into()),
        at: LeafAddress { dataset: DATASET, tree: 1, leaf: n },
        labels: Labels::default(),
        tags,
        batch: None,
        row_no: None,
        created: NOW,
        parts: vec![part(1, 1, 0xc0), part(2, 1, 0xb0)],
    }
}

pub(crate) fn email(tag: i64) -> LeadTags {
    LeadTags { email: Some(tag), index_epoch: 1, ..LeadTags::default() }
}

pub(crate) fn insert(lead: NewLead) -> InsertLead {
    InsertLead { lead, probes: Vec::new() }
}

/// Stores a lead that must be new.
pub(crate) async fn stored(data: &DataStore, scope: TenantScope, lead: NewLead) {
    done(data, scope, insert(lead)).await;
}

pub(crate) fn duplicate_of(n: u32) -> Outcome {
    Outcome::Conflict(Conflict::Duplicate { lead: lead_id(n.into()) })
}
