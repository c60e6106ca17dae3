//! Killed in the loop: what was acknowledged is there, in order, without a gap.
//!
//! A child process (this test binary again) appends to several logs from several tasks and writes a line
//! for each acknowledgement. The parent kills it with SIGKILL after some lines, opens the store, and looks
//! for each of them. The same directory goes through all rounds.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use leadvault_domain::{KeyState, LeadId, LeafAddress, TenantId, TenantNo, TenantState, Timestamp};
use leadvault_ledger::{AppendChunks as _, Batch, Entry, Op, OpResult};
use leadvault_store::{
    DataStore, InsertLead, InsertTenant, LeadTags, NewLead, StoreOptions, TenantRow, TenantScope,
    Write,
};

const DIRECTORY: &str = "LEADVAULT_STORE_CRASH_DIRECTORY";
const ROUND: &str = "LEADVAULT_STORE_CRASH_ROUND";
const TENANTS: u32 = 3;
/// Tasks of each tenant: lanes of a node, and a second node's worth of contention for the writer.
const TASKS: u32 = 2;
const OPTIONS: StoreOptions = StoreOptions { ballast_bytes: 0, readers: 2, pages_max: None };

fn entry(text: &str) -> Entry {
    Entry::from_bundle(text.as_bytes().to_vec()).unwrap()
}

fn op(log: TenantNo, text: &str, write: Option<Write>) -> Op<Write> {
    Op { log, entry: entry(text), otherwise: None, asserted: None, write }
}

fn uuid(tenant: TenantNo, round: u32, task: u32, n: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (place, number) in bytes.chunks_exact_mut(4).zip([tenant.0, round, task, n]) {
        place.copy_from_slice(&number.to_be_bytes());
    }
    bytes
}

async fn make_tenants(data: &DataStore) {
    for _ in 0..TENANTS {
        let no = data.reserve_tenant_no().await.unwrap();
        let row = TenantRow {
            no,
            id: TenantId::from_bytes(uuid(no, 0, 0, 0)),
            region: "local".parse().unwrap(),
            state: TenantState::Active,
            key_state: KeyState::Active,
            created_at: Timestamp::from_micros(0),
            facts: "{}".to_owned(),
            meta: None,
        };
        let make = op(no, "tenant.create", Some(InsertTenant { row }.into()));
        data.append(Batch(vec![make])).await.unwrap();
    }
}

fn insert(tenant: TenantNo, round: u32, task: u32, n: u32) -> Write {
    let leaf = (round * TASKS + task) * 1_000_000 + n;
    let at = LeafAddress { dataset: leadvault_domain::DatasetNo(1), tree: 1, leaf };
    let lead = NewLead {
        id: LeadId::from_bytes(uuid(tenant, round, task, n)),
        at,
        labels: leadvault_domain::Labels::default(),
        tags: LeadTags { email: Some(i64::from(leaf)), ..LeadTags::default() },
        batch: None,
        row_no: None,
        created: Timestamp::from_micros(0),
        parts: Vec::new(),
    };
    InsertLead { lead, probes: Vec::new() }.into()
}

