//! Jobs: work behind a call that a restart takes up again. Every one is idempotent.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use leadvault_domain::{JobKind, Measured, OperationId, SPANS, TenantNo, Timestamp};
use leadvault_store::{ClaimOperation, NodeId, OperationRow, Outcome, TenantScope, UpdateProgress};
use tracing::{Instrument as _, Span};

use crate::cell::Cell;
use crate::error::Refusal;
use crate::room::Room;
use crate::{export, import, shred};

/// Pause before a job that did not get through is tried again; it doubles each time.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
/// For how long a node has an operation without saying so again.
const LEASE_SECONDS: i64 = 6;
/// How often it says so.
const LEASE_RENEWED: Duration = Duration::from_secs(2);
/// The longest pause: what it waits for, a disk or a suspended key, comes back by a person's hand.
const PAUSE_LAST: Duration = Duration::from_secs(60);

/// Takes up every open job of the cell.
///
/// # Errors
/// What keys and store say.
pub(crate) async fn resume(cell: &Arc<Cell>) -> Result<(), Refusal> {
    shred::resume(cell).await?;
    import::undo::resume(cell).await?;
    export::resume(cell).await?;
    tokio::spawn(export::expire_for_ever(Arc::clone(cell)));
    Ok(())
}

/// An operation that this node works on: the lease is renewed until it is dropped. A cell with one node needs none.
pub(crate) struct Lease(Option<tokio::task::JoinHandle<()>>);

impl Lease {
    /// Takes an operation; `None` where another node has it, or it is over.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn take(
        cell: &Arc<Cell>,
        no: TenantNo,
        operation: OperationId,
    ) -> Result<Option<Self>, Refusal> {
        let Some(node) = cell.parts().node else { return Ok(Some(Self(None))) };
        if !claim(cell, no, operation, node).await? {
            return Ok(None);
        }
        let cell = Arc::clone(cell);
        let renewing = tokio::spawn(async move {
            loop {
                tokio::time::sleep(LEASE_RENEWED).await;
                if let Err(refusal) = claim(&cell, no, operation, node).await {
                    tracing::warn!(%operation, fault = %refusal.fault, "a lease was not renewed");
                }
            }
        });
        Ok(Some(Self(Some(renewing))))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(renewing) = &self.0 {
            renewing.abort();
        }
    }
}

async fn claim(cell: &Cell, no: TenantNo, id: OperationId, node: NodeId) -> Result<bool, Refusal> {
    let now = cell.clock().now();
    let until = now.plus_seconds(LEASE_SECONDS);
    let claimed =
        cell.data().apply(TenantScope(no), ClaimOperation { id, node, now, until }).await?;
    Ok(matches!(claimed, Outcome::Claimed(Some(_))))
}

/// Takes up an operation that nobody works on: its node died, or never came to it.
///
/// # Errors
/// What keys and store say.
pub(crate) async fn take_up(
    cell: &Arc<Cell>,
    room: &Arc<Room>,
    row: &OperationRow,
) -> Result<(), Refusal> {
    shred::take_up(cell, room, row).await?;
    import::undo::take_up(cell, room, row);
    export::take_up(cell, room, row);
    Ok(())
}

/// A job at work on this node, measured until it is dropped.
pub(crate) struct AtWork<'a> {
    cell: &'a Cell,
    kind: JobKind,
    began: Timestamp,
}

impl<'a> AtWork<'a> {
    /// It begins now.
    pub(crate) fn begin(cell: &'a Cell, kind: JobKind) -> Self {
        cell.observer().observe(&Measured::JobBegan(kind));
        Self { cell, kind, began: cell.clock().now() }
    }

    /// What is traced of it.
    pub(crate) fn span(kind: JobKind, operation: OperationId) -> Span {
        tracing::info_span!(
            target: SPANS, parent: None, "job",
            leadvault.job.kind = kind.as_str(), leadvault.operation.id = %operation
        )
    }

    /// It did not get through and is tried again.
    pub(crate) fn again(&self) {
        self.cell.observer().observe(&Measured::JobAgain(self.kind));
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        let (kind, took) = (self.kind, self.cell.clock().now().since(self.began));
        self.cell.observer().observe(&Measured::JobEnded { kind, took });
    }
}

/// Runs an idempotent job behind its call until it gets through. It ends without when its operation is over:
/// the tenant was shredded meanwhile.
pub(crate) fn drive<F, Fut>(
    cell: &Arc<Cell>,
    kind: JobKind,
    (no, operation): (TenantNo, OperationId),
    attempt: F,
) where
    F: Fn(Arc<Cell>, Arc<Room>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), Refusal>> + Send,
{
    let cell = Arc::clone(cell);
    let job = async move {
        let lease = match Lease::take(&cell, no, operation).await {
            Ok(Some(lease)) => lease,
            // Another node's, or nobody's: whoever looks for what is due finds it.
            Ok(None) => return,
            Err(refusal) => {
                tracing::warn!(%operation, fault = %refusal.fault, "a job was not taken");
                return;
            }
        };
        let work = AtWork::begin(&cell, kind);
        let mut pause = PAUSE_FIRST;
        while let Err(refusal) = attempt_once(&cell, no, operation, &attempt).await {
            work.again();
            tracing::warn!(%operation, fault = %refusal.fault, "a job is tried again");
            tokio::time::sleep(pause).await;
            pause = PAUSE_LAST.min(pause * 2);
        }
        drop((work, lease));
    };
    tokio::spawn(job.instrument(AtWork::span(kind, operation)));
}

async fn attempt_once<F, Fut>(
    cell: &Arc<Cell>,
    no: TenantNo,
    operation: OperationId,
    attempt: &F,
) -> Result<(), Refusal>
where
    F: Fn(Arc<Cell>, Arc<Room>) -> Fut + Sync,
    Fut: Future<Output = Result<(), Refusal>>,
{
    // The room is looked up each time: a shred puts another in its place.
    let room = cell.room(no)?;
    let open = cell.data().list_open_operations(TenantScope(no)).await?;
    if !open.iter().any(|row| row.id == operation) {
        return Ok(());
    }
    attempt(Arc::clone(cell), room).await
}

/// Tells an operation how far its job is, in its own units.
///
/// # Errors
/// What the store says.
pub(crate) async fn report(
    cell: &Cell,
    scope: TenantScope,
    operation: OperationId,
    done: u64,
) -> Result<(), Refusal> {
    let total = cell.data().find_operation(scope, operation).await?.and_then(|row| row.total);
    let (id, node, until) = (operation, None, None);
    let step = UpdateProgress { id, node, done, total, until, payload: None };
    cell.data().apply(scope, step).await?;
    Ok(())
}
