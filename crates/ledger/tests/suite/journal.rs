//! The journal over a store in memory: batching and faults.

use std::collections::BTreeSet;
use std::sync::Arc;

use leadvault_crypto::LeadRef;
use leadvault_domain::{
    Clock, DatasetNo, DecisionCode, LeafAddress, LeafRange, Operation, TenantNo, Timestamp,
    Unobserved,
};
use leadvault_ledger::{
    CommittedReceipt, Entry, Generations, Journal, JournalError, LedgerReceipt, LogKeys,
    LogOperation, Op,
};

use crate::store::{Confusion, Fault, Memory};
use crate::support::{NOW, ORIGIN, draft, keys, read_draft, tenant};

pub(crate) const LOG: TenantNo = TenantNo(4);
pub(crate) const OTHER: TenantNo = TenantNo(5);

#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        NOW
    }
}

pub(crate) struct Scene {
    pub(crate) journal: Journal<Memory>,
    pub(crate) store: Arc<Memory>,
    pub(crate) keys: Arc<LogKeys>,
}

pub(crate) fn scene(store: Memory) -> Scene {
    let (store, keys) = (Arc::new(store), Arc::new(keys()));
    keys.add_log(LOG, tenant());
    keys.add_log(OTHER, leadvault_domain::TenantId::from_bytes([9; 16]));
    let journal = Journal::start(
        Arc::clone(&store),
        Arc::clone(&keys),
        Arc::new(Stopped),
        Arc::new(Unobserved),
    );
    Scene { journal, store, keys }
}

fn reference(n: u8) -> LeadRef {
    LeadRef::from_bytes([n; 16])
}

pub(crate) fn entry(n: u64) -> Entry {
    read_draft().refs([reference(1)]).n(n).finish().unwrap()
}

fn asserted(state_gen: u32) -> Generations {
    Generations { state_gen, dir_gen: None }
}

fn write(conflict: bool, otherwise: Option<Entry>) -> Op<bool> {
    Op { log: LOG, entry: entry(1), otherwise, asserted: None, write: Some(conflict) }
}

/// Lets every spawned task run until it waits.
pub(crate) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

fn verifies(receipt: &CommittedReceipt, origin: &str) -> bool {
    let parsed = LedgerReceipt::parse(&receipt.header()).unwrap();
    parsed.verify(origin, &receipt.leaf_hash(), &[keys().verifying_key()]).is_ok()
}

#[tokio::test]
async fn a_commit_gives_a_receipt_that_names_its_entry() {
    let scene = scene(Memory::open());
    let first = scene.journal.commit(LOG, entry(1), None).await.unwrap();
    let second = scene.journal.commit(LOG, entry(2), Some(asserted(1))).await.unwrap();
    assert_eq!((first.index(), second.index()), (0, 1));
    assert_eq!((second.log(), second.key_epoch(), second.committed_at()), (LOG, 9, NOW));
    assert_eq!(second.leaf_hash(), entry(2).leaf_hash());
    assert!(second.covers(&reference(1)) && !second.covers(&reference(2)));
    assert!(verifies(&first, ORIGIN) && verifies(&second, ORIGIN));
    assert!(!verifies(&first, "vault.example/o"));
    assert_eq!(scene.store.batches(), [1, 1]);
}

#[tokio::test]
async fn a_receipt_covers_the_ranges_behind_the_digest_and_a_denial_nothing() {
    let scene = scene(Memory::open());
    let at = |leaf| LeafAddress { dataset: DatasetNo(1), tree: 2, leaf };
    let range = LeafRange { dataset: DatasetNo(1), tree: 2, first: 10, end: 20 };
    let sweep = read_draft().refs_sha256([1; 32]).covering_ranges(vec![range]).finish().unwrap();
    let receipt = scene.journal.commit(LOG, sweep, None).await.unwrap();
    assert!(receipt.covers_leaf(at(10)) && receipt.covers_leaf(at(19)));
    assert!(!receipt.covers_leaf(at(9)) && !receipt.covers_leaf(at(20)));
    let denied = draft(LogOperation::Data(Operation::Read), DecisionCode::Restricted);
    let denied = denied.refs([reference(1)]).refs_sha256([1; 32]).covering_ranges(vec![range]);
    let receipt = scene.journal.commit(LOG, denied.finish().unwrap(), None).await.unwrap();
    assert!(!receipt.covers(&reference(1)) && !receipt.covers_leaf(at(10)));
}

