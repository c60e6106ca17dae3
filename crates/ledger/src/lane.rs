//! One lane of the journal: gather, commit, sign, answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use leadvault_domain::{Clock, Lane, Measured, Observer, TenantNo};
use tokio::sync::{mpsc, oneshot};

use crate::batch::{AppendChunks, Appended, BATCH_BYTES_MAX, BATCH_OPS_MAX, Batch, Op, OpResult};
use crate::chunk_proof::SignedChunks;
use crate::committed::CommittedReceipt;
use crate::dirty::DirtyLogs;
use crate::entry::Entry;
use crate::journal::JournalError;
use crate::log_keys::LogKeys;

/// Bytes in a chunk before each entry: its length.
const LENGTH_BYTES: usize = 2;

/// What both lanes share.
pub(crate) struct Shared<S: AppendChunks + ?Sized> {
    pub(crate) store: Arc<S>,
    pub(crate) keys: Arc<LogKeys>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) writable: AtomicBool,
    pub(crate) dirty: DirtyLogs,
}

type Answer<O> = Result<(CommittedReceipt, Option<O>, bool), JournalError>;

/// A queued operation and who waits for it.
pub(crate) struct Pending<S: AppendChunks + ?Sized> {
    pub(crate) op: Op<S::Write>,
    pub(crate) reply: oneshot::Sender<Answer<S::Outcome>>,
}

/// Who waits for a committed operation, and the entries it may have become.
struct Waiting<O> {
    log: TenantNo,
    entry: Entry,
    otherwise: Option<Entry>,
    reply: oneshot::Sender<Answer<O>>,
}

/// Bytes an operation takes of a chunk, whichever of its entries is appended.
pub(crate) fn op_bytes<W>(op: &Op<W>) -> usize {
    let otherwise = op.otherwise.as_ref().map_or(0, |entry| entry.bytes().len());
    LENGTH_BYTES + op.entry.bytes().len().max(otherwise)
}

/// Runs until the last sender is gone and the queue is empty.
pub(crate) async fn run<S: AppendChunks + ?Sized>(
    shared: Arc<Shared<S>>,
    lane: Lane,
    mut queue: mpsc::Receiver<Pending<S>>,
) {
    let mut carried = None;
    loop {
        let first = match carried.take() {
            Some(pending) => pending,
            None => match queue.recv().await {
                Some(pending) => pending,
                None => return,
            },
        };
        let (gathered, over) = gather(first, &mut queue);
        carried = over;
        let (entries, began) = (gathered.len() as u64, shared.clock.now());
        let acknowledged = commit(&shared, gathered).await;
        let took = shared.clock.now().since(began);
        shared.observer.observe(&Measured::Batch { lane, entries, acknowledged, took });
    }
}

/// What is queued now, up to one batch; and the operation that did not fit any more.
fn gather<S: AppendChunks + ?Sized>(
    first: Pending<S>,
    queue: &mut mpsc::Receiver<Pending<S>>,
) -> (Vec<Pending<S>>, Option<Pending<S>>) {
    let mut bytes = op_bytes(&first.op);
    let (mut gathered, mut over) = (vec![first], None);
    while gathered.len() < BATCH_OPS_MAX {
        let Ok(next) = queue.try_recv() else { break };
        bytes += op_bytes(&next.op);
        if bytes > BATCH_BYTES_MAX {
            over = Some(next);
            break;
        }
        gathered.push(next);
    }
    // Locks are taken in this order everywhere: (tenant, lead), then chunks by tenant. The sort is stable:
    // what one caller queued in order stays in order.
    gathered
        .sort_by_key(|pending| (pending.op.log, pending.op.entry.covered_refs().first().copied()));
    (gathered, over)
}

/// Commits a batch and answers everybody in it; whether the store acknowledged it.
async fn commit<S: AppendChunks + ?Sized>(
    shared: &Arc<Shared<S>>,
    gathered: Vec<Pending<S>>,
) -> bool {
    let (mut ops, mut waiting) = (Vec::new(), Vec::new());
    for Pending { op, reply } in gathered {
        let (entry, otherwise) = (op.entry.clone(), op.otherwise.clone());
        waiting.push(Waiting { log: op.log, entry, otherwise, reply });
        ops.push(op);
    }
    let store = Arc::clone(&shared.store);
    // A task of its own: a panic below is an unknown outcome of this batch, not the end of the lane.
    let task = tokio::spawn(async move { store.append(Batch(ops)).await });
    match task.await {
        Ok(Ok(appended)) => settle(shared, appended, waiting),
        Ok(Err(error)) => {
            tracing::error!(error.code = %error, "a batch of entries was not acknowledged");
            refuse(shared, waiting)
        }
        Err(_) => {
            tracing::error!("a commit panicked or was aborted");
            refuse(shared, waiting)
        }
    }
}

fn refuse<S: AppendChunks + ?Sized>(shared: &Shared<S>, waiting: Vec<Waiting<S::Outcome>>) -> bool {
    shared.writable.store(false, Ordering::Release);
    for waiter in waiting {
        // Whoever hung up does not want to know.
        drop(waiter.reply.send(Err(JournalError::Unwritable)));
    }
    false
}

fn settle<S: AppendChunks + ?Sized>(
    shared: &Shared<S>,
    appended: Appended<S::Outcome>,
    waiting: Vec<Waiting<S::Outcome>>,
) -> bool {
    let at = shared.clock.now();
    let signed = SignedChunks::sign(appended.chunks, &shared.keys, at);
    let (Some(signed), true) = (signed, appended.results.len() == waiting.len()) else {
        tracing::error!("the store returned results that do not belong to the batch");
        return refuse(shared, waiting);
    };
    let worked = appended.results.iter().any(|r| !matches!(r, OpResult::Failed));
    shared.writable.store(worked, Ordering::Release);
    shared.dirty.mark(signed.logs());
    for (result, waiter) in appended.results.into_iter().zip(waiting) {
        let Waiting { log, entry, otherwise, reply } = waiter;
        let answer = match result {
            OpResult::Stale => Err(JournalError::Stale),
            OpResult::Failed => Err(JournalError::Unwritable),
            OpResult::Committed { index, leaf_hash, key_epoch, outcome, conflict } => {
                let entry = if conflict { otherwise.unwrap_or(entry) } else { entry };
                // The receipt speaks for the entry that was queued, so that one must be what was appended.
                match signed.receipt(log, index, &leaf_hash) {
                    Some(receipt) if leaf_hash == entry.leaf_hash() => {
                        let receipt = CommittedReceipt::new(log, entry, key_epoch, at, receipt);
                        Ok((receipt, outcome, conflict))
                    }
                    _ => Err(JournalError::Unwritable),
                }
            }
        };
        // Whoever hung up does not want to know: the entry stands.
        drop(reply.send(answer));
    }
    worked
}
