//! Fixed-width big-endian reading and writing of secret payloads. The writer wipes its buffer.

use leadvault_crypto::SecretKey;
use zeroize::Zeroizing;

use crate::KeyError;

/// Writes into a buffer that is wiped. Growing it copies, so callers state the length they need.
pub(crate) struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(bytes)))
    }

    pub(crate) fn u8(&mut self, n: u8) {
        self.0.push(n);
    }

    pub(crate) fn u32(&mut self, n: u32) {
        self.bytes(&n.to_be_bytes());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// A count of things; more than 2^32 of them do not fit in memory here.
    pub(crate) fn count(&mut self, n: usize) -> Result<(), KeyError> {
        self.u32(u32::try_from(n).map_err(|_| KeyError::DirectoryTooLarge)?);
        Ok(())
    }

    pub(crate) fn finish(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

/// Reads what [`Writer`] wrote; every shortage is [`KeyError::Malformed`].
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], KeyError> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(KeyError::Malformed)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, KeyError> {
        self.array::<1>().map(|[n]| n)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, KeyError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn key(&mut self) -> Result<SecretKey, KeyError> {
        self.array().map(SecretKey::from_bytes)
    }

    /// A count of things of at least `each` bytes; one that cannot be there is refused before allocating.
    pub(crate) fn count(&mut self, each: usize) -> Result<usize, KeyError> {
        let n = usize::try_from(self.u32()?).map_err(|_| KeyError::Malformed)?;
        if n.checked_mul(each).is_none_or(|bytes| bytes > self.0.len()) {
            return Err(KeyError::Malformed);
        }
        Ok(n)
    }

    pub(crate) fn finish(self) -> Result<(), KeyError> {
        if self.0.is_empty() { Ok(()) } else { Err(KeyError::Malformed) }
    }
}
