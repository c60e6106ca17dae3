//! RFC 6962 hashing: leaves, nodes, roots, audit paths, and the verifiers of both proofs.
//!
//! Pure functions over leaf hashes. Leaf and node inputs start with different bytes, so no leaf can be
//! taken for a node.

mod frontier;
mod path;

use leadvault_crypto::sha256;

use crate::Hash;

pub use frontier::{Frontier, FrontierError};
pub use path::{
    consistency, consistency_ranges, inclusion, inclusion_ranges, verify_consistency,
    verify_inclusion,
};

/// SHA-256(0x00 ‖ entry).
pub fn leaf_hash(entry: &[u8]) -> Hash {
    sha256(&[&[0x00], entry])
}

/// SHA-256(0x01 ‖ left ‖ right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[0x01], left, right])
}

/// Root of the empty tree: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    sha256(&[])
}

/// Root over leaf hashes (RFC 6962 2.1, `MTH`).
pub fn root(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::default();
    for leaf in leaves {
        frontier.push(*leaf);
    }
    frontier.root()
}

/// Largest power of two below `n`, for `n` > 1.
pub(crate) fn split(n: u64) -> u64 {
    1 << (u64::BITS - 1 - (n - 1).leading_zeros())
}
