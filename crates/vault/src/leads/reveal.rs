//! One lead: masked without `fields`, as it is with them.
//!
//! ```text
//! find the sealed row and its labels → decide → locate (a reference that opens nothing)
//!   → commit the entry, durable → open what holds the fields → shape
//! ```

use std::sync::Arc;

use leadvault_domain::{FieldNo, LeadId, Operation, Role};
use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_policy::{Ask, Call as Kind, operations_of};
use leadvault_store::{LeadRow, TenantScope};

use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::gate::hidden;
use crate::import::job;
use crate::leads::opened::{category_of, compartments_of, dataset_of, locate, open_parts, opener};
use crate::leads::view::{LeadView, Shown, shape};
use crate::room::{DatasetControl, Room};

/// Reads a lead.
///
/// # Errors
/// [`Fault::NotFound`] for an unknown, foreign or erased one, with its entry; denials as decided.
pub async fn reveal(
    cell: &Cell,
    call: &Call,
    id: LeadId,
    fields: Option<&[FieldNo]>,
) -> Outcome<LeadView> {
    let room = cell.room_of(call.caller.tenant)?;
    let operation = if fields.is_some() { Operation::Read } else { Operation::Display };
    let roles = [Role::Controller, Role::Editor, Role::Reader];
    let (operation, on) = (LogOperation::Data(operation), ResourceType::Record);
    cell.require_role(&room, call, &roles, operation, on).await?;
    cell.settled(&room, || reveal_once(cell, call, &room, id, fields)).await
}

async fn reveal_once(
    cell: &Cell,
    call: &Call,
    room: &Arc<Room>,
    id: LeadId,
    fields: Option<&[FieldNo]>,
) -> Outcome<LeadView> {
    let operation = if fields.is_some() { Operation::Read } else { Operation::Display };
    let on = ResourceType::Record;
    let found = find(cell, call, room, id).await;
    let (row, dataset) = match found {
        Ok(found) => found,
        Err(refusal) if refusal.fault == Fault::NotFound => {
            return Err(cell.missing(room, call, operation, on).await);
        }
        Err(other) => return Err(other),
    };
    let ask = ask_of(call, &row, &dataset, fields);
    let permit = cell.permit(room, call, &ask, on).await?;
    let located = match locate(&*room.ring()?, &row) {
        Ok(located) => located,
        Err(Fault::NotFound) => return Err(cell.missing(room, call, operation, on).await),
        Err(other) => return Err(other.into()),
    };
    let named = fields.unwrap_or(&[]);
    let entry = permit
        .entry(call, on)
        .dataset(dataset.id)
        .refs([located.reference()])
        .fields(named.iter().copied());
    let receipt = cell.commit(room, entry, Some(permit.read_generations())).await?;
    let opener = opener(cell, room, located, &row, &receipt).await?;
    let wanted = compartments_of(named);
    let values = open_parts(&opener, &row, |c| fields.is_none() || wanted(c))?;
    let shown = Shown::new(fields, permit.masking);
    let covered = |f| permit.fields.covers(f, category_of(&dataset, f));
    let (shaped, tags, notes) = shape(&values, shown, covered);
    // The cells tell every field of the row: they go out where all of them may.
    let whole = shown.reveals() && values.keys().all(|f| covered(*f));
    let original = if named.contains(&FieldNo::ORIGINAL) && whole {
        job::cells_of(cell, room, row.batch, &values).await?
    } else {
        None
    };
    let import = job::id_of(cell, room, row.batch).await?;
    let view = view_of(&row, &dataset, import, !shown.reveals(), shaped);
    Ok(Answer::stamped(LeadView { tags, notes, original, ..view }, &receipt))
}

/// The row and its dataset, as far as the caller may know of them.
///
/// # Errors
/// [`Fault::NotFound`].
pub(crate) async fn find(
    cell: &Cell,
    call: &Call,
    room: &Room,
    id: LeadId,
) -> Result<(LeadRow, Arc<DatasetControl>), Refusal> {
    let row = cell.data().find_lead(TenantScope(room.no), id).await?.ok_or(Fault::NotFound)?;
    if hidden(row.labels) {
        return Err(Fault::NotFound.into());
    }
    let dataset = dataset_of(room, call.caller.datasets.as_ref(), &row)?;
    Ok((row, dataset))
}

fn ask_of(call: &Call, row: &LeadRow, dataset: &DatasetControl, fields: Option<&[FieldNo]>) -> Ask {
    let mut ask = Ask::new(operations_of(Kind::Look { fields: fields.is_some() }));
    match fields {
        Some(fields) => {
            ask = ask.with_fields(fields.iter().map(|f| (*f, category_of(dataset, *f))));
            if fields.contains(&FieldNo::ORIGINAL) {
                // The cells tell every category of the row.
                ask.categories.extend(row.labels.categories());
            }
        }
        None => ask.masked = true,
    }
    ask.dataset = Some(dataset.id);
    ask.labels = Some(row.labels);
    ask.lead = Some(row.id);
    Cell::ask(call, ask)
}

/// A view without tags, notes and cells.
pub(crate) fn view_of(
    row: &LeadRow,
    dataset: &DatasetControl,
    import: Option<leadvault_domain::ImportId>,
    masked: bool,
    fields: serde_json::Map<String, serde_json::Value>,
) -> LeadView {
    LeadView {
        id: row.id,
        dataset: dataset.id,
        version: row.version,
        created_at: row.created,
        updated_at: row.updated,
        import,
        row: row.row_no,
        masked,
        fields,
        tags: serde_json::Value::Null,
        notes: Vec::new(),
        original: None,
    }
}
