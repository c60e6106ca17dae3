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
use super::view::{may_see, row_of, state_of};
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

/// Which bytes of a package are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// All of them.
    Whole,
    /// From an offset to the end, or to an offset that is included.
    From(u64, Option<u64>),
    /// The last so many.
    Last(u64),
}

/// Sends a package, or a span of it.
///
/// # Errors
/// [`Fault::ExportStale`], [`Fault::ExportExpired`]; [`Fault::StateConflict`] while it is rendered;
/// [`Fault::RangeNotSatisfiable`] for a span beyond the package; denials as decided.
pub async fn content(cell: &Cell, call: &Call, id: ExportId, wanted: Span) -> Outcome<Download> {
    let room = cell.room_of(call.caller.tenant)?;
    let (operation, on) = (LogOperation::Data(Operation::Export), ResourceType::Export);
    cell.require_role(&room, call, &[Role::Controller], operation, on).await?;
    cell.settled(&room, || content_once(cell, call, &room, id, wanted)).await
}

async fn content_once(
    cell: &Cell,
    call: &Call,
    room: &Arc<Room>,
    id: ExportId,
    wanted: Span,
) -> Outcome<Download> {
    let on = ResourceType::Export;
    let row = match row_of(cell, room, id).await {
        Ok(row) => row,
        Err(refusal) if refusal.fault == Fault::NotFound => {
            return Err(cell.not_found(room, call, Operation::Export, on).await);
        }
        Err(other) => return Err(other),
    };
    if !may_see(room, call, &row) {
        return Err(cell.not_found(room, call, Operation::Export, on).await);
    }
    let file = ready(cell, &row)?;
    let (first, end) = wanted.within(file.bytes)?;
    let asked = Asked::open(room, &row)?;
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
    let leaf = row.file_leaf.ok_or(Fault::ExportStale)?;
    let opener = release(cell, room, leaf, &receipt).await?;
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

impl Span {
    /// First byte, and one past the last (RFC 9110, 14.1.2).
    fn within(self, total: u64) -> Result<(u64, u64), Fault> {
        let (first, end) = match self {
            Self::Whole => return Ok((0, total)),
            Self::From(first, last) => {
                (first, last.map_or(total, |last| last.saturating_add(1)).min(total))
            }
            Self::Last(n) => (total.saturating_sub(n), total),
        };
        if first < end { Ok((first, end)) } else { Err(Fault::RangeNotSatisfiable { total }) }
    }
}

/// The opener of a file's chunks. An advance since the snapshot was taken is followed once.
///
/// # Errors
/// [`Fault::ExportStale`] once its leaf is punctured.
pub(crate) async fn release(
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
            room.keys()?.refresh().await.map_err(Fault::from)?;
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
        assert_eq!(Span::Whole.within(10), Ok((0, 10)));
        assert_eq!(Span::From(3, None).within(10), Ok((3, 10)));
        assert_eq!(Span::From(3, Some(3)).within(10), Ok((3, 4)));
        assert_eq!(Span::From(3, Some(u64::MAX)).within(10), Ok((3, 10)));
        assert_eq!(Span::Last(4).within(10), Ok((6, 10)));
        assert_eq!(Span::Last(40).within(10), Ok((0, 10)));
        let beyond = Err(Fault::RangeNotSatisfiable { total: 10 });
        assert_eq!(Span::From(10, None).within(10), beyond);
        assert_eq!(Span::From(5, Some(4)).within(10), beyond);
        assert_eq!(Span::Last(0).within(10), beyond);
    }
}
