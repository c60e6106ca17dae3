//! Two nodes append to one log: no gap, no fork, and what a write notes of its own entry is where the entry stands
//! (protocols.md 2.1, spike 1). Nodes that are processes, and are killed, are in the black-box suite.

use std::collections::BTreeMap;
use std::sync::Arc;

use leadvault_ledger::OpResult;
use leadvault_store::{
    BumpState, DataStore, InsertChange, Outcome, PostgresOptions, TenantScope, Write,
};
use leadvault_test_postgres::{APP, Databases};

use crate::kit::{
    append, asserting, email, insert, lead, migrate, read, sealed, tenant, texts, write,
};

const FEW: PostgresOptions = PostgresOptions { readers: 4, writers: 4 };
/// Batches of each task.
const BATCHES: u32 = 40;

async fn node(databases: &Databases) -> Arc<DataStore> {
    let files = std::path::Path::new("");
    Arc::new(DataStore::open_postgres(&databases.data_url(APP), files, FEW).await.unwrap())
}

/// What a task was told: the text of each entry by its index.
type Told = BTreeMap<u64, String>;

fn note(told: &mut Told, results: Vec<OpResult<Outcome>>, texts: Vec<String>) {
    for (result, text) in results.into_iter().zip(texts) {
        let OpResult::Committed { index, conflict: false, .. } = result else {
            panic!("{text} was not committed")
        };
        assert!(told.insert(index, text).is_none(), "an index was given out twice");
    }
}

/// Entries of reads alone, in batches that name both tenants.
async fn reader(node: Arc<DataStore>, name: String, logs: [TenantScope; 2]) -> [Told; 2] {
    let mut told = [Told::new(), Told::new()];
    for n in 0..BATCHES {
        let texts = logs.map(|log| (log, format!("{name} {n} {}", log.0.0)));
        let ops = texts.iter().map(|(log, text)| read(*log, text)).collect();
        let results = append(&node, ops).await.results;
        for ((told, (_, text)), result) in told.iter_mut().zip(texts).zip(results) {
            note(told, vec![result], vec![text]);
        }
    }
    told
}

/// Leads with the change each of them notes beside its entry.
async fn writer(node: Arc<DataStore>, from: u32, log: TenantScope) -> Told {
    let mut told = Told::new();
    for n in from..from + BATCHES {
        let text = format!("write {n}");
        let parts: Vec<Write> = vec![
            insert(lead(n, email(i64::from(n)))).into(),
            InsertChange { leads: sealed(n) }.into(),
        ];
        let results = append(&node, vec![write(log, &text, Write::from(parts))]).await.results;
        note(&mut told, results, vec![text]);
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_append_to_one_log_without_gap_or_fork() {
    let databases = tokio::task::spawn_blocking(|| Databases::fresh(migrate)).await.unwrap();
    let nodes = [node(&databases).await, node(&databases).await];
    let logs = [tenant(&nodes[0]).await, tenant(&nodes[0]).await];
    let mut readers = Vec::new();
    let mut writers = Vec::new();
    for (n, node) in (0..).zip(&nodes) {
        for task in 0..3 {
            let name = format!("read {n} {task}");
            readers.push(tokio::spawn(reader(Arc::clone(node), name, logs)));
        }
        for task in 0..2 {
            let from = 1 + (n * 2 + task) * BATCHES;
            writers.push(tokio::spawn(writer(Arc::clone(node), from, logs[0])));
        }
    }
    let mut told = [Told::new(), Told::new()];
    for task in readers {
        let [first, second] = task.await.unwrap();
        told[0].extend(first);
        told[1].extend(second);
    }
    let mut written = Vec::new();
    for task in writers {
        let of = task.await.unwrap();
        written.extend(of.keys().copied());
        told[0].extend(of);
    }
    for (log, told) in logs.iter().zip(&told) {
        let all = texts(&nodes[1], *log).await;
        assert_eq!(all.len(), told.len() + 1, "every entry once, and the first");
        for (index, text) in told {
            assert_eq!(&all[usize::try_from(*index).unwrap()], text);
        }
    }
    written.sort_unstable();
    let changes = nodes[0].list_changes(logs[0], 0, u64::MAX >> 1).await.unwrap();
    let noted: Vec<u64> = changes.iter().map(|change| change.index).collect();
    assert_eq!(noted, written, "each change beside its own entry");
    assert!(written.windows(2).any(|pair| pair[1] > pair[0] + 1), "control: reads came between");
}

#[tokio::test]
async fn a_decision_of_before_is_stale_on_every_node() {
    let databases = tokio::task::spawn_blocking(|| Databases::fresh(migrate)).await.unwrap();
    let (here, there) = (node(&databases).await, node(&databases).await);
    let log = tenant(&here).await;
    let before = there.find_control(log).await.unwrap().unwrap();
    let asserted = |text| asserting(read(log, text), before.state_gen, None);
    let done = append(&there, vec![asserted("in time")]).await;
    assert!(matches!(done.results[..], [OpResult::Committed { .. }]), "control");
    append(&here, vec![write(log, "suspend", BumpState)]).await;
    let late = append(&there, vec![asserted("too late"), read(log, "asserts nothing")]).await;
    assert!(matches!(late.results[..], [OpResult::Stale, OpResult::Committed { .. }]));
    assert!(!texts(&there, log).await.iter().any(|text| text == "too late"));
}
