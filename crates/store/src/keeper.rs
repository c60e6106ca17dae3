//! What the data store does behind its callers: staged tags are merged, and the write-ahead log is moved
//! into the database before a commit would have to do it.
//!
//! The keeper takes the writing connection like any other writer, in order of arrival, for a few
//! milliseconds at a time. Nothing depends on it but speed and space: without it everything is found, and
//! commits move the log themselves.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use leadvault_domain::TenantNo;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::engine::{Engine, Reach};
use crate::error::{Result, StoreError};
use crate::stage::StageCache;
use crate::stage_merge::{Staged, list_staged, merge_piece};

/// Tag rows of a tenant that begin a pass: about 64,000 leads, 10 MB of memory. Twice as many are staged
/// while a pass goes on.
const PASS_ROWS: i64 = 200_000;
/// Tag rows of one piece: some 5 ms of the write lock, and more than a slice stages, so that a pass ends
/// before the next one is due.
const PIECE_ROWS: usize = 2_048;
/// Pieces while far more is staged than should be: several imports share each of the journal's commits.
const PIECE_ROWS_BEHIND: usize = 8_192;
/// Time in which nothing came after which less than a whole pass is merged as well.
const QUIET: Duration = Duration::from_secs(2);
/// Commits after which the keeper looks at the length of the write-ahead log.
const COMMITS_PER_LOOK: u64 = 16;

/// A running keeper.
#[derive(Debug)]
pub(crate) struct Keeper {
    signals: Arc<Signals>,
    /// `None` for a store that is only looked at, and once it has ended.
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Signals {
    commits: AtomicU64,
    wake: Notify,
    is_over: AtomicBool,
}

impl Signals {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
}

impl Keeper {
    /// Starts one on the current tokio runtime.
    pub(crate) fn start(engine: Arc<Engine>, stage: Arc<StageCache>) -> Self {
        let signals = Arc::new(Signals::default());
        let task = tokio::spawn(run(engine, stage, Arc::clone(&signals)));
        Self { signals, task: Mutex::new(Some(task)) }
    }

    /// One that keeps nothing.
    pub(crate) fn idle() -> Self {
        Self { signals: Arc::default(), task: Mutex::default() }
    }

    /// Tells that a transaction was committed.
    pub(crate) fn committed(&self) {
        let before = self.signals.commits.fetch_add(1, Ordering::Relaxed);
        if before.is_multiple_of(COMMITS_PER_LOOK) {
            self.signals.wake.notify_one();
        }
    }

    /// Lets it finish the piece it is at, and waits for its end: a connection that it dropped halfway would
    /// outlive the store's last one, which could then not move the write-ahead log into the database.
    pub(crate) async fn end(&self) {
        self.signals.is_over.store(true, Ordering::Release);
        self.signals.wake.notify_one();
        let task = self.take();
        if let Some(task) = task {
            // A keeper that panicked has ended too.
            let _ = task.await;
        }
    }

    fn take(&self) -> Option<JoinHandle<()>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Nobody waits for it; what it was doing is rolled back.
        if let Some(task) = self.take() {
            task.abort();
        }
    }
}

async fn run(engine: Arc<Engine>, stage: Arc<StageCache>, signals: Arc<Signals>) {
    let mut ticks = tokio::time::interval(QUIET);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before: Vec<Staged> = Vec::new();
    loop {
        let is_tick = tokio::select! {
            () = signals.wake.notified() => false,
            _ = ticks.tick() => true,
        };
        if signals.is_over() {
            return;
        }
        let quiet = if is_tick { before.as_slice() } else { &[] };
        match keep(&engine, &stage, &signals, quiet).await {
            Ok(left) if is_tick => before = left,
            Ok(_) => {}
            // The next commit wakes it again; a store that cannot be written is told by whoever writes.
            Err(error) => tracing::warn!(error.code = error.code(), "staged tags were not merged"),
        }
    }
}

/// Does what is due; returns what is staged and is not. `quiet` is what was staged a while ago: where
/// nothing has come since, less than a whole pass is due too.
async fn keep(
    engine: &Engine,
    stage: &StageCache,
    signals: &Signals,
    quiet: &[Staged],
) -> Result<Vec<Staged>> {
    let is_due = |s: &Staged| s.is_open || s.rows >= PASS_ROWS || quiet.contains(s);
    let limit = |s: &Staged| {
        let is_behind = s.rows > 3 * PASS_ROWS;
        if is_behind { PIECE_ROWS_BEHIND } else { PIECE_ROWS }
    };
    // A tenant whose tags cannot be merged holds up no other's; the next commit tries it again.
    let mut failed: Vec<TenantNo> = Vec::new();
    while !signals.is_over() {
        engine.checkpoint_behind().await?;
        let is_next = |s: &Staged| is_due(s) && !failed.contains(&s.tenant);
        match merge_next(engine, stage, is_next, limit).await? {
            Step::Merged => {}
            Step::Failed(tenant, error) => {
                let code = error.code();
                tracing::warn!(tenant = tenant.0, error.code = code, "staged tags were not merged");
                failed.push(tenant);
            }
            Step::Nothing(left) => return Ok(left),
        }
    }
    Ok(Vec::new())
}

/// What [`merge_next`] came to.
pub(crate) enum Step {
    /// A piece of one tenant is merged.
    Merged,
    /// A piece of this tenant could not be.
    Failed(TenantNo, StoreError),
    /// Nothing is due; what is staged.
    Nothing(Vec<Staged>),
}

/// Merges a piece of the first tenant that is due.
///
/// # Errors
/// When it cannot be told what is due.
pub(crate) async fn merge_next(
    engine: &Engine,
    stage: &StageCache,
    is_due: impl Fn(&Staged) -> bool + Send + Sync,
    limit: impl Fn(&Staged) -> usize + Send + Sync,
) -> Result<Step> {
    let staged = list_staged(&mut engine.reader(Reach::Cell).await?.connection()).await?;
    let Some(next) = staged.iter().find(|s| is_due(s)).copied() else {
        return Ok(Step::Nothing(staged));
    };
    match merge(engine, stage, next.tenant, limit(&next)).await {
        Ok(()) => Ok(Step::Merged),
        Err(error) => {
            // The ballast is not the keeper's to give up.
            if error.is_outage() {
                engine.suspect();
            }
            Ok(Step::Failed(next.tenant, error))
        }
    }
}

async fn merge(engine: &Engine, stage: &StageCache, tenant: TenantNo, limit: usize) -> Result<()> {
    let mut held = engine.writer(tenant).await?;
    let mut transaction = held.begin().await?;
    merge_piece(&mut transaction.connection(), tenant, stage, limit).await?;
    transaction.commit().await?;
    Ok(())
}
