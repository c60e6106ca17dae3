//! The bytes of a file: taken part by part, each durable with its entry before more is taken.
//!
//! Whoever is cut off asks where the file stands and goes on from there, or sends it again from the beginning: what is
//! stored is compared by its digest and left out. Only whole chunks are kept of a file that is not at its end.

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use leadvault_crypto::Sha256Resumable;
use leadvault_domain::{FileId, Operation, Role};
use leadvault_keys::CHUNK_BYTES;
use leadvault_ledger::{EntryOutcome, LogOperation, ResourceType};
use leadvault_policy::Call as Asked;
use leadvault_store::{AppendFilePart, FilePart, FileRow, FileState, Outcome as Written};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::content::{PART_CHUNKS, seal_part};
use super::found::{self, Found, references};
use super::media_type::sniff;
use super::meta::FileMeta;
use super::{chunks_of, whole_chunks};
use crate::call::{Answer, Call, Outcome, Stamp};
use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::room::Room;

/// A body that pauses this long has its whole chunks stored: whoever sends slowly, or is cut off, loses little.
const PAUSE: Duration = Duration::from_millis(250);
/// As much as makes a part worth its object and its entry, which a client must not choose to be small.
const PAUSE_BYTES: usize = 8 * CHUNK_BYTES;
/// Bytes of the fullest part.
const PART_BYTES: usize = PART_CHUNKS * CHUNK_BYTES;

/// Which bytes of a file a body brings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Upload {
    /// Offset of its first byte.
    pub from: u64,
    /// Its bytes, where it says so.
    pub bytes: Option<u64>,
    /// Bytes of the whole, where it says so.
    pub total: Option<u64>,
}

/// Where an upload stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The file.
    pub id: FileId,
    /// Bytes that are stored: where the client goes on.
    pub stored: u64,
    /// Bytes of the whole.
    pub size: u64,
    /// SHA-256 of the whole, 64 hexadecimal digits, once it is complete.
    pub sha256: Option<String>,
    /// Told by the first bytes, once they came.
    pub media_type: Option<String>,
}

/// Tells where an upload stands, without an entry: nothing of the file goes out.
///
/// # Errors
/// [`Fault::NotFound`]; the role.
pub async fn offset(cell: &Cell, call: &Call, id: FileId) -> Outcome<Progress> {
    let room = cell.room_of(call.caller.tenant)?;
    require_writer(cell, &room, call).await?;
    let found = cell.settled(&room, || find(cell, call, &room, id)).await?;
    cell.prove(&room, call).await?;
    let meta = FileMeta::open(&room, &found.row)?;
    Ok(Answer::plain(progress(&found.row, &meta)))
}

/// Takes bytes of a file.
///
/// # Errors
/// [`Fault::ContentDiffers`] where the bytes are not those of before or do not begin where the file stands;
/// [`Fault::BadRequest`] for a length that is not the announced one; [`Fault::TooLarge`] for bytes behind the end;
/// [`Fault::InProgress`] where another upload of the same file is ahead; denials as decided.
pub async fn upload<S, E>(
    cell: &Cell,
    call: &Call,
    id: FileId,
    part: Upload,
    body: S,
) -> Outcome<Progress>
where
    S: Stream<Item = Result<bytes::Bytes, E>> + Send + Unpin,
    E: Send,
{
    let room = cell.room_of(call.caller.tenant)?;
    require_writer(cell, &room, call).await?;
    // Decided before a byte is read; and again with each part, for a body may take its time.
    let found = cell
        .settled(&room, || async {
            let found = find(cell, call, &room, id).await?;
            let (dataset, leads) = (&found.dataset, &found.leads);
            found::permit(cell, &room, call, Asked::Create, dataset, leads).await?;
            Ok(found)
        })
        .await?;
    let meta = FileMeta::open(&room, &found.row)?;
    let stored = stored_bytes(&found.row, &meta);
    part.check(meta.size)?;
    if part.from != 0 && part.from != stored {
        return Err(Fault::ContentDiffers.into());
    }
    let intake = Intake {
        cell,
        call,
        room: &room,
        digest: meta.digest()?,
        known: stored.saturating_sub(part.from),
        before: Sha256Resumable::default(),
        // Never grown, so that no copy of its bytes is left behind.
        plain: Zeroizing::new(Vec::with_capacity(room_for(meta.size.saturating_sub(stored)))),
        stored,
        row: found.row,
        meta,
        stamp: None,
    };
    intake.run(part, body).await
}

async fn require_writer(cell: &Cell, room: &Room, call: &Call) -> Result<(), Refusal> {
    let (operation, on) = (LogOperation::Data(Operation::Store), ResourceType::File);
    cell.require_role(room, call, &[Role::Controller, Role::Editor], operation, on).await
}

async fn find(cell: &Cell, call: &Call, room: &Room, id: FileId) -> Result<Found, Refusal> {
    match found::find(cell, call, room, id).await {
        Err(refusal) if refusal.fault == Fault::NotFound => {
            Err(cell.missing(room, call, Operation::Store, ResourceType::File).await)
        }
        other => other,
    }
}

