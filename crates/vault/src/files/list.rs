//! The files of a lead.

use std::sync::Arc;

use leadvault_domain::{Category, LeadId, Operation, Role};
use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_policy::Call as Asked;
use leadvault_store::{LeadRow, TenantScope};

use super::found::{self, Found, references};
use super::meta::FileMeta;
use super::view::FileView;
use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::gate::Permit;
use crate::leads::list::policy_row;
use crate::leads::reveal;
use crate::room::Room;

/// Leads that one entry names at most (docs/LOGGING.md).
const REFS_MAX: usize = 256;

/// Lists the files of a lead that none of their leads keeps back, complete ones and such as are uploaded, the oldest first.
///
/// # Errors
/// [`Fault::NotFound`] without the lead; denials as decided.
pub async fn list(cell: &Cell, call: &Call, lead: LeadId) -> Outcome<Vec<FileView>> {
    let room = cell.room_of(call.caller.tenant)?;
    let (operation, on) = (LogOperation::Data(Operation::Read), ResourceType::File);
    let roles = [Role::Controller, Role::Editor, Role::Reader];
    cell.require_role(&room, call, &roles, operation, on).await?;
    cell.settled(&room, || list_once(cell, call, &room, lead)).await
}

async fn list_once(
    cell: &Cell,
    call: &Call,
    room: &Arc<Room>,
    lead: LeadId,
) -> Outcome<Vec<FileView>> {
    let on = ResourceType::File;
    let (row, dataset) = match reveal::find(cell, call, room, lead).await {
        Ok(found) => found,
        Err(refusal) if refusal.fault == Fault::NotFound => {
            return Err(cell.missing(room, call, Operation::Read, on).await);
        }
        Err(other) => return Err(other),
    };
    let leads = [row];
    let permit = found::permit(cell, room, call, Asked::FileContent, &dataset, &leads).await?;
    let references = match references(room, &leads) {
        Ok(references) => references,
        Err(Fault::NotFound) => return Err(cell.missing(room, call, Operation::Read, on).await),
        Err(other) => return Err(other.into()),
    };
    let [row] = leads;
    let files = allowed(cell, call, room, &permit, &row).await?;
    let mut named = references;
    for found in &files {
        match self::references(room, &found.leads) {
            Ok(more) => named.extend(more),
            // One went meanwhile, and the file may have gone with it.
            Err(Fault::NotFound) => return Err(Fault::Stale.into()),
            Err(other) => return Err(other.into()),
        }
    }
    named.sort_unstable_by_key(|reference| *reference.bytes());
    named.dedup();
    named.truncate(REFS_MAX);
    let entry = permit
        .entry(call, on)
        .dataset(dataset.id)
        .refs(named)
        .categories([Category::File])
        .n(files.len() as u64);
    let receipt = cell.commit(room, entry, Some(permit.read_generations())).await?;
    let mut views = Vec::with_capacity(files.len());
    for found in &files {
        match FileMeta::open(room, &found.row) {
            Ok(meta) => views.push(FileView::new(found, &meta)),
            // It went meanwhile.
            Err(Fault::NotFound) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Ok(Answer::stamped(views, &receipt))
}

/// The files of a lead, but for those that another lead of theirs keeps back.
async fn allowed(
    cell: &Cell,
    call: &Call,
    room: &Room,
    permit: &Permit,
    lead: &LeadRow,
) -> Result<Vec<Found>, Refusal> {
    let mut allowed = Vec::new();
    for file in cell.data().list_files_at(TenantScope(room.no), lead.at).await? {
        let found = match found::find(cell, call, room, file.id).await {
            Ok(found) => found,
            Err(refusal) if refusal.fault == Fault::NotFound => continue,
            Err(other) => return Err(other),
        };
        let kept = |lead| permit.rows.denial(&policy_row(lead, found.dataset.id)).is_some();
        if !found.leads.iter().any(kept) {
            allowed.push(found);
        }
    }
    Ok(allowed)
}