#[tokio::test]
async fn what_arrives_during_a_commit_shares_the_next_one() {
    let scene = scene(Memory::with_gate(0));
    let mut waiting = Vec::new();
    for n in 0..64 {
        let journal = scene.journal.clone();
        let log = if n % 2 == 0 { LOG } else { OTHER };
        waiting.push(tokio::spawn(async move { journal.commit(log, entry(n), None).await }));
    }
    settle().await;
    scene.store.gate.add_permits(64);
    let mut places = BTreeSet::new();
    for (n, task) in (0_u64..).zip(waiting) {
        let receipt = task.await.unwrap().unwrap();
        assert_eq!(receipt.leaf_hash(), entry(n).leaf_hash());
        let origin = scene.keys.origin_of(receipt.log()).unwrap();
        assert!(verifies(&receipt, &origin));
        assert!(places.insert((receipt.log(), receipt.index())));
    }
    let batches = scene.store.batches();
    assert_eq!(batches.iter().sum::<usize>(), 64);
    assert!(batches.len() <= 2, "{batches:?}");
    assert_eq!((scene.store.entries(LOG), scene.store.entries(OTHER)), (32, 32));
}

#[tokio::test]
async fn a_batch_has_at_most_256_operations_and_one_mebibyte() {
    let scene = scene(Memory::with_gate(0));
    let commit = |entry: Entry| {
        let journal = scene.journal.clone();
        tokio::spawn(async move { journal.commit(LOG, entry, None).await })
    };
    let mut tasks: Vec<_> = (0..600).map(|n| commit(entry(n))).collect();
    settle().await;
    scene.store.gate.add_permits(1000);
    for task in tasks.drain(..) {
        task.await.unwrap().unwrap();
    }
    let batches = scene.store.batches();
    assert_eq!((batches.iter().sum::<usize>(), batches.iter().max()), (600, Some(&256)));

    let before = batches.len();
    scene.store.gate.forget_permits(1000);
    let large = |i: u8| Entry::from_bundle(vec![i; 60_000]).unwrap();
    tasks.extend((0..40).map(|i| commit(large(i))));
    settle().await;
    scene.store.gate.add_permits(1000);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let batches = scene.store.batches();
    assert!(batches[before..].iter().all(|ops| ops * 60_002 <= 1 << 20), "{batches:?}");
    assert_eq!(batches[before..].iter().sum::<usize>(), 40);
}

#[tokio::test]
async fn a_full_queue_turns_callers_away() {
    let scene = scene(Memory::with_gate(0));
    let mut tasks = Vec::new();
    for n in 0..5000 {
        let journal = scene.journal.clone();
        tasks.push(tokio::spawn(async move { journal.commit(LOG, entry(n), None).await }));
    }
    settle().await;
    scene.store.gate.add_permits(1000);
    let mut refused = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error, JournalError::Overloaded);
                refused += 1;
            }
        }
    }
    assert!((1..5000).contains(&refused), "{refused}");
    assert_eq!(scene.store.entries(LOG) + refused, 5000);
}

