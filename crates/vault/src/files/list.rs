//! The files of a lead.

use std::sync::Arc;

use leadvault_domain::{LeadId, Operation, Role};
use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_policy::Call as Asked;
use leadvault_store::TenantScope;

use super::found::{self, references};
use super::meta::FileMeta;
use super::view::FileView;
use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::error::Fault;
use crate::leads::reveal;
use crate::room::Room;

/// Lists the files of a lead, complete ones and such as are uploaded, the oldest first.
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
    let scope = TenantScope(room.no);
    let [row] = leads;
    let files = cell.data().list_files_at(scope, row.at).await?;
    let entry = permit
        .entry(call, on)
        .dataset(dataset.id)
        .refs(references)
        .categories([leadvault_domain::Category::File])
        .n(files.len() as u64);
    let receipt = cell.commit(room, entry, Some(permit.read_generations())).await?;
    let mut views = Vec::with_capacity(files.len());
    for file in files {
        let meta = match FileMeta::open(room, &file) {
            Ok(meta) => meta,
            // It went meanwhile.
            Err(Fault::NotFound) => continue,
            Err(other) => return Err(other.into()),
        };
        let links = cell.data().list_file_links(scope, file.id).await?;
        views.push(FileView::new(&file, &meta, &links));
    }
    Ok(Answer::stamped(views, &receipt))
}
