//! The content of a file, or a span of it: decided, entered, then opened chunk by chunk on the way out.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _, try_unfold};
use leadvault_domain::{FileId, Operation, Personal, Role};
use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_policy::Call as Asked;
use leadvault_store::{FileState, TenantScope};

use super::content::FileReader;
use super::found::{self, references};
use super::media_type::served;
use super::meta::FileMeta;
use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::error::Fault;
use crate::room::Room;
use crate::span::Span;
use crate::system;

/// The bytes of a file, or of a span of it.
pub struct Download {
    /// What its owner calls it.
    pub name: Personal,
    /// What it is sent as.
    pub media_type: String,
    /// Bytes of the whole.
    pub total: u64,
    /// First byte that is sent.
    pub first: u64,
    /// Bytes that are sent.
    pub length: u64,
    /// The bytes. An error cuts the answer off.
    pub body: BoxStream<'static, Result<Bytes, Fault>>,
}

impl std::fmt::Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download").field("total", &self.total).finish_non_exhaustive()
    }
}

/// Sends a file, or a span of it.
///
/// # Errors
/// [`Fault::NotFound`]; [`Fault::StateConflict`] while it is uploaded; [`Fault::RangeNotSatisfiable`];
/// [`Fault::ContentDamaged`] where the first chunk does not open; denials as decided.
pub async fn content(cell: &Cell, call: &Call, id: FileId, wanted: Span) -> Outcome<Download> {
    let room = cell.room_of(call.caller.tenant)?;
    let (operation, on) = (LogOperation::Data(Operation::Read), ResourceType::File);
    let roles = [Role::Controller, Role::Editor, Role::Reader];
    cell.require_role(&room, call, &roles, operation, on).await?;
    cell.settled(&room, || content_once(cell, call, &room, id, wanted)).await
}

async fn content_once(
    cell: &Cell,
    call: &Call,
    room: &Arc<Room>,
    id: FileId,
    wanted: Span,
) -> Outcome<Download> {
    let on = ResourceType::File;
    let found = match found::find(cell, call, room, id).await {
        Ok(found) => found,
        Err(refusal) if refusal.fault == Fault::NotFound => {
            return Err(cell.missing(room, call, Operation::Read, on).await);
        }
        Err(other) => return Err(other),
    };
    let (dataset, leads) = (&found.dataset, &found.leads);
    let permit = found::permit(cell, room, call, Asked::FileContent, dataset, leads).await?;
    let opened = references(room, leads)
        .and_then(|references| Ok((references, FileMeta::open(room, &found.row)?)));
    let (references, meta) = match opened {
        Ok(opened) => opened,
        Err(Fault::NotFound) => return Err(cell.missing(room, call, Operation::Read, on).await),
        Err(other) => return Err(other.into()),
    };
    if found.row.state != FileState::Complete {
        return Err(Fault::StateConflict.into());
    }
    let (first, end) = wanted.within(meta.size)?;
    let entry = found::entry(call, &permit, id, dataset, references).bytes(end - first);
    let receipt = cell.commit(room, entry, Some(permit.read_generations())).await?;
    let opener = system::release(cell, room, found.row.meta.leaf, &receipt).await?;
    let parts = cell.data().list_file_parts(TenantScope(room.no), id).await?;
    let mut reader =
        FileReader::new(cell, room, (&found.row, meta.size), opener, parts, (first, end));
    let begin = reader.first().await?;
    let rest = try_unfold(reader, |mut reader| async move {
        Ok(reader.next().await?.map(|bytes| (bytes, reader)))
    });
    let media_type = meta.media_type.as_deref().unwrap_or_default();
    let download = Download {
        name: Personal::from(meta.name.clone()),
        media_type: served(media_type).to_owned(),
        total: meta.size,
        first,
        length: end - first,
        body: stream::iter([Ok(begin)]).chain(rest).boxed(),
    };
    Ok(Answer::stamped(download, &receipt))
}
