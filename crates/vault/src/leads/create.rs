//! A new lead, by itself: checked as a row of a file is, sealed under a fresh leaf, committed with its entry.

use std::sync::Arc;

use leadvault_crypto::normalise::PhoneParser;
use leadvault_domain::{
    Category, FieldNo, Fields, LabelFlag, Labels, LeadId, LeafAddress, Operation, Role, Value,
};
use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_policy::{Ask, Call as Kind, operations_of};
use leadvault_store::{Conflict, InsertLead, NewLead, Outcome as Written, Part};

use crate::call::{Answer, Call, Outcome, Stamp};
use crate::cell::Cell;
use crate::datasets;
use crate::error::{Fault, Refusal};
use crate::gate::Permit;
use crate::idempotency::{self, Made};
use crate::lead_codec::{SCHEMA, encode};
use crate::leads::doc::LeadDoc;
use crate::leads::opened::category_of;
use crate::leads::tags;
use crate::room::{DatasetControl, Room};
use crate::suppression;

/// First revision of a compartment and first version of a lead.
const FIRST: u32 = 1;

/// A lead that was made.
#[derive(Debug, Clone, Copy)]
pub struct MadeLead {
    /// Its id.
    pub id: LeadId,
    /// Its version.
    pub version: u32,
}

/// Makes a lead.
///
/// # Errors
/// [`Fault::Duplicate`] for an e-mail the dataset has; [`Fault::Invalid`] with the rule that refuses the
/// values (`minor`, `card_number`, …) or `suppressed` for an erased person; denials as decided.
pub async fn create(cell: &Cell, call: &Call, doc: &LeadDoc) -> Outcome<MadeLead> {
    let room = cell.room_of(call.caller.tenant)?;
    let roles = [Role::Controller, Role::Editor];
    let (operation, on) = (LogOperation::Data(Operation::Store), ResourceType::Record);
    cell.require_role(&room, call, &roles, operation, on).await?;
    let turn = idempotency::begin(cell, call, &room).await?;
    if let Some((made, stamp)) = turn.again() {
        let Made::Lead { id, version } = made else { return Err(idempotency::other()) };
        return Ok(Answer { value: MadeLead { id, version }, stamp });
    }
    let fields = doc.fields()?;
    cell.settled(&room, || create_once(cell, call, &room, doc, &fields)).await
}

async fn create_once(
    cell: &Cell,
    call: &Call,
    room: &Arc<Room>,
    doc: &LeadDoc,
    fields: &Fields,
) -> Outcome<MadeLead> {
    let on = ResourceType::Record;
    let Ok(dataset) = datasets::visible(room, call, doc.dataset) else {
        return Err(cell.missing(room, call, Operation::Store, on).await);
    };
    let labels = labels_of(&dataset, fields, doc.origin.as_deref());
    let mut ask = Ask::new(operations_of(Kind::Create));
    ask.dataset = Some(dataset.id);
    ask.categories = labels.categories();
    ask.labels = Some(labels);
    let permit = cell.permit(room, call, &Cell::ask(call, ask), on).await?;
    let fields = checked(cell, crate::import::Enabled::by(&permit), fields, &dataset)?;
    if let Some(field) = suppression::find(cell, room, &dataset, &fields).await? {
        cell.prove(room, call).await?;
        return Err(suppression::refusal(field));
    }
    let tree = dataset.tree;
    let leaf = room.keys()?.allocate(dataset.no, tree, 1).await?;
    let at = LeafAddress { dataset: dataset.no, tree, leaf };
    let id = LeadId::make(cell.clock(), cell.entropy())?;
    store(cell, call, room, &permit, id, at, labels, &fields).await
}

