//! The journal's transaction: writes first, then one chunk per log (protocols.md 2.1).
//!
//! SQLite's write lock makes it simple: from `BEGIN IMMEDIATE` on nobody else writes, so the end of a log
//! and the control rows are read inside the transaction, and a chunk's place is never taken. The statements
//! still say both conditions themselves.
//!
//! Nobody is told anything before `COMMIT` has returned. An operation that the engine refuses is taken out
//! by halving the batch; a later part of a write that meets a conflict makes the transaction begin again
//! without that write.

use std::collections::BTreeMap;

use async_trait::async_trait;
use leadvault_domain::TenantNo;
use leadvault_ledger::{
    AppendChunks, AppendError, Appended, Batch, CommittedChunk, Hash, Op, OpResult,
};

use crate::append_creations::{creation, creations};
use crate::control::{self, ControlRow};
use crate::data_store::DataStore;
use crate::engine::connection::{CommitError, Transaction};
use crate::engine::{Connection, Engine, Reach};
use crate::error::StoreError;
use crate::fail_point::Steps;
use crate::journal::{self, Appending, Chunk};
use crate::log_end::{self, End, LogEnd};
use crate::stage::StageTransaction;
use crate::write::{Conflict, Outcome, Place, Ran, Spot, Write};

pub(crate) type Operation = Op<Write>;

/// Why a transaction did not end in a known commit.
pub(crate) enum Halt {
    /// The operations must run one by one.
    Apart,
    /// Operation `at` must not write: its later part met this conflict.
    Undo { at: usize, conflict: Conflict },
    /// Nothing was committed.
    Failed(StoreError),
    /// The commit found no space: most probably nothing was committed.
    Full,
    /// The commit itself failed.
    Unknown,
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// An operation that is in the chunk of its log, until the commit.
pub(crate) struct Placed {
    pub(crate) at: usize,
    pub(crate) leaf_hash: Hash,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) conflict: bool,
}

/// A log as the transaction finds it.
struct Start<'a> {
    log: TenantNo,
    control: Option<ControlRow>,
    end: LogEnd,
    stage: &'a StageTransaction<'a>,
}

/// One log of a transaction: what goes behind its end, and for whom.
pub(crate) struct LogPart {
    pub(crate) appending: Appending,
    pub(crate) placed: Vec<Placed>,
}

#[async_trait]
impl AppendChunks for DataStore {
    type Write = Write;
    type Outcome = Outcome;

    async fn append(&self, batch: Batch<Write>) -> Result<Appended<Outcome>, AppendError> {
        let mut appended =
            Appended { results: Vec::with_capacity(batch.0.len()), chunks: Vec::new() };
        // Slices still to do, the next one last. Halves are pushed in reverse, so results stay in order.
        let mut open: Vec<&[Operation]> = self.slices(&batch.0);
        open.reverse();
        while let Some(slice) = open.pop() {
            match self.append_slice(slice).await {
                Ok(part) => {
                    appended.results.extend(part.results);
                    appended.chunks.extend(part.chunks);
                }
                Err(Halt::Failed(error)) if !error.is_outage() => {
                    tracing::error!(
                        error.code = error.code(),
                        batch.operations = slice.len(),
                        "the store refused operations of a batch"
                    );
                    if slice.len() > 1 {
                        let (left, right) = slice.split_at(slice.len() / 2);
                        open.extend([right, left]);
                    } else {
                        appended.results.push(OpResult::Failed);
                    }
                }
                // Parts of the batch that were committed are not taken back: they over-report.
                Err(Halt::Failed(_)) if appended.results.is_empty() => {
                    return Err(AppendError::NotCommitted);
                }
                Err(_) => return Err(AppendError::OutcomeUnknown),
            }
        }
        Ok(appended)
    }

    async fn probe(&self) -> Result<(), AppendError> {
        self.engine().write(|| self.probe_once()).await.map_err(|_| AppendError::NotCommitted)
    }
}

