//! age v1 files for X25519 recipients (C2SP age): written for exports and escrow, read to check them.
//!
//! ```text
//! header  = "age-encryption.org/v1" LF  { "-> " type args LF base64-body LF }  "--- " base64(mac) LF
//! payload = nonce[16] { ChaCha20-Poly1305 of 64 KiB, nonce = u88 counter || u8 last }
//! ```
//! Streaming in constant memory, one chunk at a time. age gives no sender authentication: what must
//! be attributable is signed inside. Not here: passphrases, SSH keys, plugins, armour.

mod header;
mod keys;
mod reader;
mod writer;

use leadvault_domain::EntropyFailed;

pub use keys::{Identity, KeyTextError, Recipient};
pub use reader::Decryptor;
pub use writer::Encryptor;

use crate::SecretKey;
use crate::hazmat::hkdf::extract_and_expand;

/// Plaintext bytes of a chunk.
const CHUNK_BYTES: usize = 64 * 1024;
/// Length of a file key.
const FILE_KEY_BYTES: usize = 16;
/// Length of the payload's nonce.
const NONCE_BYTES: usize = 16;

/// A file was not written or not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AgeError {
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyFailed),
    /// The recipient's key is a point of low order.
    #[error("recipient key is not usable")]
    Recipient,
    /// Not a header of age v1, or longer than any header needs to be.
    #[error("not an age v1 header")]
    Header,
    /// No stanza opens with this identity.
    #[error("file is for other recipients")]
    NoMatch,
    /// The header was altered.
    #[error("header authentication failed")]
    Mac,
    /// The payload was altered or cut off.
    #[error("payload is altered or incomplete")]
    Payload,
}

/// The key of the payload's chunks.
fn payload_key(file_key: &[u8; FILE_KEY_BYTES], nonce: &[u8; NONCE_BYTES]) -> SecretKey {
    extract_and_expand(nonce, file_key, b"payload")
}

/// Nonce of chunk `counter`.
fn chunk_nonce(counter: u64, last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&counter.to_be_bytes());
    nonce[11] = u8::from(last);
    nonce
}