#[expect(clippy::too_many_arguments, reason = "one step of one story, called once")]
async fn store(
    cell: &Cell,
    call: &Call,
    room: &Room,
    permit: &Permit,
    id: LeadId,
    at: LeafAddress,
    labels: Labels,
    fields: &Fields,
) -> Outcome<MadeLead> {
    let ring = room.ring()?;
    let located = ring.locate(at)?;
    let mut phones = PhoneParser::new(None);
    let normalised = tags::normalise(fields, &mut phones);
    let tags = tags::make(&ring, at.dataset, &normalised, 0)?;
    let mut parts = Vec::new();
    let sealer = located.sealer();
    for (compartment, plain) in encode(fields, FieldNo::compartment).map_err(|_| Fault::TooLarge)? {
        let blob = sealer.seal(id, SCHEMA, compartment, FIRST, &plain, cell.entropy())?;
        parts.push(Part { compartment, schema: SCHEMA, revision: FIRST, blob });
    }
    let probes = tags.email.into_iter().collect();
    let lead =
        NewLead { id, at, labels, tags, batch: None, row_no: None, created: permit.at, parts };
    let entry = permit
        .entry(call, ResourceType::Record)
        .refs([located.reference()])
        .categories(labels.categories());
    let entry = match room.control().dataset_by_no(at.dataset) {
        Some(dataset) => entry.dataset(dataset.id),
        None => return Err(Fault::Stale.into()),
    };
    let otherwise = entry.clone().outcome(leadvault_ledger::EntryOutcome::Error);
    let made = Made::Lead { id, version: FIRST };
    let write = idempotency::beside(cell, call, room, InsertLead { lead, probes }, made).await?;
    let asserted = Some(permit.write_generations());
    let (receipt, outcome) =
        cell.commit_write(room, entry, Some(otherwise), asserted, write).await?;
    match outcome {
        Written::Conflict(Conflict::Duplicate { .. }) => Err(Refusal {
            fault: Fault::Duplicate,
            instruction: None,
            stamp: Some(Box::new(Stamp::from(&receipt))),
        }),
        Written::Conflict(_) => Err(Fault::StateConflict.into()),
        _ => Ok(Answer::stamped(MadeLead { id, version: FIRST }, &receipt)),
    }
}

/// The labels of a lead with these values.
pub(crate) fn labels_of(
    dataset: &DatasetControl,
    fields: &Fields,
    origin: Option<&[leadvault_domain::Regime]>,
) -> Labels {
    let categories = fields.keys().map(|f| category_of(dataset, *f));
    let regimes = origin.unwrap_or(&dataset.origin).iter().copied();
    let gpc = fields.get(&FieldNo::GPC).is_some_and(is_yes);
    Labels::default()
        .with_categories(categories.collect::<Vec<Category>>())
        .with_regimes(regimes)
        .with(LabelFlag::OptoutSale, gpc)
        .with(LabelFlag::OptoutShare, gpc)
        .with(LabelFlag::OptoutTargetedAds, gpc)
}

/// Whether a Global Privacy Control cell says yes.
fn is_yes(value: &Value) -> bool {
    let Value::Text(text) = value else { return false };
    matches!(text.expose().trim().to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "y")
}

/// Refuses what no lead may hold unless an instruction names it, and puts phones into E.164, keeping the
/// text as it came among the cells.
///
/// # Errors
/// [`Fault::Invalid`] with field and rule.
pub(crate) fn checked(
    cell: &Cell,
    enabled: crate::import::Enabled,
    fields: &Fields,
    dataset: &DatasetControl,
) -> Result<Fields, Refusal> {
    let today = cell.clock().now().date();
    for (field, value) in fields {
        let Value::Text(text) = value else { continue };
        if let Some(code) = crate::import::refused_value(*field, text.expose(), today, enabled) {
            return Err(Fault::invalid(format!("#/fields/{}", field.name()), code).into());
        }
    }
    let mut phones = PhoneParser::new(dataset.default_region.as_deref());
    let mut out = fields.clone();
    let mut cells = Vec::new();
    for field in [FieldNo::PHONE, FieldNo::PHONE_2, FieldNo::MOBILE] {
        let Some(Value::Text(text)) = fields.get(&field) else { continue };
        if let leadvault_crypto::normalise::Phone::E164(number) = phones.e164(text.expose())
            && number != *text.expose()
        {
            cells.push((field.name().into(), text.clone()));
            out.insert(field, Value::Text(number.into()));
        }
    }
    if !cells.is_empty() {
        out.insert(FieldNo::ORIGINAL, Value::Pairs(cells));
    }
    Ok(out)
}
