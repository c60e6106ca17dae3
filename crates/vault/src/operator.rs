//! The operator's own acts: entries of the cell's operator log.

use leadvault_domain::{DecisionCode, ReasonCode, ServiceId};
use leadvault_ledger::{
    Actor, CommittedReceipt, EntryDraft, LogOperation, OPERATOR_LOG, ResourceType,
};

use crate::cell::Cell;
use crate::error::Refusal;

/// The service that acts for the operator in this build. Its id is fixed: it names no person.
pub(crate) const SERVICE: ServiceId = ServiceId::from_bytes(*b"leadvault-vault\0");

/// Starts an entry of an act of the operator.
pub(crate) fn entry(cell: &Cell, operation: LogOperation, on: ResourceType) -> EntryDraft {
    EntryDraft::new(
        cell.clock().now(),
        Actor::service(SERVICE),
        ReasonCode::SystemOperation,
        operation,
        on,
        DecisionCode::Allow,
    )
}

/// Commits an entry to the operator log.
///
/// # Errors
/// [`crate::Fault::JournalUnwritable`].
pub(crate) async fn record(cell: &Cell, entry: EntryDraft) -> Result<CommittedReceipt, Refusal> {
    Ok(cell.journal().commit(OPERATOR_LOG, entry.finish()?, None).await?)
}
