//! The publisher: behind the commit, writes entry bundles, hash tiles and signed checkpoints as immutable
//! files (protocols.md 2.3). About one checkpoint a second and log, and one at once for a receipt that carries
//! its checkpoint; never in the acknowledging path of anything else.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use leadvault_domain::TenantNo;
use leadvault_ledger::publish::Tail;
use leadvault_ledger::tree::Frontier;
use leadvault_ledger::{Checkpoint, LogSource as _, Vkey};
use leadvault_store::{
    CHECKPOINT, LogHeadRow, LogLock, LogTreeRow, TenantScope, UpsertLogTree, VKEY,
};
use tokio::sync::{Mutex, watch};

use crate::cell::Cell;
use crate::error::{Fault, Refusal};

/// The time between two checkpoints of a log that nobody waits for.
const INTERVAL: Duration = Duration::from_millis(900);
/// How long a caller waits for its entry to be published before it is told to come back.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Entries read and written at a time: a bundle's width times sixteen keeps memory flat.
const ENTRIES_MAX: u64 = 4_096;

/// What is published of each log.
#[derive(Debug)]
pub(crate) struct Publisher {
    tails: std::sync::Mutex<HashMap<TenantNo, Arc<Mutex<Tail>>>>,
    /// Logs whose file `vkey` says the present keys.
    vkeys: Mutex<HashSet<TenantNo>>,
    sizes: watch::Sender<HashMap<TenantNo, u64>>,
}

impl Publisher {
    pub(crate) fn new() -> Self {
        let (tails, vkeys) = (std::sync::Mutex::default(), Mutex::default());
        Self { tails, vkeys, sizes: watch::channel(HashMap::new()).0 }
    }

    /// Sets where a log stands in its files, when the cell starts.
    pub(crate) async fn begin(&self, log: TenantNo, tail: Tail) {
        let size = tail.frontier().size();
        *self.tail(log).lock().await = tail;
        self.sizes.send_modify(|sizes| {
            sizes.insert(log, size);
        });
    }

    /// Where a log stands. Held while it is published: logs do not wait for each other.
    fn tail(&self, log: TenantNo) -> Arc<Mutex<Tail>> {
        let mut tails = self.tails.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tails.entry(log).or_default())
    }

    /// Whether the checkpoint of a log covers `index`.
    fn has(&self, log: TenantNo, index: u64) -> bool {
        self.sizes.borrow().get(&log).is_some_and(|size| *size > index)
    }

    /// Waits until the checkpoint of a log covers `index`.
    ///
    /// # Errors
    /// [`Fault::NotReady`] when it does not within five seconds.
    pub(crate) async fn covers(&self, log: TenantNo, index: u64) -> Result<(), Fault> {
        let mut sizes = self.sizes.subscribe();
        let covered = sizes.wait_for(|sizes| sizes.get(&log).is_some_and(|size| *size > index));
        match tokio::time::timeout(WAIT_MAX, covered).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Fault::NotReady),
        }
    }
}

/// Publishes a log now, unless its checkpoint covers `index` already: for receipts, whose caller waits for it.
/// Callers that wait at the same time share one checkpoint.
///
/// # Errors
/// [`Fault::NotReady`] when it cannot be published within five seconds.
pub(crate) async fn cover(cell: &Cell, log: TenantNo, index: u64) -> Result<(), Fault> {
    if let Err(refusal) = publish_unless(cell, log, Some(index)).await {
        tracing::error!(log = log.0, fault = %refusal.fault, "publishing failed");
    }
    cell.publisher().covers(log, index).await
}

