//! A leaf of the tenant's system tree: everything sealed that is not a lead (protocols.md 5).
//!
//! Dataset metadata, instruction bodies, job payloads, replay records and the like are the service's own
//! working state and open without a receipt. Objects — artifacts and files, LV1 kind 04 — leave the
//! house, so their chunks open only under a committed receipt of the tenant:
//!
//! ```
//! fn serve(system: leadvault_keys::SystemBox, receipt: &leadvault_ledger::CommittedReceipt, now: leadvault_domain::Timestamp) {
//!     let _ = system.release(receipt, now);
//! }
//! ```
//! ```compile_fail,E0061
//! fn serve(system: leadvault_keys::SystemBox, receipt: &leadvault_ledger::CommittedReceipt, now: leadvault_domain::Timestamp) {
//!     let _ = system.release(now);
//! }
//! ```
//! The receipt of an object proves an entry of this tenant within the second, not which object it names:
//! entries of downloads name the export or file by id, and a system leaf has no public reference.

use leadvault_crypto::{Context, Header, Kind, SecretKey, derive_key, hmac_sha256, open, seal};
use leadvault_domain::{Entropy, LeafAddress, Timestamp};
use leadvault_ledger::CommittedReceipt;
use zeroize::Zeroizing;

use crate::located::{Owner, opaque};
use crate::{KeyError, NotCovered};

/// Plaintext bytes of every chunk but the last.
pub const CHUNK_BYTES: usize = 65_535;
/// Bytes of a sealed full chunk; chunk `i` starts at `i` times this.
pub const SEALED_CHUNK_BYTES: usize = 65_632;

/// Version of the chunk framing.
const CHUNK_SCHEMA: u16 = 1;

/// One system leaf.
pub struct SystemBox {
    owner: Owner,
    at: LeafAddress,
    key: SecretKey,
}

impl SystemBox {
    pub(crate) const fn new(owner: Owner, at: LeafAddress, key: SecretKey) -> Self {
        Self { owner, at, key }
    }

    /// Where the leaf is; erased by puncturing it.
    pub const fn at(&self) -> LeafAddress {
        self.at
    }

    /// Seals a small thing ([`Kind::Small`]) or an instruction body ([`Kind::Instruction`]).
    ///
    /// # Errors
    /// [`KeyError::Unsealable`] for another kind or a plaintext above the container's limit.
    pub fn seal(
        &self,
        kind: Kind,
        record: [u8; 16],
        schema: u16,
        revision: u32,
        plain: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, KeyError> {
        let header = self.small(kind, schema, revision).ok_or(KeyError::Unsealable)?;
        seal(&self.key, &header, &self.context(record), plain, entropy)
            .map_err(|_| KeyError::Unsealable)
    }

    /// Opens what [`SystemBox::seal`] sealed.
    ///
    /// # Errors
    /// [`KeyError::Unopenable`].
    pub fn open(
        &self,
        kind: Kind,
        record: [u8; 16],
        schema: u16,
        revision: u32,
        blob: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let header = self.small(kind, schema, revision).ok_or(KeyError::Unopenable)?;
        open(&self.key, &header, &self.context(record), blob).map_err(|_| KeyError::Unopenable)
    }

    /// HMAC-SHA-256 under a key derived from the leaf for `label`: digests that die with the leaf.
    pub fn hmac(&self, label: &str, parts: &[&[u8]]) -> [u8; 32] {
        hmac_sha256(derive_key(&self.key, &[label.as_bytes(), b"\0"]).expose(), parts)
    }

    /// Seals one chunk of an object. Every chunk but the last holds [`CHUNK_BYTES`].
    ///
    /// # Errors
    /// [`KeyError::Unsealable`] for a chunk of another length.
    pub fn seal_chunk(
        &self,
        record: [u8; 16],
        chunk_no: u32,
        last: bool,
        plain: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, KeyError> {
        if plain.len() > CHUNK_BYTES || (!last && plain.len() != CHUNK_BYTES) {
            return Err(KeyError::Unsealable);
        }
        seal(&self.key, &self.chunk(chunk_no, last), &self.context(record), plain, entropy)
            .map_err(|_| KeyError::Unsealable)
    }

    /// Becomes an opener of the object's chunks, for one request.
    ///
    /// # Errors
    /// [`NotCovered`] as for a lead, the name excepted.
    pub fn release(
        self,
        receipt: &CommittedReceipt,
        now: Timestamp,
    ) -> Result<ObjectOpener, NotCovered> {
        self.owner.check(receipt, now)?;
        Ok(ObjectOpener(self))
    }

    /// Opens one chunk under a receipt; [`SystemBox::release`] for more than one.
    ///
    /// # Errors
    /// [`KeyError::Unopenable`] as well where the receipt does not cover it.
    pub fn open_chunk(
        &self,
        (receipt, now): (&CommittedReceipt, Timestamp),
        record: [u8; 16],
        chunk_no: u32,
        last: bool,
        blob: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.owner.check(receipt, now).map_err(|_| KeyError::Unopenable)?;
        self.chunk_of(record, chunk_no, last, blob)
    }

    fn chunk_of(
        &self,
        record: [u8; 16],
        chunk_no: u32,
        last: bool,
        blob: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        open(&self.key, &self.chunk(chunk_no, last), &self.context(record), blob)
            .map_err(|_| KeyError::Unopenable)
    }

    fn small(&self, kind: Kind, schema: u16, revision: u32) -> Option<Header> {
        let fits = matches!(kind, Kind::Small | Kind::Instruction);
        let (tree, leaf) = (self.at.tree, self.at.leaf);
        fits.then_some(Header { kind, schema, compartment: 0, revision, tree, leaf })
    }

    fn chunk(&self, chunk_no: u32, last: bool) -> Header {
        Header {
            kind: Kind::Chunk,
            schema: CHUNK_SCHEMA,
            compartment: u16::from(last),
            revision: chunk_no,
            tree: self.at.tree,
            leaf: self.at.leaf,
        }
    }

    /// The dataset id of the system tree is the tenant's.
    fn context(&self, record: [u8; 16]) -> Context {
        Context { tenant: self.owner.tenant.bytes(), dataset: self.owner.dataset, record }
    }
}

/// Opens the chunks of one object; lives at most one request.
pub struct ObjectOpener(SystemBox);

impl ObjectOpener {
    /// Opens chunk `chunk_no`; `last` must be what it was sealed with.
    ///
    /// # Errors
    /// [`KeyError::Unopenable`] for a missing, swapped or changed chunk.
    pub fn open_chunk(
        &self,
        record: [u8; 16],
        chunk_no: u32,
        last: bool,
        blob: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.0.chunk_of(record, chunk_no, last, blob)
    }
}

opaque!(SystemBox, ObjectOpener);