/// Bytes of the file that are stored.
fn stored_bytes(row: &FileRow, meta: &FileMeta) -> u64 {
    row.next_byte.min(meta.size)
}

fn progress(row: &FileRow, meta: &FileMeta) -> Progress {
    Progress {
        id: row.id,
        stored: stored_bytes(row, meta),
        size: meta.size,
        sha256: meta.sha256.clone(),
        media_type: meta.media_type.clone(),
    }
}

fn room_for(left: u64) -> usize {
    usize::try_from(left).unwrap_or(PART_BYTES).min(PART_BYTES)
}

impl Upload {
    /// Whether what the request says of itself goes with the announced length.
    fn check(&self, size: u64) -> Result<(), Fault> {
        if self.total.is_some_and(|total| total != size) {
            return Err(Fault::bad("#", "size_differs"));
        }
        match self.bytes {
            Some(bytes) if self.from.saturating_add(bytes) > size => Err(Fault::TooLarge),
            _ => Ok(()),
        }
    }
}

/// An upload that runs.
struct Intake<'a> {
    cell: &'a Cell,
    call: &'a Call,
    room: &'a Arc<Room>,
    row: FileRow,
    meta: FileMeta,
    /// Bytes that are stored.
    stored: u64,
    /// Over them.
    digest: Sha256Resumable,
    /// Bytes of the body that are stored already.
    known: u64,
    /// Over those that came again.
    before: Sha256Resumable,
    /// What came and is not stored.
    plain: Zeroizing<Vec<u8>>,
    stamp: Option<Stamp>,
}