#[tokio::test]
async fn an_append_that_fails_gives_no_receipt_and_the_journal_recovers_by_itself() {
    let confusions =
        [Confusion::TooFew, Confusion::EmptyChunk, Confusion::ChunkTwice, Confusion::UnknownLog];
    let faults = [Fault::NotCommitted, Fault::OutcomeUnknown, Fault::Panic];
    let faults = faults.into_iter().chain(confusions.into_iter().map(Fault::Confused));
    for fault in faults {
        let scene = scene(Memory::open());
        assert!(scene.journal.is_writable());
        scene.store.fail(fault);
        let refused = scene.journal.commit(LOG, entry(1), None).await;
        assert_eq!(refused.unwrap_err(), JournalError::Unwritable, "{fault:?}");
        assert!(!scene.journal.is_writable(), "{fault:?}");
        scene.store.fail(Fault::None);
        assert!(scene.journal.commit(LOG, entry(2), None).await.is_ok());
        assert!(scene.journal.is_writable());
    }
}

#[tokio::test]
async fn a_result_for_another_entry_gives_no_receipt() {
    for how in [Confusion::OtherIndex, Confusion::OtherLeaf] {
        let scene = scene(Memory::open());
        scene.store.fail(Fault::Confused(how));
        let refused = scene.journal.commit(LOG, entry(1), None).await;
        assert_eq!(refused.unwrap_err(), JournalError::Unwritable, "{how:?}");
    }
}

#[tokio::test]
async fn a_probe_tells_that_the_journal_can_be_written_again() {
    let scene = scene(Memory::open());
    scene.store.fail(Fault::NotCommitted);
    assert!(scene.journal.commit(LOG, entry(1), None).await.is_err());
    assert!(!scene.journal.probe().await && !scene.journal.is_writable());
    scene.store.fail(Fault::None);
    assert!(scene.journal.probe().await && scene.journal.is_writable());
    assert_eq!(scene.store.entries(LOG), 0);
}

#[tokio::test]
async fn a_client_that_hangs_up_cancels_nothing() {
    let scene = scene(Memory::with_gate(0));
    let (journal, other) = (scene.journal.clone(), scene.journal.clone());
    let first = tokio::spawn(async move { journal.commit(LOG, entry(1), None).await });
    let queued = tokio::spawn(async move { other.commit_write(write(false, None)).await });
    settle().await;
    first.abort();
    queued.abort();
    assert!(first.await.unwrap_err().is_cancelled() && queued.await.unwrap_err().is_cancelled());
    scene.store.gate.add_permits(10);
    settle().await;
    assert_eq!(scene.store.entries(LOG), 2);
    assert_eq!(scene.journal.dirty().take(), BTreeSet::from([LOG]));
}

#[tokio::test]
async fn what_was_queued_is_committed_when_the_last_journal_is_dropped() {
    let Scene { journal, store, .. } = scene(Memory::with_gate(0));
    let commit = |n| {
        let journal = journal.clone();
        tokio::spawn(async move { journal.commit(LOG, entry(n), None).await })
    };
    let tasks = [commit(1), commit(2), commit(3)];
    settle().await;
    drop(journal);
    for task in &tasks {
        task.abort();
    }
    store.gate.add_permits(10);
    settle().await;
    assert_eq!(store.entries(LOG), 3);
}

#[tokio::test]
async fn a_stale_decision_is_refused_for_its_tenant_alone() {
    let scene = scene(Memory::with_gate(0));
    scene.store.state.lock().unwrap().state_gen.insert(OTHER, 2);
    let commit = |log, generation| {
        let journal = scene.journal.clone();
        tokio::spawn(async move { journal.commit(log, entry(1), Some(asserted(generation))).await })
    };
    let tasks = [commit(LOG, 1), commit(LOG, 1), commit(OTHER, 1), commit(OTHER, 2)];
    settle().await;
    scene.store.gate.add_permits(10);
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap().map(|receipt| receipt.log()));
    }
    assert_eq!(results, [Ok(LOG), Ok(LOG), Err(JournalError::Stale), Ok(OTHER)]);
    assert!(scene.journal.is_writable());
}

#[tokio::test]
async fn one_bad_operation_fails_alone() {
    let scene = scene(Memory::with_gate(1));
    scene.store.state.lock().unwrap().broken.insert(OTHER);
    let commit = |log| {
        let journal = scene.journal.clone();
        tokio::spawn(async move { journal.commit(log, entry(1), None).await })
    };
    let tasks = [commit(LOG), commit(OTHER), commit(LOG)];
    settle().await;
    scene.store.gate.add_permits(10);
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap().map(drop));
    }
    assert_eq!(results, [Ok(()), Err(JournalError::Unwritable), Ok(())]);
    assert!(scene.journal.is_writable());
}

