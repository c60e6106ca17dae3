//! Decrypts a stream for one identity.

use zeroize::Zeroizing;

use super::{AgeError, CHUNK_BYTES, Identity, NONCE_BYTES, chunk_nonce, header, payload_key};
use crate::hazmat::aead::TAG_BYTES;
use crate::hazmat::chacha::ChaCha;

/// Longest header that is read: room for a hundred recipients, so that garbage ends early.
const HEADER_BYTES_MAX: usize = 16 * 1024;
const SEALED_CHUNK_BYTES: usize = CHUNK_BYTES + TAG_BYTES;

/// Turns an age file, as it comes, into plaintext. Holds a header or one chunk.
///
/// Each chunk is authentic when it is given out; that nothing is missing behind it is known only when
/// [`Decryptor::finish`] succeeds.
pub struct Decryptor {
    identity: Identity,
    payload: Option<ChaCha>,
    counter: u64,
    /// Header bytes, then the sealed chunk being filled.
    held: Zeroizing<Vec<u8>>,
}

impl Decryptor {
    /// Waits for a file that `identity` opens.
    pub fn new(identity: Identity) -> Self {
        Self { identity, payload: None, counter: 0, held: Zeroizing::default() }
    }

    /// Takes bytes of the file and appends the plaintext that is complete to `out`.
    ///
    /// # Errors
    /// [`AgeError`]; the stream is of no use afterwards.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), AgeError> {
        if self.payload.is_none() {
            self.held.extend_from_slice(bytes);
            let Some(rest) = self.open_header()? else { return Ok(()) };
            return self.push(&rest, out);
        }
        while !bytes.is_empty() {
            if self.held.len() == SEALED_CHUNK_BYTES {
                self.open_chunk(false, out)?;
            }
            let room = SEALED_CHUNK_BYTES - self.held.len();
            let (now, later) = bytes.split_at(bytes.len().min(room));
            self.held.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Appends the last chunk's plaintext.
    ///
    /// # Errors
    /// [`AgeError::Header`] or [`AgeError::Payload`] where the file is cut off or altered.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), AgeError> {
        // Only a file without content may end in an empty chunk.
        if self.held.len() == TAG_BYTES && self.counter > 0 {
            return Err(AgeError::Payload);
        }
        self.open_chunk(true, out)
    }

    /// Reads header and nonce once they are there, and gives back what came behind them.
    fn open_header(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, AgeError> {
        let Some(length) = header::length(&self.held) else {
            let too_long = self.held.len() > HEADER_BYTES_MAX;
            return if too_long { Err(AgeError::Header) } else { Ok(None) };
        };
        let (head, rest) = self.held.split_at_checked(length).ok_or(AgeError::Header)?;
        if head.len() > HEADER_BYTES_MAX {
            return Err(AgeError::Header);
        }
        let Some((nonce, rest)) = rest.split_first_chunk::<NONCE_BYTES>() else { return Ok(None) };
        let file_key = header::open(head, &self.identity)?;
        let rest = Zeroizing::new(rest.to_vec());
        self.payload = Some(ChaCha::new(&payload_key(&file_key, nonce)));
        self.held.clear();
        Ok(Some(rest))
    }

    fn open_chunk(&mut self, last: bool, out: &mut Vec<u8>) -> Result<(), AgeError> {
        let nonce = chunk_nonce(self.counter, last);
        let key = self.payload.as_ref().ok_or(AgeError::Header)?;
        let plain = key.open_in_place(nonce, &mut self.held).map_err(|_| AgeError::Payload)?;
        out.extend_from_slice(plain);
        self.held.clear();
        self.counter += 1;
        Ok(())
    }
}

impl std::fmt::Debug for Decryptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decryptor").field("counter", &self.counter).finish_non_exhaustive()
    }
}
