//! Whether a lead may take its files along: one that goes with any of its leads is the others' as well.

use std::sync::Arc;

use leadvault_policy::Call as Asked;
use leadvault_store::{EraseWith, LeadRow, TenantScope};

use super::found;
use crate::call::Call;
use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::room::Room;

/// Decides the end of the files that go with a lead for their other leads, too: a hold of one of them keeps all.
///
/// # Errors
/// The denial with its stamp.
pub(crate) async fn require(
    cell: &Cell,
    call: &Call,
    room: &Arc<Room>,
    lead: &LeadRow,
) -> Result<(), Refusal> {
    for file in cell.data().list_files_at(TenantScope(room.no), lead.at).await? {
        if file.erase_with != EraseWith::Any {
            continue;
        }
        let found = match found::find(cell, call, room, file.id).await {
            Ok(found) => found,
            Err(refusal) if refusal.fault == Fault::NotFound => continue,
            Err(other) => return Err(other),
        };
        let others: Vec<_> = found.leads.into_iter().filter(|other| other.id != lead.id).collect();
        if !others.is_empty() {
            found::permit(cell, room, call, Asked::Erase, &found.dataset, &others).await?;
        }
    }
    Ok(())
}