impl DataStore {
    /// A batch as the transactions it takes, in order: where the engine has columns for new leads, they go apart
    /// from what has none. Operations of one log that are queued in order stay in one transaction.
    fn slices<'b>(&self, batch: &'b [Operation]) -> Vec<&'b [Operation]> {
        if let Engine::Sqlite(_) = self.engine() {
            return vec![batch];
        }
        let mut slices = Vec::new();
        let mut rest = batch;
        let are_new = |log: &[Operation]| log.iter().all(|op| creation(op).is_some());
        let mut logs = batch.chunk_by(|a, b| a.log == b.log).peekable();
        while let Some(log) = logs.next() {
            let (kind, mut operations) = (are_new(log), log.len());
            while let Some(more) = logs.next_if(|next| are_new(next) == kind) {
                operations += more.len();
            }
            let (slice, behind) = rest.split_at(operations);
            slices.push(slice);
            rest = behind;
        }
        slices
    }

    async fn append_slice(&self, slice: &[Operation]) -> Result<Appended<Outcome>, Halt> {
        let mut undone: BTreeMap<usize, Conflict> = BTreeMap::new();
        let mut retried = false;
        let mut creations = match self.engine() {
            Engine::Postgres(_) => creations(slice),
            Engine::Sqlite(_) => None,
        };
        loop {
            let done = match &creations {
                Some(creations) => self.append_creations(creations).await,
                None => self.append_once(slice, &undone).await,
            };
            match done {
                Err(Halt::Apart) => creations = None,
                // Each turn takes one write out, so there are at most as many turns as operations.
                Err(Halt::Undo { at, conflict }) => {
                    undone.insert(at, conflict);
                }
                Err(halt) => {
                    if !matches!(&halt, Halt::Failed(error) if !error.is_outage()) {
                        self.engine().suspect();
                    }
                    let may_help =
                        matches!(halt, Halt::Full | Halt::Failed(StoreError::Unwritable));
                    if retried || !may_help || !self.engine().release_ballast() {
                        return Err(halt);
                    }
                    retried = true;
                }
                done => return done,
            }
        }
    }

    async fn append_once(
        &self,
        slice: &[Operation],
        undone: &BTreeMap<usize, Conflict>,
    ) -> Result<Appended<Outcome>, Halt> {
        let mut by_log: BTreeMap<TenantNo, Vec<usize>> = BTreeMap::new();
        for (at, op) in slice.iter().enumerate() {
            by_log.entry(op.log).or_default().push(at);
        }
        let mut results: Vec<OpResult<Outcome>> = Vec::with_capacity(slice.len());
        results.resize_with(slice.len(), || OpResult::Failed);
        let mut parts = Vec::with_capacity(by_log.len());
        let reach = Reach::Tenants(by_log.keys().copied().collect());
        let has_writes = slice.iter().any(|op| op.write.is_some());
        let engine = self.engine();
        let mut held =
            if has_writes { engine.writer(reach).await? } else { engine.appender(reach).await? };
        let mut transaction = held.begin().await?;
        self.steps().reached("commit.1.begun");
        let stage = StageTransaction::new(self.stage());
        let mut known =
            log_end::find_logs(&mut transaction.connection(), by_log.keys().copied()).await?;
        for (log, places) in by_log {
            let ops = places.iter().filter_map(|at| slice.get(*at).map(|op| (*at, op)));
            let (control, end) = known.remove(&log).unzip();
            let connection = &mut transaction.connection();
            let end = match connection {
                // The end of the log is behind another lock than the rows.
                Connection::Postgres(_) if has_writes => LogEnd::unknown(log),
                _ => LogEnd::known(log, end.flatten()),
            };
            let start = Start { log, control, end, stage: &stage };
            let part = run_log(connection, self.steps(), start, ops, undone, &mut results).await?;
            parts.extend(part);
        }
        let acknowledged = append_chunks(&mut transaction.connection(), parts, results).await?;
        self.end(transaction).await?;
        drop(held);
        self.keeper().committed();
        Ok(acknowledged)
    }

    /// Commits.
    pub(crate) async fn end(&self, transaction: Transaction<'_>) -> Result<(), Halt> {
        self.steps().reached("commit.3.chunk");
        transaction.commit().await.map_err(commit_failed)?;
        self.steps().reached("commit.4.committed");
        Ok(())
    }
}

