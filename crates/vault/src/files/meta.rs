//! What is known of a file and sealed: its name, its length, its type, its digest.

use leadvault_crypto::{Kind, Sha256Resumable};
use leadvault_domain::FileId;
use leadvault_store::{FileRow, Sealed};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{chunks_of, whole_chunks};
use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::room::Room;
use crate::system;

/// What is sealed of a file, under the leaf its chunks grow from.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(crate) struct FileMeta {
    /// What its owner calls it.
    pub(crate) name: String,
    /// Bytes.
    pub(crate) size: u64,
    /// Told by its first bytes, once they came.
    pub(crate) media_type: Option<String>,
    /// SHA-256 of the whole, 64 hexadecimal digits.
    pub(crate) sha256: Option<String>,
    /// The digest so far, while it is uploaded.
    digest: Option<String>,
}

impl std::fmt::Debug for FileMeta {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileMeta").finish_non_exhaustive()
    }
}

impl FileMeta {
    /// Of a file without content.
    pub(super) fn new(name: &str, size: u64) -> Self {
        Self { name: name.to_owned(), size, media_type: None, sha256: None, digest: None }
    }

    /// Opens what a row holds.
    ///
    /// # Errors
    /// [`Fault::NotFound`] once the leaf is punctured; [`Fault::Internal`] for what is not that file's.
    pub(crate) fn open(room: &Room, row: &FileRow) -> Result<Self, Fault> {
        let plain = system::open(room, Kind::Small, row.id.bytes(), &row.meta)?;
        let meta: Self =
            serde_json::from_slice(&plain).map_err(|_| Fault::Internal("file_meta"))?;
        // The row's length is in clear and nobody's word: that of the seal counts.
        if whole_chunks(chunks_of(meta.size)) == row.size {
            Ok(meta)
        } else {
            Err(Fault::ContentDamaged)
        }
    }

    /// For its row.
    ///
    /// # Errors
    /// [`Fault::Internal`].
    pub(super) fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, Fault> {
        serde_json::to_vec(self).map(Zeroizing::new).map_err(|_| Fault::Internal("file_meta"))
    }

    /// The next revision, under the leaf of `before`.
    ///
    /// # Errors
    /// What the keys say.
    pub(super) fn seal_again(
        &self,
        cell: &Cell,
        room: &Room,
        id: FileId,
        before: &Sealed,
    ) -> Result<Sealed, Refusal> {
        system::seal_again(cell, room, before, id.bytes(), &self.to_bytes()?)
    }

    /// The digest of what came so far.
    ///
    /// # Errors
    /// [`Fault::Internal`] for one that is none.
    pub(super) fn digest(&self) -> Result<Sha256Resumable, Fault> {
        let Some(text) = &self.digest else { return Ok(Sha256Resumable::default()) };
        let bytes = hex::decode(text).map(Zeroizing::new);
        let state = bytes.ok().and_then(|bytes| Sha256Resumable::from_bytes(&bytes));
        state.ok_or(Fault::Internal("file_meta"))
    }

    /// Puts the digest of what came aside, or ends it with the last byte.
    pub(super) fn take_digest(&mut self, digest: &Sha256Resumable, is_whole: bool) {
        if is_whole {
            self.sha256 = Some(hex::encode(digest.clone().finish()));
            self.digest = None;
        } else {
            self.digest = Some(hex::encode(&*digest.to_bytes()));
        }
    }
}
