//! Rotation of the key that signs the logs of a cell (protocols.md 2.3).
//!
//! Every log first says the new key in an entry that the old key's checkpoint covers; then the new key signs,
//! and the old one beside it for 30 days. A crash in between leaves entries that name a key which has not
//! signed yet; the rotation is begun again with the same key.

use leadvault_crypto::SigningKey;
use leadvault_domain::TenantNo;
use leadvault_ledger::{LogKeys, LogOperation, OPERATOR_LOG, ResourceType};

use crate::cell::Cell;
use crate::error::Refusal;
use crate::operator;
use crate::publisher;

/// Makes `next` the key that signs. The caller keeps it where the next start finds it, when this returned.
///
/// # Errors
/// What journal, store and files say; the old key goes on signing then.
pub async fn rotate(cell: &Cell, next: SigningKey) -> Result<(), Refusal> {
    let text = LogKeys::key_text(&next.verifying_key());
    let logs: Vec<TenantNo> =
        std::iter::once(OPERATOR_LOG).chain(cell.rooms().iter().map(|room| room.no)).collect();
    for log in &logs {
        let entry = operator::entry(cell, LogOperation::LogKey, ResourceType::Log);
        let entry = entry.own_text("key", text.clone()).finish()?;
        cell.journal().commit(*log, entry, None).await?;
        publisher::publish(cell, *log).await?;
    }
    cell.parts().log_keys.rotate(next, cell.clock().now());
    for log in logs {
        publisher::sign_again(cell, log).await?;
    }
    Ok(())
}