fn commit_failed(failed: CommitError) -> Halt {
    if failed.is_full { Halt::Full } else { Halt::Unknown }
}

/// Runs the operations of one log and makes their chunk; `None` if none of them has an entry to append.
async fn run_log<'a>(
    connection: &mut Connection<'_>,
    steps: &Steps,
    start: Start<'a>,
    ops: impl Iterator<Item = (usize, &'a Operation)> + Send,
    undone: &BTreeMap<usize, Conflict>,
    results: &mut [OpResult<Outcome>],
) -> Result<Option<LogPart>, Halt> {
    let Start { log, mut control, end, stage } = start;
    let mut chunk = Chunk::default();
    let mut placed = Vec::new();
    for (at, op) in ops {
        let is_first = matches!(op.write, Some(ref write) if write.makes_tenant());
        match control {
            // Without a control row there is no log, but for the operation that makes both.
            None if !is_first => continue,
            Some(row) if !row.holds(op.asserted) => {
                if let Some(result) = results.get_mut(at) {
                    *result = OpResult::Stale;
                }
                continue;
            }
            _ => {}
        }
        let place = Some(Place { end: &end, offset: stored_index(placed.len())? });
        let spot = Spot { tenant: log, place, stage };
        let outcome = match (&op.write, undone.get(&at)) {
            (None, _) => None,
            (Some(_), Some(conflict)) => Some(Outcome::Conflict(conflict.clone())),
            (Some(write), None) => match write.run(connection, spot).await? {
                Ran::Clean(outcome) => Some(outcome),
                Ran::Undo(conflict) => return Err(Halt::Undo { at, conflict }),
            },
        };
        if op.write.as_ref().is_some_and(|write| !write.keeps_control()) {
            control = control::find(connection, log).await?;
        }
        let conflict = outcome.as_ref().is_some_and(Outcome::is_conflict);
        if control.is_none() {
            continue;
        }
        let entry = op.otherwise.as_ref().filter(|_| conflict).unwrap_or(&op.entry);
        chunk.push(entry)?;
        placed.push(Placed { at, leaf_hash: entry.leaf_hash(), outcome, conflict });
    }
    if chunk.is_empty() {
        return Ok(None);
    }
    steps.reached("commit.2.written");
    let end = end.get(connection).await?;
    Ok(Some(LogPart { appending: Appending { log, end, chunk }, placed }))
}

fn stored_index(place: usize) -> Result<u64, StoreError> {
    u64::try_from(place).map_err(|_| StoreError::OutOfRange)
}

/// Puts the chunks behind the ends of their logs; returns what is told once the commit has returned.
pub(crate) async fn append_chunks(
    connection: &mut Connection<'_>,
    parts: Vec<LogPart>,
    mut results: Vec<OpResult<Outcome>>,
) -> Result<Appended<Outcome>, Halt> {
    let mut chunks = Vec::with_capacity(parts.len());
    let (appending, placed): (Vec<_>, Vec<_>) =
        parts.into_iter().map(|part| (part.appending, part.placed)).unzip();
    for (Appending { log, end, .. }, placed) in appending.iter().zip(&placed) {
        chunks.push(CommittedChunk {
            log: *log,
            first: end.map_or(0, End::size),
            leaf_hashes: placed.iter().map(|p| p.leaf_hash).collect(),
        });
    }
    let epochs = journal::insert_chunks(connection, appending).await?;
    for ((chunk, placed), key_epoch) in chunks.iter().zip(placed).zip(epochs) {
        for (index, op) in (chunk.first..).zip(placed) {
            if let Some(result) = results.get_mut(op.at) {
                *result = OpResult::Committed {
                    index,
                    leaf_hash: op.leaf_hash,
                    key_epoch,
                    outcome: op.outcome,
                    conflict: op.conflict,
                };
            }
        }
    }
    Ok(Appended { results, chunks })
}
