//! A download: decided again, entered, then opened chunk by chunk.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _, try_unfold};
use leadvault_domain::{ExportId, Operation, Role};
use leadvault_ledger::{EntryOutcome, LogOperation, ResourceType};
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
use crate::span::Span;
use crate::system;

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
    // Gone meanwhile: a lead of it was erased.
    let opener = system::release(cell, room, leaf, &receipt).await.map_err(stale_if_gone)?;
    let place = Place {
        objects: cell.data().objects().clone(),
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

fn stale_if_gone(refusal: Refusal) -> Refusal {
    match refusal.fault {
        Fault::NotFound => Fault::ExportStale.into(),
        _ => refusal,
    }
}
