//! Figures of the SQLite store, printed: journal commits, and slices of an import.
//!
//! `cargo run -p leadvault-store --example figures [rows]`; the last ones stand in
//! docs/adr/0003-journal-chunks.md. A figure is no test: nothing here fails for being slow.
#![expect(clippy::unwrap_used, reason = "a figure that cannot be taken ends the program")]

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use leadvault_domain::{
    Compartment, DatasetNo, KeyState, Labels, LeadId, LeafAddress, TenantId, TenantNo, TenantState,
    Timestamp,
};
use leadvault_ledger::{AppendChunks as _, Batch, Entry, Op};
use leadvault_store::{
    DataStore, InsertTenant, LeadSlice, LeadTags, LostAs, NewLead, Part, StoreOptions, TenantRow,
    TenantScope, Write,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// How long callers of the journal go on.
const RUN: Duration = Duration::from_secs(3);
/// Typical size of an entry.
const ENTRY_BYTES: usize = 400;
const DATASET: DatasetNo = DatasetNo(1);

fn tell(line: &str) {
    writeln!(std::io::stdout(), "{line}").unwrap();
}

fn op(log: TenantNo, text: &str, write: Option<Write>) -> Op<Write> {
    let entry = Entry::from_bundle(text.as_bytes().to_vec()).unwrap();
    Op { log, entry, otherwise: None, asserted: None, write }
}

async fn open() -> (tempfile::TempDir, Arc<DataStore>) {
    // Not in memory: the directory of the build lies on a disk.
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let options = StoreOptions { ballast_bytes: 0, ..StoreOptions::default() };
    let data = DataStore::open(&dir.path().join("data.db"), options).await.unwrap();
    (dir, Arc::new(data))
}

async fn tenant(data: &DataStore) -> TenantNo {
    let no = data.reserve_tenant_no().await.unwrap();
    let mut id = [0; 16];
    id[..4].copy_from_slice(&no.0.to_be_bytes());
    let row = TenantRow {
        no,
        id: TenantId::from_bytes(id),
        region: "local".parse().unwrap(),
        state: TenantState::Active,
        key_state: KeyState::Active,
        created_at: Timestamp::from_micros(0),
        facts: "{}".to_owned(),
        meta: None,
    };
    let make = op(no, "tenant.create", Some(InsertTenant { row }.into()));
    data.append(Batch(vec![make])).await.unwrap();
    no
}

type Waiter = (TenantNo, oneshot::Sender<()>);

/// A lane as the journal has one: commits at once, gathers meanwhile. Returns commits and entries.
async fn lane(data: Arc<DataStore>, mut queue: mpsc::Receiver<Waiter>) -> (u32, u32) {
    let text = "x".repeat(ENTRY_BYTES);
    let (mut commits, mut entries) = (0, 0);
    let mut waiting = Vec::new();
    while queue.recv_many(&mut waiting, 256).await > 0 {
        waiting.sort_by_key(|(log, _)| *log);
        let ops = waiting.iter().map(|(log, _)| op(*log, &text, None)).collect();
        data.append(Batch(ops)).await.unwrap();
        commits += 1;
        entries += u32::try_from(waiting.len()).unwrap();
        for (_, answer) in waiting.drain(..) {
            let _gone = answer.send(());
        }
    }
    (commits, entries)
}

/// One caller: waits for each of its commits, notes how long.
async fn call(sender: mpsc::Sender<Waiter>, log: TenantNo, end: Instant) -> Vec<Duration> {
    let mut waits = Vec::new();
    while Instant::now() < end {
        let begun = Instant::now();
        let (answer, answered) = oneshot::channel();
        sender.send((log, answer)).await.unwrap();
        answered.await.unwrap();
        waits.push(begun.elapsed());
    }
    waits
}

async fn journal(tenants: usize, callers: usize) {
    let (_dir, data) = open().await;
    let mut logs = Vec::new();
    for _ in 0..tenants {
        logs.push(tenant(&data).await);
    }
    let (sender, queue) = mpsc::channel(4_096);
    let lane = tokio::spawn(lane(Arc::clone(&data), queue));
    let end = Instant::now() + RUN;
    let tasks: Vec<_> = logs
        .iter()
        .cycle()
        .take(callers)
        .map(|log| tokio::spawn(call(sender.clone(), *log, end)))
        .collect();
    drop(sender);
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await.unwrap());
    }
    waits.sort_unstable();
    let (commits, entries) = lane.await.unwrap();
    let rate = |n: u32| f64::from(n) / RUN.as_secs_f64();
    let at = |percent: usize| waits.get(waits.len() * percent / 100).copied().unwrap_or_default();
    tell(&format!(
        "journal: {tenants:2} tenants, {callers:2} callers: {:6.0} entries/s in {:5.0} commits/s, \
         p50 {:.1?}, p99 {:.1?}",
        rate(entries),
        rate(commits),
        at(50),
        at(99),
    ));
}

/// Spreads numbers, so that tags come in no order.
fn spread(n: u64) -> i64 {
    let mut x = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)).cast_signed()
}

/// A lead of 220 bytes: two compartments, three tags (docs/performance.md).
fn lead(n: u32) -> NewLead {
    let tag = |kind: u64| spread(u64::from(n) << 2 | kind);
    let part = |compartment| Part { compartment, schema: 1, revision: 1, blob: vec![7; 352] };
    let tags = LeadTags {
        email: Some(tag(0)),
        phone: Some(tag(1)),
        domain: Some(spread(u64::from(n) % 20_000)),
        index_epoch: 1,
        ..LeadTags::default()
    };
    NewLead {
        id: LeadId::from_bytes(u128::from(n).to_be_bytes()),
        at: LeafAddress { dataset: DATASET, tree: 1, leaf: n },
        labels: Labels::default(),
        tags,
        batch: Some(1),
        row_no: Some(u64::from(n) + 1),
        created: Timestamp::from_micros(0),
        parts: vec![part(Compartment::CONTACT), part(Compartment::PROFILE)],
    }
}

async fn slices(rows: u32, slice: u32) {
    let (dir, data) = open().await;
    let scope = TenantScope(tenant(&data).await);
    let (mut stored, mut longest, mut rates) = (0, Duration::ZERO, Vec::new());
    let begun = Instant::now();
    let mut quarter = begun;
    while stored < rows {
        let leads = (stored..stored + slice).map(lead).collect();
        let write = LeadSlice { rows: leads, step: None, lost_as: LostAs::Skipped };
        let at = Instant::now();
        data.apply(scope, write).await.unwrap();
        longest = longest.max(at.elapsed());
        let before = stored;
        stored += slice;
        if before / (rows / 4) != stored / (rows / 4) {
            rates.push(f64::from(rows) / 4.0 / quarter.elapsed().as_secs_f64());
            quarter = Instant::now();
        }
    }
    let rate = f64::from(stored) / begun.elapsed().as_secs_f64();
    data.checkpoint().await.unwrap();
    let bytes = std::fs::metadata(dir.path().join("data.db")).unwrap().len();
    tell(&format!(
        "slices of {slice:4}: {rate:6.0} rows/s, by quarter {rates:.0?}, longest {longest:.0?}, \
         {} bytes a row",
        bytes / u64::from(stored)
    ));
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let rows = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(200_000);
    for (tenants, callers) in [(1, 1), (1, 16), (16, 16), (1, 64), (16, 64)] {
        journal(tenants, callers).await;
    }
    for slice in [250, 1_000, 4_000] {
        slices(rows, slice).await;
    }
}
