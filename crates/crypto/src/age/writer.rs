//! Encrypts a stream to one recipient.

use leadvault_domain::Entropy;
use zeroize::Zeroizing;

use super::{AgeError, CHUNK_BYTES, NONCE_BYTES, Recipient, chunk_nonce, header, payload_key};
use crate::hazmat::chacha::ChaCha;

/// Turns plaintext, as it comes, into the payload of an age file. Holds at most one chunk.
pub struct Encryptor {
    key: ChaCha,
    counter: u64,
    /// Plaintext of the chunk being filled: only when more comes is it known not to be the last.
    chunk: Zeroizing<Vec<u8>>,
}

impl Encryptor {
    /// Starts a file and returns its first bytes: header and payload nonce.
    ///
    /// # Errors
    /// [`AgeError::Entropy`] without randomness, [`AgeError::Recipient`] for a key of low order.
    pub fn new(recipient: &Recipient, entropy: &dyn Entropy) -> Result<(Vec<u8>, Self), AgeError> {
        let (file_key, header) = header::make(recipient, entropy)?;
        let mut nonce = [0; NONCE_BYTES];
        entropy.fill(&mut nonce)?;
        let mut out = header.into_bytes();
        out.extend_from_slice(&nonce);
        let chunk = Zeroizing::new(Vec::with_capacity(CHUNK_BYTES));
        Ok((out, Self { key: ChaCha::new(&payload_key(&file_key, &nonce)), counter: 0, chunk }))
    }

    /// Takes plaintext and appends the chunks that are complete to `out`.
    pub fn push(&mut self, mut plain: &[u8], out: &mut Vec<u8>) {
        while !plain.is_empty() {
            if self.chunk.len() == CHUNK_BYTES {
                self.seal_chunk(false, out);
            }
            let (now, later) = plain.split_at(plain.len().min(CHUNK_BYTES - self.chunk.len()));
            self.chunk.extend_from_slice(now);
            plain = later;
        }
    }

    /// Appends the last chunk. A file that is not finished does not open to its end.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.seal_chunk(true, out);
    }

    fn seal_chunk(&mut self, last: bool, out: &mut Vec<u8>) {
        let nonce = chunk_nonce(self.counter, last);
        let tag = self.key.seal_in_place(nonce, &mut self.chunk);
        out.extend_from_slice(&self.chunk);
        out.extend_from_slice(&tag);
        self.chunk.clear();
        self.counter += 1;
    }
}

impl std::fmt::Debug for Encryptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encryptor").field("counter", &self.counter).finish_non_exhaustive()
    }
}
