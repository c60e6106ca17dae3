//! A store in memory, with the faults that the journal must survive.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use async_trait::async_trait;
use leadvault_domain::TenantNo;
use leadvault_ledger::{
    AppendChunks, AppendError, Appended, Batch, CommittedChunk, Entry, OpResult,
};
use tokio::sync::Semaphore;

/// What the next appends do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    NotCommitted,
    /// Durable, and the answer was lost.
    OutcomeUnknown,
    Panic,
    /// Results that do not belong to the batch.
    Confused(Confusion),
}

/// How results can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confusion {
    TooFew,
    OtherIndex,
    OtherLeaf,
    EmptyChunk,
    ChunkTwice,
    UnknownLog,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) logs: BTreeMap<TenantNo, Vec<Entry>>,
    pub(crate) state_gen: BTreeMap<TenantNo, u32>,
    /// Sizes of the batches so far.
    pub(crate) batches: Vec<usize>,
    pub(crate) broken: BTreeSet<TenantNo>,
}

/// A write: `true` meets a conflict.
pub(crate) type Write = bool;

#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) state: Mutex<State>,
    pub(crate) fault: Mutex<Fault>,
    /// One permit lets one append pass.
    pub(crate) gate: Semaphore,
    /// Chunks of one operation each, as a store makes them that had to split.
    pub(crate) splits: bool,
}

impl Memory {
    pub(crate) fn open() -> Self {
        Self::with_gate(Semaphore::MAX_PERMITS / 2)
    }

    pub(crate) fn with_gate(permits: usize) -> Self {
        Self {
            state: Mutex::default(),
            fault: Mutex::new(Fault::None),
            gate: Semaphore::new(permits),
            splits: false,
        }
    }

    pub(crate) fn fail(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    pub(crate) fn entries(&self, log: TenantNo) -> usize {
        self.state.lock().unwrap().logs.get(&log).map_or(0, Vec::len)
    }

    pub(crate) fn batches(&self) -> Vec<usize> {
        self.state.lock().unwrap().batches.clone()
    }

    fn commit(&self, batch: Batch<Write>) -> Appended<u64> {
        let mut state = self.state.lock().unwrap();
        state.batches.push(batch.0.len());
        let mut results = Vec::new();
        let mut chunks: Vec<CommittedChunk> = Vec::new();
        for op in batch.0 {
            let generation = state.state_gen.get(&op.log).copied().unwrap_or(1);
            if op.asserted.is_some_and(|asserted| asserted.state_gen != generation) {
                results.push(OpResult::Stale);
                continue;
            }
            if state.broken.contains(&op.log) {
                results.push(OpResult::Failed);
                continue;
            }
            let conflict = op.write == Some(true);
            let entry = op.otherwise.filter(|_| conflict).unwrap_or(op.entry);
            let leaf_hash = entry.leaf_hash();
            let log = state.logs.entry(op.log).or_default();
            let index = log.len() as u64;
            log.push(entry);
            match chunks.iter_mut().find(|chunk| chunk.log == op.log && !self.splits) {
                Some(chunk) => chunk.leaf_hashes.push(leaf_hash),
                None => chunks.push(CommittedChunk {
                    log: op.log,
                    first: index,
                    leaf_hashes: vec![leaf_hash],
                }),
            }
            let outcome = op.write.map(|_| index);
            results.push(OpResult::Committed { index, leaf_hash, key_epoch: 9, outcome, conflict });
        }
        Appended { results, chunks }
    }
}

fn confuse(appended: &mut Appended<u64>, how: Confusion) {
    match how {
        Confusion::TooFew => drop(appended.results.pop()),
        Confusion::EmptyChunk => appended.chunks[0].leaf_hashes.clear(),
        Confusion::ChunkTwice => {
            let chunk = appended.chunks[0].clone();
            appended.chunks.push(chunk);
        }
        Confusion::UnknownLog => appended.chunks[0].log = TenantNo(99),
        Confusion::OtherIndex | Confusion::OtherLeaf => {
            for result in &mut appended.results {
                if let OpResult::Committed { index, leaf_hash, .. } = result {
                    match how {
                        Confusion::OtherIndex => *index += 1000,
                        _ => *leaf_hash = [0; 32],
                    }
                }
            }
            if how == Confusion::OtherLeaf {
                appended.chunks[0].leaf_hashes.fill([0; 32]);
            }
        }
    }
}

#[async_trait]
impl AppendChunks for Memory {
    type Write = Write;
    type Outcome = u64;

    async fn append(&self, batch: Batch<Write>) -> Result<Appended<u64>, AppendError> {
        self.gate.acquire().await.unwrap().forget();
        let fault = *self.fault.lock().unwrap();
        match fault {
            Fault::None => Ok(self.commit(batch)),
            Fault::NotCommitted => Err(AppendError::NotCommitted),
            Fault::OutcomeUnknown => {
                self.commit(batch);
                Err(AppendError::OutcomeUnknown)
            }
            Fault::Panic => panic!("planted"),
            Fault::Confused(how) => {
                let mut appended = self.commit(batch);
                confuse(&mut appended, how);
                Ok(appended)
            }
        }
    }
}
