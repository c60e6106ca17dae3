//! `Ledger-Receipt`: the operator's signed statement that an entry was committed (protocols.md 2.3).
//!
//! ```text
//! statement(chunk) = "LV1-RCPT\0" ‖ SHA-256(origin) ‖ u64 first ‖ u32 n ‖ RFC 6962 root of the chunk
//! batch root       = RFC 6962 root of SHA-256(0x00 ‖ statement), in tenant_no order
//! v=1;i=…;f=…;n=…;r=…;p=…;b=…;q=…;s=<sig over "LV1-RCPT\0" ‖ u64 unix ms ‖ batch root>;t=<ms>
//! ```
//! The receipt does not tell the chunk's place in its batch. A verifier tries both sides at every step of
//! `q`, which has at most eight: whichever order leads to the batch root shows the statement is in it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use leadvault_crypto::{VerifyingKey, sha256};

use crate::Hash;
use crate::batch::BATCH_OPS_MAX;
use crate::tree::{leaf_hash, node_hash, verify_inclusion};

/// First bytes of everything a receipt's signature is about.
const LABEL: &[u8] = b"LV1-RCPT\0";
/// Longest path in a chunk or a batch: both have at most 256 leaves.
const PATH_MAX: usize = 8;
/// Longest receipt: sixteen hashes of 43 characters, and the rest.
const TEXT_BYTES_MAX: usize = 2048;

/// Why a receipt does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Not in the form of a receipt.
    #[error("not in the form of a receipt")]
    Malformed,
    /// The leaf is not in the chunk.
    #[error("the leaf is not in the chunk")]
    NotInChunk,
    /// The chunk is not in the signed batch, or belongs to another log.
    #[error("the chunk is not in the signed batch")]
    NotInBatch,
    /// No known key signed it.
    #[error("no known key signed it")]
    BadSignature,
}

/// A parsed receipt that nobody has checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerReceipt {
    /// Index of the entry.
    pub index: u64,
    /// Index of the first entry of its chunk.
    pub first: u64,
    /// Entries in the chunk, 1 to 256.
    pub count: u32,
    /// Root of the chunk.
    pub chunk_root: Hash,
    /// From the leaf to the root of the chunk.
    pub chunk_path: Vec<Hash>,
    /// Root of the batch.
    pub batch_root: Hash,
    /// From the chunk's statement to the root of the batch.
    pub batch_path: Vec<Hash>,
    /// Over label, time and batch root.
    pub signature: [u8; 64],
    /// When it was signed, milliseconds since 1970.
    pub signed_at_ms: u64,
}

/// The length of a chunk as a statement carries it; `None` for none and for more than a batch.
pub(crate) fn chunk_count(entries: usize) -> Option<u32> {
    u32::try_from(entries).ok().filter(|_| (1..=BATCH_OPS_MAX).contains(&entries))
}

/// What the operator says of one chunk.
pub(crate) fn statement(origin: &str, first: u64, count: u32, chunk_root: &Hash) -> Vec<u8> {
    let log = sha256(&[origin.as_bytes()]);
    [LABEL, &log, &first.to_be_bytes(), &count.to_be_bytes(), chunk_root].concat()
}

/// What the signature of a batch is over.
pub(crate) fn signed_message(at_ms: u64, batch_root: &Hash) -> Vec<u8> {
    [LABEL, &at_ms.to_be_bytes(), batch_root].concat()
}

impl std::fmt::Display for LedgerReceipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = |hashes: &[Hash]| hashes.iter().map(b64).collect::<Vec<_>>().join(",");
        write!(f, "v=1;i={};f={};n={};", self.index, self.first, self.count)?;
        write!(f, "r={};p={};", b64(&self.chunk_root), path(&self.chunk_path))?;
        write!(f, "b={};q={};", b64(&self.batch_root), path(&self.batch_path))?;
        write!(f, "s={};t={}", URL_SAFE_NO_PAD.encode(self.signature), self.signed_at_ms)
    }
}

impl LedgerReceipt {
    /// Reads a receipt; nothing is checked but the form, of which there is one.
    ///
    /// # Errors
    /// [`ReceiptError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, ReceiptError> {
        Self::read(text).ok_or(ReceiptError::Malformed)
    }

    fn read(text: &str) -> Option<Self> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let mut members = text.split(';');
        let mut next = |name: &str| members.next()?.strip_prefix(name);
        if next("v=")? != "1" {
            return None;
        }
        let receipt = Self {
            index: next("i=")?.parse().ok()?,
            first: next("f=")?.parse().ok()?,
            count: next("n=")?.parse().ok()?,
            chunk_root: unb64(next("r=")?)?,
            chunk_path: read_path(next("p=")?)?,
            batch_root: unb64(next("b=")?)?,
            batch_path: read_path(next("q=")?)?,
            signature: unb64(next("s=")?)?,
            signed_at_ms: next("t=")?.parse().ok()?,
        };
        let inside = chunk_count(usize::try_from(receipt.count).ok()?).is_some()
            && receipt.index.checked_sub(receipt.first)? < u64::from(receipt.count)
            && receipt.first.checked_add(u64::from(receipt.count)).is_some();
        // One spelling each: leading zeros, signs and further members print differently.
        (inside && receipt.to_string() == text).then_some(receipt)
    }

    /// Checks that the operator acknowledged `leaf` as this entry of the log `origin`.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn verify(
        &self,
        origin: &str,
        leaf: &Hash,
        keys: &[VerifyingKey],
    ) -> Result<(), ReceiptError> {
        let place = self.index.checked_sub(self.first).ok_or(ReceiptError::Malformed)?;
        let count = u64::from(self.count);
        if !verify_inclusion(place, count, leaf, &self.chunk_path, &self.chunk_root) {
            return Err(ReceiptError::NotInChunk);
        }
        self.verify_chunk(origin, keys)
    }

    /// Checks what a receipt says of its chunk, without a leaf.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn verify_chunk(&self, origin: &str, keys: &[VerifyingKey]) -> Result<(), ReceiptError> {
        let statement = statement(origin, self.first, self.count, &self.chunk_root);
        if !leads_to(&leaf_hash(&statement), &self.batch_path, &self.batch_root) {
            return Err(ReceiptError::NotInBatch);
        }
        let message = signed_message(self.signed_at_ms, &self.batch_root);
        if !keys.iter().any(|key| key.verify(&message, &self.signature)) {
            return Err(ReceiptError::BadSignature);
        }
        Ok(())
    }
}

/// Whether some choice of sides leads from `leaf` along `path` to `root`.
fn leads_to(leaf: &Hash, path: &[Hash], root: &Hash) -> bool {
    if path.len() > PATH_MAX {
        return false;
    }
    let mut reached = vec![*leaf];
    for sibling in path {
        reached = reached
            .iter()
            .flat_map(|hash| [node_hash(hash, sibling), node_hash(sibling, hash)])
            .collect();
    }
    reached.contains(root)
}

fn b64(hash: &Hash) -> String {
    URL_SAFE_NO_PAD.encode(hash)
}

fn unb64<const N: usize>(text: &str) -> Option<[u8; N]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

fn read_path(text: &str) -> Option<Vec<Hash>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let hashes: Vec<Hash> = text.split(',').map(unb64).collect::<Option<_>>()?;
    (hashes.len() <= PATH_MAX).then_some(hashes)
}
