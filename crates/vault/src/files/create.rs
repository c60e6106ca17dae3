//! A new file of some leads, without content yet.

use std::collections::BTreeSet;
use std::sync::Arc;

use leadvault_domain::{FileId, LeadId, Operation, Role};
use leadvault_ledger::{EntryOutcome, LogOperation, ResourceType};
use leadvault_policy::Call as Asked;
use leadvault_store::{
    Conflict, EraseWith, FileLimits, InsertFile, LeadRow, Outcome as Written, Sealed,
};

use super::found::{self, references};
use super::meta::FileMeta;
use super::{chunks_of, leaves, name, whole_chunks};
use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::error::{Fault, Refusal, TOO_MANY};
use crate::idempotency::{self, Made};
use crate::leads::reveal;
use crate::room::{DatasetControl, Room};
use crate::system;

/// Most leads of one file.
const LEADS_MAX: usize = 20;

/// A file that is to be made.
#[derive(Debug, Clone)]
pub struct NewFile {
    /// What its owner calls it: at most 255 bytes, no path.
    pub name: String,
    /// Bytes that will be uploaded.
    pub size: u64,
    /// Its leads beside the one it is made at, of the same dataset; 20 in all.
    pub leads: Vec<LeadId>,
    /// Whether it goes with any of its leads, instead of the last one.
    pub goes_with_any: bool,
}

/// Makes a file of a lead, and of others.
///
/// # Errors
/// [`Fault::NotFound`] without the lead; [`Fault::Invalid`] for a name, another lead, or where lead or tenant have
/// as much as they may have (`too_many`); [`Fault::TooLarge`] above the limit of one file; denials as decided.
pub async fn create(cell: &Cell, call: &Call, lead: LeadId, new: &NewFile) -> Outcome<FileId> {
    let room = cell.room_of(call.caller.tenant)?;
    let (operation, on) = (LogOperation::Data(Operation::Store), ResourceType::File);
    cell.require_role(&room, call, &[Role::Controller, Role::Editor], operation, on).await?;
    let turn = idempotency::begin(cell, call, &room).await?;
    if let Some((made, stamp)) = turn.again() {
        let Made::File { id } = made else { return Err(idempotency::other()) };
        return Ok(Answer { value: id, stamp });
    }
    name::check(&new.name)?;
    if new.size > cell.parts().file_bounds.bytes_of_file {
        return Err(Fault::TooLarge.into());
    }
    cell.settled(&room, || create_once(cell, call, &room, lead, new)).await
}

async fn create_once(
    cell: &Cell,
    call: &Call,
    room: &Arc<Room>,
    lead: LeadId,
    new: &NewFile,
) -> Outcome<FileId> {
    let on = ResourceType::File;
    let (first, dataset) = match reveal::find(cell, call, room, lead).await {
        Ok(found) => found,
        Err(refusal) if refusal.fault == Fault::NotFound => {
            return Err(cell.missing(room, call, Operation::Store, on).await);
        }
        Err(other) => return Err(other),
    };
    let leads = with_others(cell, call, room, (first, &dataset), new).await?;
    let permit = found::permit(cell, room, call, Asked::Create, &dataset, &leads).await?;
    let references = match references(room, &leads) {
        Ok(references) => references,
        Err(Fault::NotFound) => return Err(cell.missing(room, call, Operation::Store, on).await),
        Err(other) => return Err(other.into()),
    };
    let id = FileId::make(cell.clock(), cell.entropy())?;
    let bounds = &cell.parts().file_bounds;
    let insert = InsertFile {
        id,
        dataset: dataset.no,
        leads: leads.iter().map(|lead| lead.id).collect(),
        erase_with: if new.goes_with_any { EraseWith::Any } else { EraseWith::Last },
        size: whole_chunks(chunks_of(new.size)),
        created_at: permit.at,
        meta: sealed(cell, room, id, &dataset, new).await?,
        limits: FileLimits { of_lead: bounds.of_lead, files: bounds.files, bytes: bounds.bytes },
    };
    let entry = found::entry(call, &permit, id, &dataset, references).bytes(new.size);
    let otherwise = entry.clone().outcome(EntryOutcome::Error);
    let write = idempotency::beside(cell, call, room, insert, Made::File { id }).await?;
    let asserted = Some(permit.write_generations());
    let (receipt, outcome) =
        cell.commit_write(room, entry, Some(otherwise), asserted, write).await?;
    match outcome {
        Written::Conflict(Conflict::Full) => Err(Fault::invalid("#", TOO_MANY).into()),
        // A lead went meanwhile: it is looked for again.
        Written::Conflict(_) => Err(Fault::Stale.into()),
        _ => Ok(Answer::stamped(id, &receipt)),
    }
}

/// The lead a file is made at, and the others, which must be of its dataset.
async fn with_others(
    cell: &Cell,
    call: &Call,
    room: &Room,
    (first, dataset): (LeadRow, &DatasetControl),
    new: &NewFile,
) -> Result<Vec<LeadRow>, Refusal> {
    let mut known = BTreeSet::from([first.id]);
    let mut leads = vec![first];
    for (n, id) in new.leads.iter().enumerate() {
        if !known.insert(*id) {
            continue;
        }
        let at = || format!("#/leads/{n}");
        if leads.len() == LEADS_MAX {
            return Err(Fault::invalid(at(), TOO_MANY).into());
        }
        match reveal::find(cell, call, room, *id).await {
            Ok((lead, of)) if of.no == dataset.no => leads.push(lead),
            Ok(_) => return Err(Fault::invalid(at(), "other_dataset").into()),
            Err(refusal) if refusal.fault == Fault::NotFound => {
                let on = ResourceType::File;
                let missing = cell.missing(room, call, Operation::Store, on).await;
                return Err(match missing.fault {
                    Fault::NotFound => {
                        Refusal { fault: Fault::invalid(at(), "unknown_lead"), ..missing }
                    }
                    _ => missing,
                });
            }
            Err(other) => return Err(other),
        }
    }
    Ok(leads)
}

/// Its name and length, under the leaf its chunks will grow from.
async fn sealed(
    cell: &Cell,
    room: &Room,
    id: FileId,
    dataset: &DatasetControl,
    new: &NewFile,
) -> Result<Sealed, Refusal> {
    let leaf = leaves::take(cell, room, dataset.no).await?;
    let plain = FileMeta::new(&new.name, new.size).to_bytes()?;
    system::seal_under(cell, room, leaf, id.bytes(), &plain)
}