impl Intake<'_> {
    async fn run<S, E>(mut self, part: Upload, mut body: S) -> Outcome<Progress>
    where
        S: Stream<Item = Result<bytes::Bytes, E>> + Unpin,
    {
        let mut came = 0_u64;
        loop {
            let piece = match timeout(PAUSE, body.next()).await {
                Ok(Some(Ok(piece))) => piece,
                Ok(None) => break,
                Ok(Some(Err(_))) => {
                    self.store_whole_chunks().await?;
                    return Err(cut_off().into());
                }
                Err(_) => {
                    if self.plain.len() >= PAUSE_BYTES {
                        self.store_whole_chunks().await?;
                    }
                    continue;
                }
            };
            came = came.saturating_add(piece.len() as u64);
            let fresh = self.compare(&piece)?;
            self.take(fresh).await?;
        }
        if part.bytes.is_some_and(|bytes| bytes != came) {
            self.store_whole_chunks().await?;
            return Err(cut_off().into());
        }
        if self.known > 0 {
            return Err(Fault::ContentDiffers.into());
        }
        let all = self.stored.saturating_add(self.plain.len() as u64) == self.meta.size;
        if all && self.row.state == FileState::Open {
            self.store(chunks_of(self.plain.len() as u64)).await?;
        } else {
            self.store_whole_chunks().await?;
        }
        self.finish().await
    }

    /// The bytes of a piece that are not stored yet; the others are compared.
    fn compare<'b>(&mut self, piece: &'b [u8]) -> Result<&'b [u8], Refusal> {
        if self.known == 0 {
            return Ok(piece);
        }
        let known = usize::try_from(self.known).unwrap_or(usize::MAX);
        let (again, fresh) = piece.split_at(known.min(piece.len()));
        self.before.update(again);
        self.known = self.known.saturating_sub(again.len() as u64);
        if self.known == 0 {
            let before = hex::encode(self.before.clone().finish());
            let stored = match &self.meta.sha256 {
                Some(sha256) => sha256.clone(),
                None => hex::encode(self.digest.clone().finish()),
            };
            if before != stored {
                return Err(Fault::ContentDiffers.into());
            }
        }
        Ok(fresh)
    }

    async fn take(&mut self, mut bytes: &[u8]) -> Result<(), Refusal> {
        while !bytes.is_empty() {
            let held = self.plain.len();
            let left = self.meta.size.saturating_sub(self.stored).saturating_sub(held as u64);
            if left == 0 {
                return Err(Fault::TooLarge.into());
            }
            let space = PART_BYTES.saturating_sub(held).min(room_for(left));
            let (now, later) = bytes.split_at(bytes.len().min(space));
            self.plain.extend_from_slice(now);
            bytes = later;
            if self.plain.len() == PART_BYTES {
                self.store_whole_chunks().await?;
            }
        }
        Ok(())
    }

    /// Stores the chunks that are full. The file's last one waits for the end of the body.
    async fn store_whole_chunks(&mut self) -> Result<(), Refusal> {
        let next = self.stored / CHUNK_BYTES as u64;
        let before_last = chunks_of(self.meta.size).saturating_sub(1).saturating_sub(next);
        let full = (self.plain.len() / CHUNK_BYTES) as u64;
        match full.min(before_last) {
            0 => Ok(()),
            chunks => self.store(chunks).await,
        }
    }

    /// Stores the first chunks of what came: an object, then part and entry in one commit.
    async fn store(&mut self, chunks: u64) -> Result<(), Refusal> {
        let first_chunk = self.stored / CHUNK_BYTES as u64;
        let last_chunk = chunks_of(self.meta.size).saturating_sub(1);
        let bytes = usize::try_from(whole_chunks(chunks)).unwrap_or(usize::MAX);
        let bytes = bytes.min(self.plain.len());
        let (now, later) = self.plain.split_at(bytes);
        let plain = Zeroizing::new(now.to_vec());
        let left = later.len();
        self.digest.update(&plain);
        if first_chunk == 0 {
            self.meta.media_type = Some(sniff(&plain).to_owned());
        }
        let is_whole = first_chunk.saturating_add(chunks) > last_chunk;
        self.meta.take_digest(&self.digest, is_whole);
        let no = u32::try_from(first_chunk).map_err(|_| Fault::TooLarge)?;
        let of = (self.row.id, self.row.meta.leaf);
        let part = seal_part(self.cell, self.room, of, (no, last_chunk), plain).await?;
        let meta = self.meta.seal_again(self.cell, self.room, self.row.id, &self.row.meta)?;
        let append = AppendFilePart {
            id: self.row.id,
            from: self.row.next_byte,
            to: whole_chunks(first_chunk.saturating_add(chunks)),
            part,
            meta,
            at: self.cell.clock().now(),
        };
        let settled = self.cell.settled(self.room, || self.append(&append, bytes as u64)).await;
        let stamp = match settled {
            Ok(stamp) => stamp,
            Err(refusal) => {
                // Where nobody knows whether it was committed, a row may name it.
                if refusal.fault != Fault::JournalUnwritable {
                    self.give_up(&part).await;
                }
                return Err(refusal);
            }
        };
        self.cell.fail_point("file.part_stored");
        self.stamp = Some(stamp);
        self.row.next_byte = append.to;
        self.row.meta = append.meta;
        if append.to == self.row.size {
            self.row.state = FileState::Complete;
        }
        self.stored = self.stored.saturating_add(bytes as u64);
        self.plain.copy_within(bytes.., 0);
        self.plain.truncate(left);
        Ok(())
    }

    async fn append(&self, append: &AppendFilePart, bytes: u64) -> Result<Stamp, Refusal> {
        let (cell, call, room) = (self.cell, self.call, self.room);
        let found = find(cell, call, room, append.id).await?;
        let (dataset, leads) = (&found.dataset, &found.leads);
        let permit = found::permit(cell, room, call, Asked::Create, dataset, leads).await?;
        let references = references(room, leads)?;
        let entry = found::entry(call, &permit, append.id, dataset, references).bytes(bytes);
        let otherwise = entry.clone().outcome(EntryOutcome::Error);
        let asserted = Some(permit.write_generations());
        let (receipt, outcome) =
            cell.commit_write(room, entry, Some(otherwise), asserted, append.clone()).await?;
        match outcome {
            // Another upload is ahead, or the file goes.
            Written::Conflict(_) => match find(cell, call, room, append.id).await {
                Ok(_) => Err(Fault::InProgress.into()),
                Err(gone) => Err(gone),
            },
            _ => Ok(Stamp::from(&receipt)),
        }
    }

    /// Removes an object that nothing names. What does not go now is swept later.
    async fn give_up(&self, part: &FilePart) {
        if self.cell.data().objects().delete(self.room.id, part.object).await.is_err() {
            tracing::warn!(tenant = %self.room.id, "an object that nothing names is left");
        }
    }

    /// The answer. A call that stored nothing is an entry all the same.
    async fn finish(self) -> Outcome<Progress> {
        let (cell, call, room) = (self.cell, self.call, self.room);
        let stamp = match self.stamp {
            Some(stamp) => stamp,
            None => {
                cell.settled(room, || async {
                    let found = find(cell, call, room, self.row.id).await?;
                    let (dataset, leads) = (&found.dataset, &found.leads);
                    let permit =
                        found::permit(cell, room, call, Asked::Create, dataset, leads).await?;
                    let references = references(room, leads)?;
                    let entry =
                        found::entry(call, &permit, self.row.id, dataset, references).bytes(0);
                    let receipt =
                        cell.commit(room, entry, Some(permit.write_generations())).await?;
                    Ok(Stamp::from(&receipt))
                })
                .await?
            }
        };
        Ok(Answer { value: progress(&self.row, &self.meta), stamp: Some(stamp) })
    }
}

fn cut_off() -> Fault {
    Fault::bad("#", "cut_off")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_nothing_else_than_was_announced() {
        let upload = |from, bytes, total| Upload { from, bytes, total };
        for good in [upload(0, None, None), upload(0, Some(10), None), upload(4, Some(6), Some(10))]
        {
            assert_eq!(good.check(10), Ok(()));
        }
        let differs = Err(Fault::bad("#", "size_differs"));
        assert_eq!(upload(0, Some(9), Some(9)).check(10), differs);
        assert_eq!(upload(0, Some(11), None).check(10), Err(Fault::TooLarge));
        assert_eq!(upload(5, Some(6), None).check(10), Err(Fault::TooLarge));
    }
}