#[tokio::test]
async fn a_conflict_is_an_outcome_and_its_entry_says_so() {
    let scene = scene(Memory::open());
    let otherwise = draft(LogOperation::Data(Operation::Modify), DecisionCode::Restricted);
    let otherwise = otherwise.finish().unwrap();
    let wrote = scene.journal.commit_write(write(false, Some(otherwise.clone()))).await.unwrap();
    assert_eq!((wrote.0.leaf_hash(), wrote.1, wrote.2), (entry(1).leaf_hash(), Some(0), false));
    let met = scene.journal.commit_write(write(true, Some(otherwise.clone()))).await.unwrap();
    assert_eq!((met.0.leaf_hash(), met.1, met.2), (otherwise.leaf_hash(), Some(1), true));
    // The receipt is for the entry that stands: it does not cover what the other one would have.
    assert!(wrote.0.covers(&reference(1)) && !met.0.covers(&reference(1)));
    let same = scene.journal.commit_write(write(true, None)).await.unwrap();
    assert_eq!((same.0.leaf_hash(), same.2), (entry(1).leaf_hash(), true));
}

#[tokio::test]
async fn a_slow_write_does_not_hold_up_reads() {
    let scene = scene(Memory::with_gate(0));
    let journal = scene.journal.clone();
    let slow = tokio::spawn(async move { journal.commit_write(write(false, None)).await });
    settle().await;
    let journal = scene.journal.clone();
    let read = tokio::spawn(async move { journal.commit(LOG, entry(2), None).await });
    settle().await;
    // Both lanes wait at the gate: neither stands behind the other.
    assert_eq!(scene.store.gate.available_permits(), 0);
    scene.store.gate.add_permits(2);
    assert!(read.await.unwrap().is_ok() && slow.await.unwrap().is_ok());
    assert_eq!(scene.store.batches(), [1, 1]);
}

#[tokio::test]
async fn a_log_that_nobody_named_takes_no_entries() {
    let scene = scene(Memory::open());
    let refused = scene.journal.commit(TenantNo(77), entry(1), None).await;
    assert_eq!(refused.unwrap_err(), JournalError::UnknownLog);
    assert_eq!(scene.store.batches(), Vec::<usize>::new());
    let operator = scene.journal.commit(leadvault_ledger::OPERATOR_LOG, entry(1), None).await;
    assert!(verifies(&operator.unwrap(), "vault.example/o"));
}

#[tokio::test]
async fn a_store_that_split_the_batch_still_gives_receipts_that_verify() {
    let scene = scene(Memory { splits: true, ..Memory::with_gate(0) });
    let commit = |n| {
        let journal = scene.journal.clone();
        tokio::spawn(async move { journal.commit(LOG, entry(n), None).await })
    };
    let tasks: Vec<_> = (0..20).map(commit).collect();
    settle().await;
    scene.store.gate.add_permits(100);
    for task in tasks {
        assert!(verifies(&task.await.unwrap().unwrap(), ORIGIN));
    }
}

#[tokio::test]
async fn the_publisher_learns_which_logs_have_new_entries() {
    let scene = scene(Memory::open());
    let dirty = scene.journal.dirty();
    let waiting = tokio::spawn({
        let dirty = dirty.clone();
        async move { dirty.changed().await }
    });
    settle().await;
    assert!(!waiting.is_finished());
    scene.journal.commit(LOG, entry(1), None).await.unwrap();
    assert_eq!(waiting.await.unwrap(), BTreeSet::from([LOG]));
    assert!(dirty.take().is_empty());
    dirty.mark([OTHER]);
    assert_eq!(dirty.changed().await, BTreeSet::from([OTHER]));
}
