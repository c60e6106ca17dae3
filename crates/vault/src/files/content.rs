//! The chunks of a file: sealed part by part on the way in, opened one by one on the way out.

use std::sync::Arc;

use bytes::Bytes;
use leadvault_domain::FileId;
use leadvault_keys::{CHUNK_BYTES, ObjectOpener, SEALED_CHUNK_BYTES};
use leadvault_store::{FilePart, FileRow, ObjectName};
use zeroize::Zeroizing;

use super::chunks_of;
use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::room::Room;
use crate::system;

/// Chunks of one part at most: what an upload holds in memory, and what a crash loses of it.
pub(super) const PART_CHUNKS: usize = 64;

/// Seals consecutive chunks into a new object. When this returns it is durable, and nothing names it yet.
///
/// # Errors
/// [`Fault::NotFound`] once the leaf is punctured; what files say.
pub(super) async fn seal_part(
    cell: &Cell,
    room: &Room,
    (id, leaf): (FileId, u32),
    (first_chunk, last_chunk): (u32, u64),
    plain: Zeroizing<Vec<u8>>,
) -> Result<FilePart, Refusal> {
    let system = room.ring()?.system(leaf)?;
    let entropy = cell.parts().entropy.clone();
    let object = ObjectName::make(cell.entropy())?;
    let sealing = move || {
        let count = plain.len().div_ceil(CHUNK_BYTES).max(1);
        let mut sealed = Vec::with_capacity(count.saturating_mul(SEALED_CHUNK_BYTES));
        let mut chunks = 0_u32;
        for n in 0..count {
            let from = n.saturating_mul(CHUNK_BYTES);
            let chunk = plain.get(from..plain.len().min(from.saturating_add(CHUNK_BYTES)));
            let no = first_chunk.checked_add(chunks).ok_or(Fault::TooLarge)?;
            let last = u64::from(no) == last_chunk;
            let chunk = chunk.unwrap_or_default();
            sealed.extend(system.seal_chunk(id.bytes(), no, last, chunk, entropy.as_ref())?);
            chunks = chunks.saturating_add(1);
        }
        Ok::<_, Refusal>((sealed, chunks))
    };
    let sealed = tokio::task::spawn_blocking(sealing).await;
    let (sealed, chunks) = sealed.map_err(|_| Fault::Internal("file_seal"))??;
    cell.data().objects().put(room.id, object, sealed).await?;
    cell.fail_point("file.object_written");
    Ok(FilePart { first_chunk, chunks, object })
}

/// Opens a span of a complete file, chunk by chunk.
pub(crate) struct FileReader {
    objects: leadvault_store::Objects,
    tenant: leadvault_domain::TenantId,
    id: FileId,
    opener: ObjectOpener,
    /// Its key must be there for as long as bytes go out.
    room: Arc<Room>,
    leaf: u32,
    parts: Vec<FilePart>,
    chunks: u64,
    at: u64,
    end: u64,
}

impl FileReader {
    /// Bytes `first..end` of a file of `size` bytes.
    pub(crate) fn new(
        cell: &Cell,
        room: &Arc<Room>,
        (row, size): (&FileRow, u64),
        opener: ObjectOpener,
        parts: Vec<FilePart>,
        (first, end): (u64, u64),
    ) -> Self {
        let objects = cell.data().objects().clone();
        let chunks = chunks_of(size);
        let (id, leaf, tenant) = (row.id, row.meta.leaf, room.id);
        let room = Arc::clone(room);
        Self { objects, tenant, id, opener, room, leaf, parts, chunks, at: first, end }
    }

    /// The first bytes of the span: a file that is damaged there, or of which nothing is left, is known before an
    /// answer begins.
    ///
    /// # Errors
    /// [`Fault::ContentDamaged`].
    pub(crate) async fn first(&mut self) -> Result<Bytes, Fault> {
        match self.next().await? {
            Some(bytes) => Ok(bytes),
            // Of an empty file the seal of its end.
            None => self.open(0).await.map(|_| Bytes::new()),
        }
    }

    /// The next bytes; `None` at the end of the span.
    ///
    /// # Errors
    /// [`Fault::ContentDamaged`] for a chunk that is missing or was changed; [`Fault::NotFound`] once its key is gone.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        if self.at >= self.end {
            return Ok(None);
        }
        let chunk = self.at / CHUNK_BYTES as u64;
        let plain = self.open(chunk).await?;
        let begin = chunk.saturating_mul(CHUNK_BYTES as u64);
        let within = |at: u64| usize::try_from(at.saturating_sub(begin)).unwrap_or(usize::MAX);
        let wanted = plain.get(within(self.at)..within(self.end).min(plain.len()));
        let wanted = wanted.filter(|bytes| !bytes.is_empty()).ok_or(Fault::ContentDamaged)?;
        let bytes = Bytes::copy_from_slice(wanted);
        self.at = self.at.saturating_add(bytes.len() as u64);
        Ok(Some(bytes))
    }

    async fn open(&self, chunk: u64) -> Result<Zeroizing<Vec<u8>>, Fault> {
        // Erased, shredded or suspended meanwhile: a reader that takes its time gets no more of it.
        if !self.room.ring()?.is_live(system::leaf(self.leaf)) {
            return Err(Fault::NotFound);
        }
        let no = u32::try_from(chunk).map_err(|_| Fault::ContentDamaged)?;
        let after = self.parts.partition_point(|part| part.first_chunk <= no);
        let part = after.checked_sub(1).and_then(|at| self.parts.get(at));
        let part = part.ok_or(Fault::ContentDamaged)?;
        let within = u64::from(no.saturating_sub(part.first_chunk));
        let offset = within.saturating_mul(SEALED_CHUNK_BYTES as u64);
        let sealed =
            self.objects.read(self.tenant, part.object, offset, SEALED_CHUNK_BYTES).await?;
        let sealed = sealed.ok_or(Fault::ContentDamaged)?;
        let last = chunk.saturating_add(1) == self.chunks;
        let opened = self.opener.open_chunk(self.id.bytes(), no, last, &sealed);
        opened.map_err(|_| Fault::ContentDamaged)
    }
}
