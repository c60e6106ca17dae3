//! A file as its caller may know of it: its row, its dataset, and its leads that are there.

use std::sync::Arc;

use leadvault_crypto::LeadRef;
use leadvault_domain::{Category, FileId};
use leadvault_ledger::{EntryDraft, ResourceType};
use leadvault_policy::{Ask, Call as Kind, Named, operations_of};
use leadvault_store::{EraseWith, FileRow, FileState, LeadRow, TenantScope};

use crate::call::Call;
use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::gate::{Permit, hidden};
use crate::leads::opened::{dataset_of, locate};
use crate::room::{DatasetControl, Room};

/// A file and what a decision about it is made on.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) row: FileRow,
    pub(super) dataset: Arc<DatasetControl>,
    /// At least one.
    pub(super) leads: Vec<LeadRow>,
}

/// Finds a file.
///
/// # Errors
/// [`Fault::NotFound`] for one that is unknown, of a dataset the key does not see, erasing, or whose leads went: the
/// erasure that takes it along may still be under way.
pub(super) async fn find(
    cell: &Cell,
    call: &Call,
    room: &Room,
    id: FileId,
) -> Result<Found, Refusal> {
    let (data, scope) = (cell.data(), TenantScope(room.no));
    let row = data.find_file(scope, id).await?.ok_or(Fault::NotFound)?;
    if row.state == FileState::Erasing {
        return Err(Fault::NotFound.into());
    }
    let links = data.list_file_links(scope, id).await?;
    let linked = links.len();
    let mut leads = Vec::with_capacity(linked);
    for link in links {
        let lead = data.find_lead(scope, link.lead).await?;
        leads.extend(lead.filter(|lead| !hidden(lead.labels)));
    }
    let gone = leads.len() < linked;
    let first = leads.first().filter(|_| !(gone && row.erase_with == EraseWith::Any));
    let first = first.ok_or(Fault::NotFound)?;
    let dataset = dataset_of(room, call.caller.datasets.as_ref(), first)?;
    Ok(Found { row, dataset, leads })
}

/// Decides a call about files of some leads of a dataset: for each of them, all under one instruction.
///
/// # Errors
/// The denial with its stamp.
pub(super) async fn permit(
    cell: &Cell,
    room: &Room,
    call: &Call,
    kind: Kind,
    dataset: &DatasetControl,
    leads: &[LeadRow],
) -> Result<Permit, Refusal> {
    let mut ask = Ask::new(operations_of(kind));
    ask.dataset = Some(dataset.id);
    ask.categories = [Category::File].into();
    ask.exit = kind == Kind::Erase;
    ask.needs_key = !ask.exit;
    ask.content = kind == Kind::FileContent;
    ask.explicit_fields = ask.content;
    let mut decided: Option<Permit> = None;
    for lead in leads {
        let mut ask = Cell::ask(call, ask.clone());
        ask.labels = Some(lead.labels);
        ask.lead = Some(lead.id);
        if let Some(before) = &decided {
            let (id, version) = (before.instruction.id, Some(before.instruction.version));
            ask.named = Some(Named { id, version });
        }
        decided = Some(cell.permit(room, call, &ask, ResourceType::File).await?);
    }
    Ok(decided.ok_or(Fault::NotFound)?)
}

/// The references of leads.
///
/// # Errors
/// [`Fault::NotFound`] where one is erased.
pub(super) fn references(room: &Room, leads: &[LeadRow]) -> Result<Vec<LeadRef>, Fault> {
    let ring = room.ring()?;
    leads.iter().map(|lead| Ok(locate(&ring, lead)?.reference())).collect()
}

/// The entry of a call about a file.
pub(super) fn entry(
    call: &Call,
    permit: &Permit,
    id: FileId,
    dataset: &DatasetControl,
    references: Vec<LeadRef>,
) -> EntryDraft {
    permit
        .entry(call, ResourceType::File)
        .resource_id(id)
        .dataset(dataset.id)
        .refs(references)
        .categories([Category::File])
}
