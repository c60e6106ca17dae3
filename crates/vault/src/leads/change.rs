//! A change of a lead: a merge patch. It must read first, so it makes two entries: `write.begin` releases
//! the old compartments, the second stands with the new row (protocols.md 3).

use std::sync::Arc;

use leadvault_crypto::normalise::PhoneParser;
use leadvault_domain::{Compartment, FieldNo, LeadId, Operation, Role, Value};
use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_policy::{Ask, Call as Kind, operations_of};
use leadvault_store::{Conflict, LeadRow, Outcome as Written, Part, UpdateLead};

use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::gate::Permit;
use crate::idempotency::{self, Made};
use crate::lead_codec::{SCHEMA, encode};
use crate::leads::create::{checked, labels_of};
use crate::leads::doc::LeadPatch;
use crate::leads::opened::{category_of, locate, open_parts, opener};
use crate::leads::reveal::find;
use crate::leads::tags;
use crate::room::{DatasetControl, Room};
use crate::suppression;

/// Changes a lead that has version `base`.
///
/// # Errors
/// [`Fault::VersionConflict`] where it has another; [`Fault::NotFound`]; denials as decided.
pub async fn change(
    cell: &Cell,
    call: &Call,
    id: LeadId,
    base: u32,
    patch: &LeadPatch,
) -> Outcome<u32> {
    let room = cell.room_of(call.caller.tenant)?;
    let roles = [Role::Controller, Role::Editor];
    let (operation, on) = (LogOperation::Data(Operation::Modify), ResourceType::Record);
    cell.require_role(&room, call, &roles, operation, on).await?;
    let turn = idempotency::begin(cell, call, &room).await?;
    if let Some((made, stamp)) = turn.again() {
        let Made::Lead { version, .. } = made else { return Err(idempotency::other()) };
        return Ok(Answer { value: version, stamp });
    }
    let changes = patch.changes()?;
    cell.settled(&room, || change_once(cell, call, &room, id, base, &changes)).await
}

async fn change_once(
    cell: &Cell,
    call: &Call,
    room: &Arc<Room>,
    id: LeadId,
    base: u32,
    changes: &[(FieldNo, Option<Value>)],
) -> Outcome<u32> {
    let on = ResourceType::Record;
    let (row, dataset) = match find(cell, call, room, id).await {
        Ok(found) => found,
        Err(refusal) if refusal.fault == Fault::NotFound => {
            return Err(cell.not_found(room, call, Operation::Modify, on).await);
        }
        Err(other) => return Err(other),
    };
    let fields = changes.iter().map(|(f, _)| (*f, category_of(&dataset, *f)));
    let mut ask = Ask::new(operations_of(Kind::Change)).with_fields(fields);
    ask.dataset = Some(dataset.id);
    ask.labels = Some(row.labels);
    ask.lead = Some(row.id);
    let permit = cell.permit(room, call, &Cell::ask(call, ask), on).await?;
    if row.version != base {
        return Err(Fault::VersionConflict.into());
    }
    merge(cell, call, room, &permit, &row, &dataset, changes).await
}

async fn merge(
    cell: &Cell,
    call: &Call,
    room: &Room,
    permit: &Permit,
    row: &LeadRow,
    dataset: &DatasetControl,
    changes: &[(FieldNo, Option<Value>)],
) -> Outcome<u32> {
    let on = ResourceType::Record;
    let ring = room.ring()?;
    let located = locate(&ring, row)?;
    let reference = located.reference();
    let touched = changes.iter().map(|(f, _)| *f);
    let touches = |field: FieldNo| changes.iter().any(|(f, _)| *f == field);
    let begin = permit
        .entry_as(call, LogOperation::WriteBegin, on)
        .dataset(dataset.id)
        .refs([reference])
        .fields(touched.clone());
    let receipt = cell.commit(room, begin, Some(permit.read_generations())).await?;
    let opener = opener(cell, room, located, row, &receipt).await?;
    let mut fields = open_parts(&opener, row, |_| true)?;
    for (field, value) in changes {
        match value {
            Some(value) => fields.insert(*field, value.clone()),
            None => fields.remove(field),
        };
    }
    let fields =
        with_cells(checked(cell, crate::import::Enabled::by(permit), &fields, dataset)?, &fields);
    if let Some(field) = suppression::find(cell, room, dataset, &fields).await?
        && touches(field)
    {
        return Err(suppression::refusal(field));
    }
    let ring = room.ring()?;
    let located = locate(&ring, row)?;
    let mut phones = PhoneParser::new(dataset.default_region.as_deref());
    let normalised = tags::normalise(&fields, &mut phones);
    let tags = tags::make(&ring, row.at.dataset, &normalised, 0)?;
    let revision = row.parts.iter().map(|p| p.revision).max().unwrap_or(0);
    let revision = revision.checked_add(1).ok_or(Fault::StateConflict)?;
    let sealer = located.sealer();
    let mut parts = Vec::new();
    for (compartment, plain) in
        encode(&fields, FieldNo::compartment).map_err(|_| Fault::TooLarge)?
    {
        let blob = sealer.seal(row.id, SCHEMA, compartment, revision, &plain, cell.entropy())?;
        parts.push(Part { compartment, schema: SCHEMA, revision, blob });
    }
    let gone = |c: &Compartment| parts.iter().all(|p| p.compartment != *c);
    let removed = row.parts.iter().map(|p| p.compartment).filter(gone).collect();
    let regimes: Vec<_> = row.labels.regimes().into_iter().collect();
    let flags = row.labels.with_categories([]).with_regimes([]);
    let fresh = labels_of(dataset, &fields, Some(&regimes));
    let labels = leadvault_domain::Labels::from_bits(flags.bits() | fresh.bits());
    let probes = tags.email.into_iter().collect();
    let write = UpdateLead {
        id: row.id,
        base: Some(row.version),
        parts,
        removed,
        tags: Some(tags),
        probes,
        labels: Some(labels),
        updated: permit.at,
    };
    let version = row.version.checked_add(1).ok_or(Fault::StateConflict)?;
    let made = Made::Lead { id: row.id, version };
    let write = idempotency::beside(cell, call, room, write, made).await?;
    let entry = permit.entry(call, on).dataset(dataset.id).refs([reference]).fields(touched);
    let otherwise = entry.clone().outcome(leadvault_ledger::EntryOutcome::Error);
    let asserted = Some(permit.write_generations());
    let (receipt, outcome) =
        cell.commit_write(room, entry, Some(otherwise), asserted, write).await?;
    match outcome {
        Written::Conflict(Conflict::VersionMoved { .. }) => Err(Fault::VersionConflict.into()),
        Written::Conflict(Conflict::Duplicate { .. }) => Err(Fault::Duplicate.into()),
        Written::Conflict(_) => Err(Refusal::from(Fault::NotFound)),
        _ => Ok(Answer::stamped(version, &receipt)),
    }
}

/// The cells as they came stay what they were; a changed phone adds nothing to them.
fn with_cells(
    mut checked: leadvault_domain::Fields,
    before: &leadvault_domain::Fields,
) -> leadvault_domain::Fields {
    match before.get(&FieldNo::ORIGINAL) {
        Some(cells) => checked.insert(FieldNo::ORIGINAL, cells.clone()),
        None => checked.remove(&FieldNo::ORIGINAL),
    };
    checked
}
