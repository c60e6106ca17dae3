//! Takes the bytes of a file: from byte `from` on, or from the beginning again.
//!
//! Two sides run at once and meet in a short queue: [`super::feed`] reads the body and has it pressed,
//! [`super::storing`] commits. Where the body is cut off, what was pressed is stored all the same.

use std::sync::{Arc, Mutex};

use futures::Stream;
use leadvault_crypto::Kind;
use leadvault_domain::{ImportId, JobKind, Operation};
use leadvault_ledger::ResourceType;
use leadvault_store::{ImportRow, ImportState, TenantScope};
use tokio::sync::mpsc;

use super::super::digest::Prefix;
use super::super::{Enabled, Plan, Reader, Rules};
use super::feed::{AHEAD, Feed, Known, Stop};
use super::gauge;
use super::open::{ask_of, require_writer};
use super::press::Press;
use super::request::{DuplicateAction, Meta};
use super::storing::Storing;
use super::view::{ImportView, row_of, view};
use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::datasets;
use crate::error::{Fault, Refusal};
use crate::jobs::AtWork;
use crate::room::Room;
use crate::system;

/// Which part of the file a body is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Part {
    /// Offset of its first byte.
    pub from: u64,
    /// Its bytes, where it says so.
    pub bytes: Option<u64>,
    /// Bytes of the whole file, where it says so.
    pub total: Option<u64>,
}

impl Part {
    /// Whether the file ends with it: so does a body that does not say how long the whole is.
    pub(super) fn is_last(&self) -> bool {
        match (self.total, self.bytes) {
            (Some(total), Some(bytes)) => self.from.saturating_add(bytes) >= total,
            _ => true,
        }
    }
}

/// Takes the bytes of a file.
///
/// # Errors
/// [`Fault::MappingNeeded`], [`Fault::NoHeaderRow`]: nothing is kept. [`Fault::ContentDiffers`] where the
/// bytes are not those of before. [`Fault::StateConflict`] for an import that is over.
/// [`Fault::InProgress`] where another upload of the same import is ahead.
pub async fn content<S, E>(
    cell: &Cell,
    call: &Call,
    id: ImportId,
    part: Part,
    body: S,
) -> Outcome<ImportView>
where
    S: Stream<Item = Result<bytes::Bytes, E>> + Send + Unpin,
    E: Send,
{
    let room = cell.room_of(call.caller.tenant)?;
    require_writer(cell, &room, call).await?;
    let Some(row) = cell.data().find_import(TenantScope(room.no), id).await? else {
        let on = ResourceType::Import;
        return Err(cell.not_found(&room, call, Operation::Store, on).await);
    };
    if !datasets::may_see(&room, call, row.dataset) {
        let on = ResourceType::Import;
        return Err(cell.not_found(&room, call, Operation::Store, on).await);
    }
    if !matches!(row.state, ImportState::Open | ImportState::Running) {
        return Err(Fault::StateConflict.into());
    }
    let _work = AtWork::begin(cell, JobKind::Import);
    let running = gauge::begin(room.gauges(), &row, cell.clock().now(), part.total);
    let (out, fed) = mpsc::channel(AHEAD);
    let (feed, storing) = sides(cell, call, &room, row, part.from, out).await?;
    let (fed, stored) = tokio::join!(feed.run(part, body), storing.run(fed));
    let stored = stored?;
    match fed {
        Err(Stop::Refused(refusal)) => return Err(refusal),
        Err(Stop::Closed) => return Err(Fault::Internal("import").into()),
        Ok(()) => {}
    }
    drop(running);
    match stored {
        Some(done) => Ok(done),
        // A part that is not the last: the rows that ended in it are stored.
        None => {
            let row = row_of(cell, &room, id).await?;
            Ok(Answer::plain(view(cell, &room, call, &row)?))
        }
    }
}

/// Both sides of an upload, where the import stands.
async fn sides<'a>(
    cell: &'a Cell,
    call: &'a Call,
    room: &Arc<Room>,
    row: ImportRow,
    from: u64,
    out: mpsc::Sender<super::feed::Fed>,
) -> Result<(Feed, Storing<'a>), Refusal> {
    if from != 0 && from != row.next_byte {
        return Err(Fault::ContentDiffers.into());
    }
    let sealed = row.meta.clone().ok_or(Fault::Erased)?;
    let plain = system::open(room, Kind::Small, row.id.bytes(), &sealed)?;
    let meta = Meta::from_bytes(&plain)?;
    let dataset = datasets::visible(room, call, meta.new.dataset)?;
    let plan = meta.plan()?.filter(|_| row.next_byte > 0).map(Arc::new);
    let new = meta.new;
    let on = ResourceType::Import;
    let permit = cell.permit(room, call, &ask_of(call, &new, plan.as_deref()), on).await?;
    let enabled = Enabled::by(&permit);
    let digest = digest_of(room, &row)?;
    let duplicates = new.duplicates();
    let kinds = duplicates.kinds()?;
    // Nothing that waits for an attestation goes into a lead that has one.
    let action = if new.quarantined() { DuplicateAction::Skip } else { duplicates.action };
    let region = new.default_region.map(|c| c.as_str().to_owned());
    let press = Arc::new(Press {
        room: Arc::clone(room),
        clock: Arc::clone(&cell.parts().clock),
        entropy: Arc::clone(&cell.parts().entropy),
        dataset: Arc::clone(&dataset),
        batch: row.no,
        quarantined: new.quarantined(),
        rules: Rules::enabling(cell.clock().now().date(), enabled),
        region: region.or_else(|| dataset.default_region.clone()),
        kinds: kinds.clone(),
        keeps_fields: action == DuplicateAction::Update,
        parsers: Mutex::default(),
    });
    let known = Known {
        bytes: row.next_byte.saturating_sub(from),
        digest: digest.clone(),
        next_byte: row.next_byte,
    };
    let reader = match &plan {
        Some(plan) => {
            Reader::resume(new.options()?, Plan::clone(plan), row.next_byte, row.next_row)
        }
        None => Reader::new(new.options()?),
    };
    let rows = cell.data().slice_rows();
    let feed = Feed::new(reader, Arc::clone(&press), Arc::clone(room), out, known, rows);
    let storing = Storing {
        cell,
        call,
        room: Arc::clone(room),
        dataset,
        id: row.id,
        new,
        action,
        kinds,
        press,
        meta: sealed,
        row,
        plan,
        permit: None,
        enabled,
        prefix: digest,
        suppressed: None,
        open_range: None,
        plans: super::merge::Plans::new(),
    };
    Ok((feed, storing))
}

/// The digest of everything that is stored.
fn digest_of(room: &Room, row: &ImportRow) -> Result<Prefix, Refusal> {
    let Some(cursor) = &row.cursor else { return Ok(Prefix::default()) };
    let plain = system::open(room, Kind::Small, row.id.bytes(), cursor)?;
    Ok(Prefix::from_bytes(&plain).ok_or(Fault::Internal("import cursor"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_ends_the_file_unless_it_says_that_more_follows() {
        let part = |from, bytes, total| Part { from, bytes, total };
        assert!(Part::default().is_last());
        assert!(part(10, Some(5), Some(15)).is_last());
        assert!(!part(10, Some(4), Some(15)).is_last());
        assert!(part(10, Some(4), None).is_last());
    }
}
