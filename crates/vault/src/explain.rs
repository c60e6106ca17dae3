//! `explain`: decides a call without doing it, and says what would have to change.
//!
//! The decision is the one of [`crate::leads`]: same register, same facts, same function. Nothing is opened,
//! signed or stored, and no entry is made, for nothing of a lead goes out but its clear flags. An id that
//! the caller may not know is a 404 with its entry, as everywhere.

use leadvault_domain::{
    DatasetId, DecisionCode, FieldNo, InstructionId, LabelFlag, LeadId, Operation, Place, Purpose,
    RecipientId, Timestamp,
};
use leadvault_ledger::ResourceType;
use leadvault_policy::{self as policy, Ask, Named, Verdict};

use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::datasets;
use crate::error::{Fault, Refusal};
use crate::exit;
use crate::leads::opened::category_of;
use crate::leads::reveal::find;
use crate::room::{DatasetControl, Room};

/// The dimensions of the call that is asked about. Whatever is not said is the caller's own.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What would be done.
    pub operation: Operation,
    /// Why; without it the key's default, then the instruction's only one.
    pub purpose: Option<Purpose>,
    /// Under which instruction; without it the key's default, then the one that fits.
    pub instruction: Option<Named>,
    /// In which dataset; without it, in all of the tenant.
    pub dataset: Option<DatasetId>,
    /// On which lead.
    pub lead: Option<LeadId>,
    /// Which fields.
    pub fields: Option<Vec<FieldNo>>,
    /// To whom it would go; without it, it stays with the tenant.
    pub recipient: Option<RecipientId>,
    /// To which place.
    pub dest: Option<Place>,
    /// At which time; without it, now.
    pub as_of: Option<Timestamp>,
}

/// What the decision would be.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// Whether it would be allowed.
    pub allowed: bool,
    /// `ALLOW…`, or the code of the denial.
    pub code: DecisionCode,
    /// Warnings of an allowance.
    pub warnings: Vec<&'static str>,
    /// Obligations of an allowance.
    pub obligations: Vec<&'static str>,
    /// The instruction that decides. None where the built-in permit of an exit would be made for the call.
    pub instruction: Option<(InstructionId, u32)>,
    /// Flags of the lead that was named.
    pub flags: Vec<LabelFlag>,
    /// What would have to change, in the order of decisions.md 2.
    pub would_need: Vec<String>,
}

/// Decides without doing.
///
/// # Errors
/// [`Fault::NotFound`] for a dataset or lead the caller may not know, with its entry;
/// [`Fault::PurposeRequired`] where none can be told.
pub async fn explain(cell: &Cell, call: &Call, asked: &Asked) -> Outcome<Explanation> {
    let room = cell.room_of(call.caller.tenant)?;
    let on = asked.lead.map_or(ResourceType::Dataset, |_| ResourceType::Record);
    let ask = match ask_of(cell, call, &room, asked).await {
        Ok(ask) => ask,
        Err(refusal) if refusal.fault == Fault::NotFound => {
            return Err(cell.not_found(&room, call, asked.operation, on).await);
        }
        Err(other) => return Err(other),
    };
    let at = asked.as_of.unwrap_or_else(|| cell.clock().now());
    let control = room.control();
    let mut facts = Cell::facts(&room, &control, &ask, call, at);
    facts.store_places.extend(asked.dest.clone());
    let actor = policy::Actor::from(&call.caller);
    let default = call.caller.default_instruction;
    let mut made = None;
    let verdict = if exit::applies(call, &ask) {
        let permit = exit::make(cell, &room, call, &ask, at)?;
        let built_in = Named { id: permit.id, version: Some(permit.version) };
        let named = Ask { named: Some(built_in), ..ask.clone() };
        let register = exit::register(&control, permit);
        made = Some(built_in.id);
        policy::decide(&named, &actor, &register, default, &facts, at)
    } else {
        policy::decide(&ask, &actor, control.register.all(), default, &facts, at)
    };
    let flags = ask.labels.map(|labels| labels.flags().collect()).unwrap_or_default();
    let mut told = told(verdict, flags)?;
    // A permit that was made for the question alone is in no register.
    told.instruction = told.instruction.filter(|(id, _)| Some(*id) != made);
    Ok(Answer::plain(told))
}

/// The call as policy sees it.
async fn ask_of(cell: &Cell, call: &Call, room: &Room, asked: &Asked) -> Result<Ask, Refusal> {
    let mut ask = Ask::new(vec![asked.operation]);
    let dataset = match (asked.lead, asked.dataset) {
        (Some(lead), named) => {
            let (row, dataset) = find(cell, call, room, lead).await?;
            if named.is_some_and(|id| id != dataset.id) {
                return Err(Fault::NotFound.into());
            }
            ask.lead = Some(row.id);
            ask.labels = Some(row.labels);
            ask.categories = row.labels.categories();
            Some(dataset)
        }
        (None, Some(id)) => Some(datasets::visible(room, call, id)?),
        (None, None) => None,
    };
    if let Some(fields) = &asked.fields {
        let category = |field: FieldNo| known_category(dataset.as_deref(), field);
        ask = ask.with_fields(fields.iter().map(|field| (*field, category(*field))));
    }
    ask.dataset = dataset.map(|dataset| dataset.id);
    ask.named = asked.instruction;
    ask.purpose = asked.purpose;
    ask.recipient = asked.recipient;
    ask.masked = asked.operation == Operation::Display;
    ask.exit = asked.recipient.is_none()
        && matches!(asked.operation, Operation::Export | Operation::Erase);
    ask.needs_key = asked.operation != Operation::Erase;
    if !exit::applies(call, &ask) {
        ask.purpose = ask.purpose.or(call.caller.default_purpose);
    }
    Ok(ask)
}

fn known_category(dataset: Option<&DatasetControl>, field: FieldNo) -> leadvault_domain::Category {
    dataset.map_or_else(|| field.category(), |dataset| category_of(dataset, field))
}

fn told(verdict: Verdict, flags: Vec<LabelFlag>) -> Result<Explanation, Fault> {
    match verdict {
        Verdict::Allow(allowed) => Ok(Explanation {
            allowed: true,
            code: DecisionCode::Allow,
            warnings: allowed.warnings.iter().map(|w| w.as_str()).collect(),
            obligations: allowed.obligations.iter().map(|o| o.as_str()).collect(),
            instruction: Some((allowed.instruction.id, allowed.instruction.version)),
            flags,
            would_need: Vec::new(),
        }),
        Verdict::Deny(denied) => Ok(Explanation {
            allowed: false,
            code: denied.code,
            warnings: Vec::new(),
            obligations: Vec::new(),
            instruction: denied.instruction.map(|i| (i.id, i.version)),
            flags,
            would_need: denied.would_need.iter().map(ToString::to_string).collect(),
        }),
        Verdict::BadRequest(_) => Err(Fault::PurposeRequired),
    }
}
