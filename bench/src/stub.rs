//! A journal that acknowledges without writing: what the same work costs without its entries.
//!
//! An operation that only has an entry is acknowledged at once. A new lead is stored without its entry, in
//! a transaction of its own, for there is no chunk that would gather several. Everything else goes to the
//! store as it is, and so does the first entry of each log, from which the key epoch is learnt.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use leadvault_domain::TenantNo;
use leadvault_ledger::{AppendChunks, AppendError, Appended, Batch, CommittedChunk, Op, OpResult};
use leadvault_store::{DataStore, Outcome, TenantScope, Write};

/// Where the made-up indices of a log begin: far above every entry of a bench.
const FIRST_INDEX: u64 = 1 << 40;

/// A log as the stub knows it.
#[derive(Debug, Clone, Copy)]
struct Known {
    next: u64,
    key_epoch: u32,
}

/// The stub, before the store that does the rest.
#[derive(Debug)]
pub(crate) struct StubJournal {
    data: Arc<DataStore>,
    logs: Mutex<BTreeMap<TenantNo, Known>>,
}

impl StubJournal {
    /// Before a store.
    pub(crate) fn new(data: Arc<DataStore>) -> Self {
        Self { data, logs: Mutex::new(BTreeMap::new()) }
    }

    fn knows_all(&self, batch: &Batch<Write>) -> bool {
        let logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        batch.0.iter().all(|op| logs.contains_key(&op.log) && is_stubbed(op))
    }

    /// The next index of a log, and its key epoch.
    fn take(&self, log: TenantNo) -> Option<Known> {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let known = logs.get_mut(&log)?;
        let taken = *known;
        known.next += 1;
        Some(taken)
    }

    async fn acknowledge(&self, op: Op<Write>) -> Option<(OpResult<Outcome>, CommittedChunk)> {
        let Known { next, key_epoch } = self.take(op.log)?;
        let outcome = match op.write {
            None => None,
            Some(write) => Some(self.data.apply(TenantScope(op.log), write).await.ok()?),
        };
        let conflict = outcome.as_ref().is_some_and(Outcome::is_conflict);
        let entry = op.otherwise.filter(|_| conflict).unwrap_or(op.entry);
        let leaf_hash = entry.leaf_hash();
        let chunk = CommittedChunk { log: op.log, first: next, leaf_hashes: vec![leaf_hash] };
        let result = OpResult::Committed { index: next, leaf_hash, key_epoch, outcome, conflict };
        Some((result, chunk))
    }

    fn learn(&self, ops: &[TenantNo], appended: &Appended<Outcome>) {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        for (log, result) in ops.iter().zip(&appended.results) {
            if let OpResult::Committed { key_epoch, .. } = result {
                let next = logs.get(log).map_or(FIRST_INDEX, |known| known.next);
                logs.insert(*log, Known { next, key_epoch: *key_epoch });
            }
        }
    }
}

/// Whether an operation is one that the stub takes upon itself.
fn is_stubbed(op: &Op<Write>) -> bool {
    let is_lead = |write: &Write| matches!(write, Write::InsertLead(_) | Write::InsertReplay(_));
    match &op.write {
        None => true,
        Some(Write::Several(parts)) => parts.iter().all(is_lead),
        Some(write) => is_lead(write),
    }
}

#[async_trait]
impl AppendChunks for StubJournal {
    type Write = Write;
    type Outcome = Outcome;

    async fn append(&self, batch: Batch<Write>) -> Result<Appended<Outcome>, AppendError> {
        if !self.knows_all(&batch) {
            let logs: Vec<TenantNo> = batch.0.iter().map(|op| op.log).collect();
            let appended = self.data.append(batch).await?;
            self.learn(&logs, &appended);
            return Ok(appended);
        }
        let mut appended = Appended { results: Vec::new(), chunks: Vec::new() };
        for op in batch.0 {
            let (result, chunk) = self.acknowledge(op).await.ok_or(AppendError::NotCommitted)?;
            appended.results.push(result);
            // Entries of one log that follow one another are one chunk, as the store makes them: the tree
            // over a chunk and its signature are the journal's cost, but not that of writing it.
            match appended.chunks.last_mut().filter(|last| last.log == chunk.log) {
                Some(last) => last.leaf_hashes.extend(chunk.leaf_hashes),
                None => appended.chunks.push(chunk),
            }
        }
        Ok(appended)
    }
}