/// Appends until it is killed; one line for each acknowledged entry.
async fn append_for_ever(data: Arc<DataStore>, tenant: TenantNo, round: u32, task: u32) {
    for n in 0.. {
        let text = format!("{round}.{task}.{n}");
        // Every other batch is of two logs, and its own log gets two entries and a lead.
        let other = TenantNo(tenant.0 % TENANTS + 1);
        let mut ops = vec![op(tenant, &text, Some(insert(tenant, round, task, n)))];
        if n % 2 == 0 {
            ops.push(op(tenant, &format!("{text}b"), None));
            ops.push(op(other, &format!("{text}from{}", tenant.0), None));
        }
        let logs: Vec<(TenantNo, String)> = ops
            .iter()
            .map(|o| (o.log, String::from_utf8(o.entry.bytes().to_vec()).unwrap()))
            .collect();
        let appended = data.append(Batch(ops)).await.unwrap();
        let mut lines = Vec::new();
        for (result, (log, text)) in appended.results.iter().zip(&logs) {
            let OpResult::Committed { index, .. } = result else { panic!("{result:?}") };
            writeln!(lines, "\nACK {} {index} {text}", log.0).unwrap();
        }
        std::io::stdout().lock().write_all(&lines).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_appends() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let round: u32 = std::env::var(ROUND).unwrap().parse().unwrap();
    let path = Path::new(&directory).join("data.db");
    let data = Arc::new(DataStore::open(&path, OPTIONS).await.unwrap());
    let mut tasks = Vec::new();
    for tenant in 1..=TENANTS {
        for task in 0..TASKS {
            let data = Arc::clone(&data);
            tasks.push(tokio::spawn(append_for_ever(data, TenantNo(tenant), round, task)));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// Runs a child until it has acknowledged `lines` entries, and kills it. Lines that were still in the pipe
/// count: they had been acknowledged.
fn killed_after(directory: &Path, round: u32, lines: usize) -> Vec<(u32, u64, String)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child_appends", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = Vec::new();
    let mut killed = false;
    // The last line may be cut in the middle: only whole ones end in a line feed.
    for line in BufReader::new(child.stdout.take().unwrap()).split(b'\n') {
        let line = String::from_utf8(line.unwrap()).unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        if let ["ACK", log, index, text] = words[..] {
            let (log, index) = (log.parse().unwrap(), index.parse().unwrap());
            acknowledged.push((log, index, text.to_owned()));
        }
        if acknowledged.len() >= lines && !killed {
            child.kill().unwrap();
            killed = true;
        }
    }
    child.wait().unwrap();
    assert!(killed, "the child ended by itself");
    // Whether the last line was cut cannot be told from here: its text may be short.
    acknowledged.pop();
    acknowledged
}

async fn entries(data: &DataStore, log: TenantScope) -> Vec<String> {
    let size = data.find_log_size(log).await.unwrap();
    let mut entries: Vec<String> = Vec::new();
    while u64::try_from(entries.len()).unwrap() < size {
        let from = u64::try_from(entries.len()).unwrap();
        for chunk in data.list_chunks(log, from, size).await.unwrap() {
            assert_eq!(chunk.first, u64::try_from(entries.len()).unwrap(), "a gap or a fork");
            entries.extend(chunk.entries.into_iter().map(|e| String::from_utf8(e).unwrap()));
        }
    }
    entries
}

#[tokio::test]
async fn a_killed_process_loses_nothing_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data.db");
    let data = DataStore::open(&path, OPTIONS).await.unwrap();
    make_tenants(&data).await;
    data.close().await;

    let mut acknowledged: BTreeMap<u32, BTreeMap<u64, String>> = BTreeMap::new();
    for round in 1..=5 {
        let lines = 40 + usize::try_from(round).unwrap() * 37;
        let round_lines = killed_after(dir.path(), round, lines);
        assert!(round_lines.len() >= lines - 1);
        for (log, index, text) in round_lines {
            let before = acknowledged.entry(log).or_default().insert(index, text);
            assert_eq!(before, None, "one index was given out twice");
        }
        let data = DataStore::open(&path, OPTIONS).await.unwrap();
        for (log, expected) in &acknowledged {
            let scope = TenantScope(TenantNo(*log));
            let stored = entries(&data, scope).await;
            for (index, text) in expected {
                let place = usize::try_from(*index).unwrap();
                assert_eq!(stored.get(place), Some(text), "log {log}, index {index}");
            }
            // A lead is there exactly when its entry is.
            let own = stored.iter().filter(|text| is_of_lead(text)).count();
            let leads = data.count_leads(scope, None).await.unwrap();
            assert_eq!(leads, u64::try_from(own).unwrap(), "log {log}");
        }
        data.close().await;
    }
    assert_eq!(acknowledged.len(), usize::try_from(TENANTS).unwrap());
}

/// `round.task.n`, without the letter of its companions.
fn is_of_lead(text: &str) -> bool {
    text.split('.').count() == 3 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_was_closed_is_one_file_whenever_that_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data.db");
    let log = dir.path().join("data.db-wal");
    for round in 0..60 {
        // With its keeper, which begins at once and has a connection of its own.
        let data = DataStore::open(&path, OPTIONS).await.unwrap();
        data.reserve_tenant_no().await.unwrap();
        assert!(log.metadata().unwrap().len() > 0, "the control");
        tokio::time::sleep(std::time::Duration::from_micros(round * 40)).await;
        data.close().await;
        assert!(!log.exists(), "round {round}");
    }
}
