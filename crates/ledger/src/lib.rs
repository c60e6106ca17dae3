//! The Merkle log: entries, journal, receipts, tree, proofs, checkpoints, offline verifier.
