//! A download: decided again, entered, then opened chunk by chunk.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _, try_unfold};
use leadvault_domain::{ExportId, Operation, Role};
use leadvault_keys::{NotCovered, ObjectOpener};
use leadvault_ledger::{CommittedReceipt, EntryOutcome, LogOperation, ResourceType};
use leadvault_store::{
    ExportFile, ExportRow, ExportState, ExportStep, Outcome as Written, UpdateExport,
};

use super::artifact::{Place, Reader};
use super::asked::{Asked, ask_of};
use super::view::{row_of, state_of};
use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::room::Room;

/// The bytes of a package, or of a span of it.
pub struct Download {
    /// Name of the file.
    pub name: String,
    /// Length of the whole package in bytes.
    pub total: u64,
    /// First byte that is sent.
    pub first: u64,
    /// Bytes that are sent.
    pub length: u64,
    /// Digest of the whole package.
    pub sha256: [u8; 32],
    /// The bytes. An error cuts the answer off.
    pub body: BoxStream<'static, Result<Bytes, Fault>>,
}

impl std::fmt::Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Sends a package: from the first to the last byte of `range`, both included, or to its end.
///
/// # Errors
/// [`Fault::ExportStale`], [`Fault::ExportExpired`]; [`Fault::StateConflict`] while it is rendered;
/// [`Fault::BadRequest`] for a range beyond the package; denials as decided.
pub async fn content(
    cell: &Cell,
    call: &Call,
    id: ExportId,
    range: Option<(u64, Option<u64>)>,
) -> Outcome<Download> {
    let room = cell.room_of(call.caller.tenant)?;
    let (operation, on) = (LogOperation::Data(Operation::Export), ResourceType::Export);
    cell.require_role(&room, call, &[Role::Controller], operation, on).await?;
    cell.settled(&room, || content_once(cell, call, &room, id, range)).await
}

async fn content_once(
    cell: &Cell,
    call: &Call,
    room: &Arc<Room>,
    id: ExportId,
    range: Option<(u64, Option<u64>)>,
) -> Outcome<Download> {
    let on = ResourceType::Export;
    let row = match row_of(cell, room, id).await {
        Ok(row) => row,
        Err(refusal) if refusal.fault == Fault::NotFound => {
            return Err(cell.not_found(room, call, Operation::Export, on).await);
        }
        Err(other) => return Err(other),
    };
    let file = ready(cell, &row)?;
    let (first, end) = span(file.bytes, range)?;
    let asked = Asked::open(room, &row)?;
    if let (Some(dataset), Some(seen)) = (asked.dataset, &call.caller.datasets)
        && !seen.contains(&dataset)
    {
        return Err(cell.not_found(room, call, Operation::Export, on).await);
    }
    // Under the instruction the export was made under, unless the call names another.
    let mut call = call.clone();
    call.instruction = call.instruction.or_else(|| Some(asked.named()));
    call.purpose = call.purpose.or_else(|| Some(asked.purpose()));
    let ask = ask_of(&call, asked.dataset, file.leads);
    let permit = cell.permit(room, &call, &ask, on).await?;
    let entry = permit
        .entry_as(&call, LogOperation::ExportDownload, on)
        .resource_id(id)
        .n(file.leads)
        .bytes(end - first)
        .sha256(file.sha256);
    let otherwise = entry.clone().outcome(EntryOutcome::Error);
    let write = UpdateExport { id, step: ExportStep::Delivered };
    let asserted = Some(permit.read_generations());
    let (receipt, outcome) =
        cell.commit_write(room, entry, Some(otherwise), asserted, write).await?;
    if let Written::Conflict(_) = outcome {
        return Err(ready(cell, &row_of(cell, room, id).await?)
            .err()
            .unwrap_or(Fault::ExportStale)
            .into());
    }
    let opener = release(cell, room, row.leaf, &receipt)?;
    let place = Place {
        objects: cell.data().objects(),
        tenant: room.id,
        name: file.object,
        record: id.bytes(),
    };
    let reader = Reader::new(place, opener, file.bytes, first, end);
    let body = try_unfold(reader, |mut reader| async move {
        Ok(reader.next().await?.map(|bytes| (bytes, reader)))
    });
    let ending = if row.encrypted { "zip.age" } else { "zip" };
    let download = Download {
        name: format!("export-{id}.{ending}"),
        total: file.bytes,
        first,
        length: end - first,
        sha256: file.sha256,
        body: body.boxed(),
    };
    Ok(Answer::stamped(download, &receipt))
}

/// The finished file, if it may be sent.
fn ready(cell: &Cell, row: &ExportRow) -> Result<ExportFile, Fault> {
    match state_of(cell, row) {
        ExportState::Ready => row.file.ok_or(Fault::Internal("export")),
        ExportState::Running => Err(Fault::StateConflict),
        ExportState::Stale => Err(Fault::ExportStale),
        ExportState::Expired => Err(Fault::ExportExpired),
    }
}

/// First byte, and one past the last.
fn span(total: u64, range: Option<(u64, Option<u64>)>) -> Result<(u64, u64), Fault> {
    let Some((first, last)) = range else { return Ok((0, total)) };
    let end = last.map_or(total, |last| last.saturating_add(1)).min(total);
    if first < end { Ok((first, end)) } else { Err(Fault::bad("#/range", "out_of_range")) }
}

/// The opener of an export's chunks. An advance since the snapshot was taken is followed once.
fn release(
    cell: &Cell,
    room: &Room,
    leaf: u32,
    receipt: &CommittedReceipt,
) -> Result<ObjectOpener, Refusal> {
    let now = cell.clock().now();
    let system = || room.ring()?.system(leaf).map_err(|_| Fault::ExportStale);
    match system()?.release(receipt, now) {
        Ok(opener) => Ok(opener),
        Err(NotCovered::SnapshotBehind { .. }) => {
            Ok(system()?.release(receipt, now).map_err(|_| Fault::Overloaded)?)
        }
        Err(_) => Err(Fault::Overloaded.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_with_the_package_and_none_begins_behind_it() {
        assert_eq!(span(10, None), Ok((0, 10)));
        assert_eq!(span(10, Some((3, None))), Ok((3, 10)));
        assert_eq!(span(10, Some((3, Some(3)))), Ok((3, 4)));
        assert_eq!(span(10, Some((3, Some(u64::MAX)))), Ok((3, 10)));
        assert!(span(10, Some((10, None))).is_err());
        assert!(span(10, Some((5, Some(4)))).is_err());
    }
}
