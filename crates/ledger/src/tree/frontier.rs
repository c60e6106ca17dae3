//! The right edge of a tree: the roots of its perfect subtrees, largest first. Enough to append and to
//! compute the root, and nothing else is kept between builds.
//!
//! Stored form: u64 size, big-endian, then the roots, 32 bytes each; as many as the size has one-bits.

use super::{empty_root, node_hash};
use crate::Hash;

/// Bytes that are not a frontier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a frontier of a tree")]
pub struct FrontierError;

/// The compact form of a tree of `size` leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    roots: Vec<Hash>,
}

impl Frontier {
    /// Appends a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut carried = leaf;
        for _ in 0..self.size.trailing_ones() {
            let Some(left) = self.roots.pop() else { break };
            carried = node_hash(&left, &carried);
        }
        self.roots.push(carried);
        self.size += 1;
    }

    /// Leaves so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Root of the tree.
    pub fn root(&self) -> Hash {
        let mut roots = self.roots.iter().rev();
        let Some(last) = roots.next() else { return empty_root() };
        roots.fold(*last, |right, left| node_hash(left, &right))
    }

    /// The stored form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.size.to_be_bytes().to_vec();
        bytes.extend(self.roots.iter().flatten());
        bytes
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`FrontierError`] where the length does not fit the size.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrontierError> {
        let (size, rest) = bytes.split_first_chunk::<8>().ok_or(FrontierError)?;
        let size = u64::from_be_bytes(*size);
        let (roots, over) = rest.as_chunks::<32>();
        if !over.is_empty() || u32::try_from(roots.len()) != Ok(size.count_ones()) {
            return Err(FrontierError);
        }
        Ok(Self { size, roots: roots.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tree::leaf_hash;

    proptest! {
        #[test]
        fn a_stored_frontier_reads_back_and_grows_alike(n in 0_u32..600, more in 0_u32..40) {
            let mut frontier = Frontier::default();
            for i in 0..n {
                frontier.push(leaf_hash(&i.to_be_bytes()));
            }
            let mut read = Frontier::from_bytes(&frontier.to_bytes()).unwrap();
            prop_assert_eq!(&read, &frontier);
            for i in 0..more {
                frontier.push(leaf_hash(&i.to_be_bytes()));
                read.push(leaf_hash(&i.to_be_bytes()));
            }
            prop_assert_eq!(read.root(), frontier.root());
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(frontier) = Frontier::from_bytes(&bytes) {
                prop_assert_eq!(frontier.to_bytes(), bytes);
            }
        }
    }
}
