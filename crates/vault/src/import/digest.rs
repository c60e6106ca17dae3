//! A digest of the bytes already taken, that can go on after a restart: a chain over blocks of 4 KiB.
//!
//! `chain' = SHA-256(chain ‖ block)`; the cursor holds the chain and the block that is not full yet, sealed.

use leadvault_crypto::sha256;
use zeroize::Zeroizing;

const BLOCK_BYTES: usize = 4096;

/// The digest of a prefix of the file.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Prefix {
    chain: [u8; 32],
    open: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Prefix({} open bytes)", self.open.len())
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self { chain: [0; 32], open: Zeroizing::new(Vec::with_capacity(BLOCK_BYTES)) }
    }
}

impl Prefix {
    /// Takes more bytes.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = BLOCK_BYTES.saturating_sub(self.open.len()).min(bytes.len());
            let (now, later) = bytes.split_at(room);
            self.open.extend_from_slice(now);
            bytes = later;
            if self.open.len() == BLOCK_BYTES {
                self.chain = sha256(&[&self.chain, &self.open]);
                self.open.clear();
            }
        }
    }

    /// As the cursor keeps it.
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([self.chain.as_slice(), &self.open].concat())
    }

    /// From a cursor.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (chain, open) = bytes.split_at_checked(32)?;
        let open = Zeroizing::new(open.to_vec());
        Some(Self { chain: chain.try_into().ok()?, open })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn however_it_is_cut_and_kept_the_digest_is_the_same(
            bytes in proptest::collection::vec(any::<u8>(), 0..20_000),
            cut in 0_usize..20_000,
        ) {
            let mut whole = Prefix::default();
            whole.push(&bytes);
            let (a, b) = bytes.split_at(cut.min(bytes.len()));
            let mut first = Prefix::default();
            first.push(a);
            let mut resumed = Prefix::from_bytes(&first.to_bytes()).unwrap();
            resumed.push(b);
            prop_assert_eq!(&resumed, &whole);
            if let Some((last, rest)) = bytes.split_last() {
                let mut other = Prefix::default();
                other.push(rest);
                other.push(&[last ^ 1]);
                prop_assert_ne!(&other, &whole);
            }
        }
    }
}
