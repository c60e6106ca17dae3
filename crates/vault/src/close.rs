//! The end of a cell: what was committed is published, and the databases are closed.
//!
//! A crash may come instead at any moment and loses nothing. A clean end leaves each database as one file,
//! so that a copy of the data directory needs no write-ahead log, and logs whose last checkpoint covers
//! everything.

use leadvault_domain::TenantNo;
use leadvault_ledger::OPERATOR_LOG;

use crate::cell::Cell;
use crate::error::Refusal;
use crate::{nodes, publisher};

/// Publishes what is not published yet and closes the databases. Nothing may be asked of the cell afterwards.
pub async fn close(cell: &Cell) {
    for log in cell.rooms().iter().map(|room| room.no).chain([OPERATOR_LOG]) {
        if let Err(refusal) = end_log(cell, log).await {
            tracing::warn!(log = log.0, fault = %refusal.fault, "publishing is left to the next start");
        }
    }
    if let Some(node) = cell.parts().node {
        nodes::leave(cell, node).await;
    }
    cell.data().close().await;
    cell.parts().key_store.close().await;
}

async fn end_log(cell: &Cell, log: TenantNo) -> Result<(), Refusal> {
    publisher::publish(cell, log).await?;
    // The others read on.
    if cell.parts().node.is_none() {
        cell.parts().log_files.tidy(cell.log_owner(log)?).await?;
    }
    Ok(())
}
