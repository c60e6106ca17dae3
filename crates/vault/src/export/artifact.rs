//! The sealed file of an export: bytes in, LV1 chunks on disk, bytes out again under a receipt.
//!
//! Chunk `i` starts at `i` × 65,632 and holds 65,535 bytes, the last one what is left (protocols.md 5). A
//! whole chunk is held back until more comes: only then is it known not to be the last.

use std::sync::Arc;

use leadvault_crypto::Sha256Stream;
use leadvault_domain::{Entropy, TenantId};
use leadvault_keys::{CHUNK_BYTES, ObjectOpener, SEALED_CHUNK_BYTES, SystemBox};
use leadvault_store::{ObjectName, ObjectWriter, Objects};
use zeroize::Zeroizing;

use crate::error::Fault;

/// Sealed bytes gathered before they are written: sixteen chunks, so that a write is worth its call.
const WRITE_BYTES: usize = 16 * SEALED_CHUNK_BYTES;

/// Where the chunks lie, and the object they say they belong to.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) objects: Objects,
    pub(crate) tenant: TenantId,
    pub(crate) name: ObjectName,
    /// Record id in the chunks' context: the export's.
    pub(crate) record: [u8; 16],
}

/// A finished file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    /// Over the opened bytes.
    pub(crate) sha256: [u8; 32],
    /// Length of the opened bytes.
    pub(crate) bytes: u64,
    pub(crate) chunks: u64,
}

/// Seals what is pushed. Lives on a blocking thread.
#[derive(Debug)]
pub(crate) struct Writer {
    place: Place,
    system: SystemBox,
    entropy: Arc<dyn Entropy>,
    runtime: tokio::runtime::Handle,
    plain: Zeroizing<Vec<u8>>,
    sealed: Vec<u8>,
    object: ObjectWriter,
    next: u32,
    digest: Sha256Stream,
    bytes: u64,
}

impl Writer {
    /// A new file under `system`, the export's own leaf.
    pub(crate) fn new(
        place: Place,
        system: SystemBox,
        entropy: Arc<dyn Entropy>,
        runtime: tokio::runtime::Handle,
    ) -> Self {
        let object = place.objects.begin(place.tenant, place.name);
        Self {
            place,
            system,
            entropy,
            runtime,
            plain: Zeroizing::new(Vec::with_capacity(CHUNK_BYTES)),
            sealed: Vec::with_capacity(WRITE_BYTES),
            object,
            next: 0,
            digest: Sha256Stream::new(),
            bytes: 0,
        }
    }

    /// Takes bytes of the file.
    ///
    /// # Errors
    /// What keys and files say.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        self.digest.update(bytes);
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        while !bytes.is_empty() {
            if self.plain.len() == CHUNK_BYTES {
                self.seal(false)?;
            }
            let room = CHUNK_BYTES.saturating_sub(self.plain.len());
            let (now, later) = bytes.split_at(bytes.len().min(room));
            self.plain.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Writes the last chunk and makes the file durable.
    ///
    /// # Errors
    /// As [`Writer::push`].
    pub(crate) fn finish(mut self) -> Result<Written, Fault> {
        self.seal(true)?;
        self.flush()?;
        self.runtime.block_on(self.object.finish())?;
        let (bytes, chunks) = (self.bytes, u64::from(self.next));
        Ok(Written { sha256: self.digest.finish(), bytes, chunks })
    }

    fn seal(&mut self, last: bool) -> Result<(), Fault> {
        let entropy = self.entropy.as_ref();
        let blob =
            self.system.seal_chunk(self.place.record, self.next, last, &self.plain, entropy)?;
        self.plain.clear();
        self.sealed.extend_from_slice(&blob);
        self.next = self.next.checked_add(1).ok_or(Fault::TooLarge)?;
        if self.sealed.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Fault> {
        self.runtime.block_on(self.object.write(&self.sealed))?;
        self.sealed.clear();
        Ok(())
    }
}

/// Opens a span of a finished file, chunk by chunk.
#[derive(Debug)]
pub(crate) struct Reader {
    place: Place,
    opener: ObjectOpener,
    /// Length of the opened file.
    total: u64,
    at: u64,
    end: u64,
}

impl Reader {
    /// Bytes `first..end` of a file of `total` bytes.
    pub(crate) fn new(
        place: Place,
        opener: ObjectOpener,
        total: u64,
        first: u64,
        end: u64,
    ) -> Self {
        Self { place, opener, total, at: first, end: end.min(total) }
    }

    /// The next bytes; `None` at the end of the span.
    ///
    /// # Errors
    /// [`Fault::Internal`] for a chunk that is missing or was changed.
    pub(crate) async fn next(&mut self) -> Result<Option<bytes::Bytes>, Fault> {
        if self.at >= self.end {
            return Ok(None);
        }
        let chunk = self.at / CHUNK_BYTES as u64;
        let last = (self.total.saturating_sub(1)) / CHUNK_BYTES as u64;
        let offset = chunk.saturating_mul(SEALED_CHUNK_BYTES as u64);
        let Place { objects, tenant, name, record } = &self.place;
        let sealed = objects.read(*tenant, *name, offset, SEALED_CHUNK_BYTES).await?;
        let sealed = sealed.ok_or(Fault::Internal("artifact"))?;
        let no = u32::try_from(chunk).map_err(|_| Fault::Internal("artifact"))?;
        let plain = self.opener.open_chunk(*record, no, chunk == last, &sealed)?;
        let begin = chunk.saturating_mul(CHUNK_BYTES as u64);
        let from = usize::try_from(self.at - begin).unwrap_or(usize::MAX);
        let upto = usize::try_from(self.end - begin).unwrap_or(usize::MAX).min(plain.len());
        let bytes = plain.get(from..upto).filter(|b| !b.is_empty());
        let bytes = bytes::Bytes::copy_from_slice(bytes.ok_or(Fault::Internal("artifact"))?);
        self.at = self.at.saturating_add(bytes.len() as u64);
        Ok(Some(bytes))
    }
}
