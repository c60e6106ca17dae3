//! Opens an import: decided, sealed, entered. Without an attestation it is quarantined from the start.

use std::sync::Arc;

use leadvault_domain::{ImportId, Operation, Role};
use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_policy::{Ask, Call as Kind, operations_of};
use leadvault_store::{InsertImport, Write};

use super::super::{Column, Plan};
use super::request::{DuplicateAction, Meta, NewImport};
use super::view::ImportView;
use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::datasets;
use crate::error::Refusal;
use crate::idempotency::{self, Made};
use crate::notices::{self, NoticeKind};
use crate::room::Room;
use crate::system;

/// Days an import without attestation waits.
const QUARANTINE_DAYS: i64 = 14;
/// Seconds of a day.
const DAY_SECONDS: i64 = 24 * 3600;

/// Opens an import.
///
/// # Errors
/// [`crate::Fault::Invalid`]; [`crate::Fault::NotFound`] for an unknown dataset; denials as decided.
pub async fn open(cell: &Cell, call: &Call, new: NewImport) -> Outcome<ImportView> {
    let room = cell.room_of(call.caller.tenant)?;
    require_writer(cell, &room, call).await?;
    let turn = idempotency::begin(cell, call, &room).await?;
    if let Some((made, stamp)) = turn.again() {
        let Made::Import { id } = made else { return Err(idempotency::other()) };
        return Ok(Answer { value: ImportView::just_opened(id, new.dataset), stamp });
    }
    new.options()?;
    new.duplicates().kinds()?;
    cell.settled(&room, || open_once(cell, call, &room, &new)).await
}

/// Controllers and editors import.
///
/// # Errors
/// [`crate::Fault::RoleInsufficient`] with its stamp.
pub(super) async fn require_writer(cell: &Cell, room: &Room, call: &Call) -> Result<(), Refusal> {
    let roles = [Role::Controller, Role::Editor];
    let (operation, on) = (LogOperation::Data(Operation::Store), ResourceType::Import);
    cell.require_role(room, call, &roles, operation, on).await
}

async fn open_once(
    cell: &Cell,
    call: &Call,
    room: &Arc<Room>,
    new: &NewImport,
) -> Outcome<ImportView> {
    let on = ResourceType::Import;
    let Ok(dataset) = datasets::visible(room, call, new.dataset) else {
        return Err(cell.not_found(room, call, Operation::Store, on).await);
    };
    let permit = cell.permit(room, call, &ask_of(call, new, None), on).await?;
    let id = ImportId::make(cell.clock(), cell.entropy())?;
    let plain = Meta { new: new.clone(), plan: None }.to_bytes()?;
    let sealed = system::seal_new(cell, room.keys()?, id.bytes(), &plain).await?;
    let expires = permit.at.plus_seconds(QUARANTINE_DAYS * DAY_SECONDS);
    let insert = InsertImport {
        id,
        dataset: dataset.no,
        created_at: permit.at,
        expires_at: new.quarantined().then_some(expires),
        meta: Some(sealed),
    };
    let mut writes: Vec<Write> = vec![insert.into()];
    if new.quarantined() {
        writes.push(notices::write(cell, NoticeKind::ImportQuarantined)?);
    }
    let write = idempotency::beside(cell, call, room, writes, Made::Import { id }).await?;
    let entry = permit.entry(call, on).resource_id(id).dataset(dataset.id);
    let asserted = Some(permit.write_generations());
    let (receipt, _) = cell.commit_write(room, entry, None, asserted, write).await?;
    Ok(Answer::stamped(ImportView::just_opened(id, dataset.id), &receipt))
}

/// What an import is decided on: its operations, its dataset, and the categories of its columns once the
/// header was read.
pub(super) fn ask_of(call: &Call, new: &NewImport, plan: Option<&Plan>) -> Ask {
    let update = new.duplicates().action == DuplicateAction::Update;
    let mut ask = Ask::new(operations_of(Kind::Import { update }));
    ask.dataset = Some(new.dataset);
    if let Some(plan) = plan {
        ask.categories = plan.columns.iter().map(Column::category).collect();
    }
    Cell::ask(call, ask)
}