/// Publishes for as long as the cell lives.
pub(crate) async fn run(cell: Arc<Cell>) {
    let dirty = cell.journal().dirty();
    loop {
        let taken = dirty.changed().await;
        let mut left = taken.len();
        for log in taken {
            dirty.in_work(left);
            left = left.saturating_sub(1);
            if let Err(refusal) = publish(&cell, log).await {
                tracing::error!(log = log.0, fault = %refusal.fault, "publishing failed");
                dirty.mark([log]);
            }
        }
        dirty.in_work(0);
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Publishes everything committed to a log so far.
///
/// # Errors
/// What store and files say; whatever was written stays, and is written again equal.
pub(crate) async fn publish(cell: &Cell, log: TenantNo) -> Result<(), Refusal> {
    publish_unless(cell, log, None).await
}

async fn publish_unless(cell: &Cell, log: TenantNo, covered: Option<u64>) -> Result<(), Refusal> {
    let publisher = cell.publisher();
    let tail = publisher.tail(log);
    let mut tail = tail.lock().await;
    // Somebody else's checkpoint may have come while this call waited.
    if covered.is_some_and(|index| publisher.has(log, index)) {
        return Ok(());
    }
    let _lock = match cell.parts().node {
        None => None,
        Some(_) => Some(join(cell, log, &mut tail).await?),
    };
    let outcome = advance(cell, log, &mut tail).await;
    let size = tail.frontier().size();
    if matches!(outcome, Ok(true)) {
        publisher.sizes.send_modify(|sizes| {
            sizes.insert(log, size);
        });
    }
    outcome.map(|_| ())
}

/// Keeps the other nodes from publishing a log, and goes on from where they are.
async fn join(cell: &Cell, log: TenantNo, tail: &mut Tail) -> Result<LogLock, Refusal> {
    let lock = cell.parts().log_files.lock(cell.log_owner(log)?).await?;
    let Some(note) = cell.log_dir(log)?.read(CHECKPOINT).map_err(|_| Fault::NotReady)? else {
        return Ok(lock);
    };
    let origin = cell.origin(log)?;
    let keys = cell.parts().log_keys.vkey_file(&origin, cell.clock().now());
    let keys = Vkey::parse_all(&keys).map_err(|_| Fault::Internal("vkey"))?;
    let published = Checkpoint::open(&note, &keys).map_err(|_| Fault::Internal("checkpoint"))?;
    if published.size > tail.frontier().size() {
        *tail = tail_of_files(cell, log, published.size).await?;
        if tail.frontier().root() != published.root {
            return Err(Fault::Internal("tiles").into());
        }
        let publisher = cell.publisher();
        publisher.sizes.send_modify(|sizes| {
            sizes.insert(log, published.size);
        });
    }
    Ok(lock)
}

/// Writes what is missing, a checkpoint for each portion; `true` if there was anything.
async fn advance(cell: &Cell, log: TenantNo, tail: &mut Tail) -> Result<bool, Refusal> {
    let scope = TenantScope(log);
    let from = tail.frontier().size();
    let committed = cell.data().find_log_size(scope).await?;
    let owner = cell.log_owner(log)?;
    let origin = cell.origin(log)?;
    write_vkey(cell, log).await?;
    let mut at = from;
    while at < committed {
        let to = committed.min(at.saturating_add(ENTRIES_MAX));
        let entries = entries(cell, scope, at, to).await?;
        let plan = tail
            .clone()
            .plan(entries.iter().map(Vec::as_slice))
            .map_err(|_| Fault::Internal("tiles"))?;
        let checkpoint = plan
            .checkpoint(&cell.parts().log_keys, &origin, cell.clock().now())
            .map_err(|_| Fault::Internal("checkpoint"))?;
        let files = plan.files.into_iter().map(|f| (f.path, f.bytes)).collect();
        cell.parts().log_files.publish(owner, files, checkpoint.bytes.clone()).await?;
        let row = LogTreeRow {
            built: plan.tail.frontier().size(),
            frontier: plan.tail.frontier().to_bytes(),
            checkpoint: String::from_utf8(checkpoint.bytes).ok(),
        };
        cell.data().apply(scope, UpsertLogTree { row }).await?;
        let (size, root) = (plan.tail.frontier().size(), plan.tail.frontier().root());
        cell.parts().key_store.raise_log_head(owner, LogHeadRow { size, root }).await?;
        *tail = plan.tail;
        at = to;
    }
    Ok(committed > from)
}

/// Writes the verifier keys beside the log, once for each start and rotation.
async fn write_vkey(cell: &Cell, log: TenantNo) -> Result<(), Refusal> {
    let mut written = cell.publisher().vkeys.lock().await;
    if written.contains(&log) {
        return Ok(());
    }
    let text = cell.parts().log_keys.vkey_file(&cell.origin(log)?, cell.clock().now());
    cell.parts().log_files.replace(cell.log_owner(log)?, VKEY, text.into_bytes()).await?;
    written.insert(log);
    Ok(())
}

/// Signs the present checkpoint of a log once more, and writes its verifier keys: after a rotation both say
/// the new key too.
///
/// # Errors
/// What store and files say.
pub(crate) async fn sign_again(cell: &Cell, log: TenantNo) -> Result<(), Refusal> {
    let publisher = cell.publisher();
    publisher.vkeys.lock().await.remove(&log);
    write_vkey(cell, log).await?;
    let tail = publisher.tail(log);
    let tail = tail.lock().await;
    if tail.frontier().size() == 0 {
        return Ok(());
    }
    let origin = cell.origin(log)?;
    let text = tail.checkpoint(&origin).to_string();
    let note = cell.parts().log_keys.sign_note(&origin, &text, cell.clock().now());
    let note = note.map_err(|_| Fault::Internal("checkpoint"))?.into_bytes();
    cell.parts().log_files.publish(cell.log_owner(log)?, Vec::new(), note).await?;
    Ok(())
}

/// The bytes of entries `from..to` of a log.
///
/// # Errors
/// [`Fault::Internal`] where the database has a gap.
pub(crate) async fn entries(
    cell: &Cell,
    scope: TenantScope,
    from: u64,
    to: u64,
) -> Result<Vec<Vec<u8>>, Refusal> {
    let mut out = Vec::new();
    let mut at = from;
    while at < to {
        let chunks = cell.data().list_chunks(scope, at, to).await?;
        if chunks.is_empty() {
            return Err(Fault::Internal("the log has a gap").into());
        }
        for chunk in chunks {
            let end = chunk.end().min(to);
            let skip = usize::try_from(at.saturating_sub(chunk.first)).unwrap_or(usize::MAX);
            let take = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
            out.extend(chunk.entries.into_iter().skip(skip).take(take));
            at = end;
        }
    }
    Ok(out)
}

/// The edge of a log as its files have it: from the stored frontier where that is of the same size, else
/// from the hashes in the tiles.
///
/// # Errors
/// [`Fault::NotReady`] where files are missing or do not hold together.
pub(crate) async fn tail_of_files(cell: &Cell, log: TenantNo, size: u64) -> Result<Tail, Fault> {
    let files = cell.log_dir(log)?;
    let stored = cell.data().find_log_tree(TenantScope(log)).await.ok().flatten();
    let stored = stored
        .filter(|row| row.built == size)
        .and_then(|row| Frontier::from_bytes(&row.frontier).ok());
    let frontier = match stored {
        Some(frontier) => frontier,
        None => {
            let reader = leadvault_ledger::tile::TileReader::new(&files, size);
            let mut frontier = Frontier::default();
            for index in 0..size {
                frontier.push(reader.leaf(index).map_err(|_| Fault::NotReady)?);
            }
            frontier
        }
    };
    Tail::load(&files, frontier).map_err(|_| Fault::NotReady)
}
