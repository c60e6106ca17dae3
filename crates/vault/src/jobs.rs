//! Jobs: work behind a call that a restart takes up again. Every one is idempotent.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use leadvault_domain::{OperationId, TenantNo, Timestamp};
use leadvault_store::{TenantScope, UpdateProgress};

use crate::cell::Cell;
use crate::error::Refusal;
use crate::room::Room;
use crate::{export, import, shred};

/// Pause before a job that did not get through is tried again; it doubles each time.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
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

/// Runs an idempotent job behind its call until it gets through. It ends without when its operation is over:
/// the tenant was shredded meanwhile.
pub(crate) fn drive<F, Fut>(cell: &Arc<Cell>, no: TenantNo, operation: OperationId, attempt: F)
where
    F: Fn(Arc<Cell>, Arc<Room>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), Refusal>> + Send,
{
    let cell = Arc::clone(cell);
    tokio::spawn(async move {
        let mut pause = PAUSE_FIRST;
        while let Err(refusal) = attempt_once(&cell, no, operation, &attempt).await {
            tracing::warn!(%operation, fault = %refusal.fault, "a job is tried again");
            tokio::time::sleep(pause).await;
            pause = PAUSE_LAST.min(pause * 2);
        }
    });
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
    // No lease: the node that began the job works on it.
    let until = Timestamp::from_micros(0);
    let step = UpdateProgress { id: operation, node: None, done, total, until, payload: None };
    cell.data().apply(scope, step).await?;
    Ok(())
}
