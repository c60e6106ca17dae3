//! Opening a lead's compartments: the step after the receipt.

use std::sync::Arc;

use leadvault_domain::{Category, Compartment, DatasetId, FieldNo, Fields, LeadId};
use leadvault_keys::{KeyError, Keyring, Located, NotCovered, Opener};
use leadvault_ledger::CommittedReceipt;
use leadvault_store::LeadRow;

use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::lead_codec::Decoder;
use crate::room::{DatasetControl, Room};

/// Locates the leaf of a row. A leaf that was punctured is an erased lead, whatever the row says: a copy of
/// an old database was put back.
///
/// # Errors
/// [`Fault::NotFound`] for an erased one.
pub(crate) fn locate(ring: &Keyring, row: &LeadRow) -> Result<Located, Fault> {
    match ring.locate(row.at) {
        Ok(located) => Ok(located),
        Err(
            KeyError::Punctured(_) | KeyError::UnknownDataset(_) | KeyError::UnknownTree { .. },
        ) => Err(Fault::NotFound),
        Err(other) => Err(other.into()),
    }
}

/// Turns a located leaf into an opener, under a receipt. An advance since the snapshot was taken is
/// followed once.
///
/// # Errors
/// [`Fault::NotFound`] where the lead was erased meanwhile.
pub(crate) async fn opener(
    cell: &Cell,
    room: &Room,
    located: Located,
    row: &LeadRow,
    receipt: &CommittedReceipt,
) -> Result<Opener, Fault> {
    let now = cell.clock().now();
    room.count_released();
    match located.open(receipt, now) {
        Ok(opener) => Ok(opener),
        Err(NotCovered::SnapshotBehind { .. }) => {
            // Another call, or another node, has moved on: its snapshot is there for the asking.
            room.keys()?.refresh().await?;
            let again = locate(&*room.ring()?, row)?;
            again.open(receipt, now).map_err(|_| Fault::Overloaded)
        }
        Err(NotCovered::TooOld) => Err(Fault::Overloaded),
        Err(_) => Err(Fault::Internal("receipt does not cover the lead")),
    }
}

/// Opens the compartments that hold what is wanted, nothing else.
///
/// # Errors
/// [`Fault::Internal`] for a blob that does not open: the row is not what was written.
pub(crate) fn open_parts(
    opener: &Opener,
    row: &LeadRow,
    wanted: impl Fn(Compartment) -> bool,
) -> Result<Fields, Fault> {
    open_with(opener, row.id, row, wanted)
}

fn open_with(
    opener: &Opener,
    id: LeadId,
    row: &LeadRow,
    wanted: impl Fn(Compartment) -> bool,
) -> Result<Fields, Fault> {
    let mut decoder = Decoder::default();
    for part in row.parts.iter().filter(|p| wanted(p.compartment)) {
        let plain = opener.open(id, part.schema, part.compartment, part.revision, &part.blob)?;
        decoder.read(&plain).map_err(|_| Fault::Internal("compartment"))?;
    }
    Ok(decoder.finish())
}

/// The compartments that hold these fields. Long notes and cells lie in parts of their own.
pub(crate) fn compartments_of(fields: &[FieldNo]) -> impl Fn(Compartment) -> bool {
    let direct: Vec<Compartment> = fields.iter().map(|f| f.compartment()).collect();
    let whole = fields.contains(&FieldNo::ORIGINAL);
    let parts = fields.iter().any(|f| matches!(*f, FieldNo::NOTES | FieldNo::ORIGINAL));
    // The cells as they came are rebuilt from every mapped field.
    move |c| whole || direct.contains(&c) || (parts && c.0 >= Compartment::FIRST_PART)
}

/// The category of a field in a dataset: the table's, or what the tenant classified the column as.
pub(crate) fn category_of(dataset: &DatasetControl, field: FieldNo) -> Category {
    dataset.columns.get(&field).copied().unwrap_or_else(|| field.category())
}

/// The dataset of a row, if it lives and the caller may know of it.
///
/// # Errors
/// [`Fault::NotFound`].
pub(crate) fn dataset_of(
    room: &Room,
    seen: Option<&Vec<DatasetId>>,
    row: &LeadRow,
) -> Result<Arc<DatasetControl>, Refusal> {
    let dataset = room.control().dataset_by_no(row.at.dataset).ok_or(Fault::NotFound)?;
    if seen.is_some_and(|seen| !seen.contains(&dataset.id)) {
        return Err(Fault::NotFound.into());
    }
    Ok(dataset)
}
