//! An entry: the bytes of one leaf, its hash, and what a receipt for it covers.
//!
//! Invariant: the bytes are the RFC 8785 form of an object that [`crate::EntryDraft`] checked, or they came
//! back from a published bundle; in the second case, and for every denial, the entry covers nothing.

use std::sync::Arc;

use leadvault_crypto::LeadRef;
use leadvault_domain::{LeafAddress, LeafRange, Timestamp};

use crate::Hash;
use crate::tree::leaf_hash;
use crate::view::EntryView;

/// Longest entry: bundles prefix each with its length in 16 bits (C2SP tlog-tiles).
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// Why a draft is no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// A member does not have the form of the schema.
    #[error("member {0} does not have the form of the schema")]
    Member(&'static str),
    /// An allowed operation on tenant data names no purpose.
    #[error("an allowed operation on data names no purpose")]
    MissingPurpose,
    /// An allowed operation on tenant data names no instruction.
    #[error("an allowed operation on data names no instruction")]
    MissingInstruction,
    /// Operator staff or a subprocessor touched data without a grant or a legal request.
    #[error("staff touched data without a grant or a legal request")]
    MissingGrant,
    /// Operator staff or a subprocessor touched data from a place that is not named.
    #[error("staff touched data from a place that is not named")]
    MissingCountry,
    /// A legal process without its id.
    #[error("a legal process without its id")]
    MissingLegalId,
    /// A completed erasure without epoch and state.
    #[error("a completed erasure without epoch and state")]
    MissingEpoch,
    /// Leaf ranges are covered that the entry does not commit to.
    #[error("ranges are covered without the digest of their list")]
    RangesWithoutDigest,
    /// More bytes than a bundle can hold.
    #[error("the entry has {0} bytes")]
    TooLarge(usize),
    /// The object could not be written in RFC 8785 form.
    #[error("the entry could not be written in canonical form")]
    NotCanonical,
}

impl EntryError {
    /// The stable code of the error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Member(_) => "entry_member",
            Self::MissingPurpose => "entry_purpose",
            Self::MissingInstruction => "entry_instruction",
            Self::MissingGrant => "entry_grant",
            Self::MissingCountry => "entry_country",
            Self::MissingLegalId => "entry_legal_id",
            Self::MissingEpoch => "entry_epoch",
            Self::RangesWithoutDigest => "entry_ranges",
            Self::TooLarge(_) => "entry_too_large",
            Self::NotCanonical => "entry_not_canonical",
        }
    }
}

/// What a receipt for an entry opens: the leads it names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Covers {
    pub(crate) refs: Vec<LeadRef>,
    pub(crate) ranges: Vec<LeafRange>,
}

impl Covers {
    pub(crate) fn names(&self, reference: &LeadRef) -> bool {
        self.refs.contains(reference)
    }

    pub(crate) fn contains(&self, at: LeafAddress) -> bool {
        self.ranges.iter().any(|range| range.contains(at))
    }
}

/// One leaf of a log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Entry(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    bytes: Vec<u8>,
    leaf_hash: Hash,
    time: Timestamp,
    covers: Covers,
}

impl Entry {
    pub(crate) fn new(bytes: Vec<u8>, time: Timestamp, covers: Covers) -> Result<Self, EntryError> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(EntryError::TooLarge(bytes.len()));
        }
        let leaf_hash = leaf_hash(&bytes);
        Ok(Self(Arc::new(Parts { bytes, leaf_hash, time, covers })))
    }

    /// An entry that comes back from a published bundle (protocols.md 2.4). It covers nothing; where its
    /// shape is unknown its time is 0.
    ///
    /// # Errors
    /// [`EntryError::TooLarge`].
    pub fn from_bundle(bytes: Vec<u8>) -> Result<Self, EntryError> {
        let time = EntryView::parse(&bytes).map_or(Timestamp::default(), |view| view.time());
        Self::new(bytes, time, Covers::default())
    }

    /// The bytes of the leaf.
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// SHA-256(0x00 ‖ bytes).
    pub fn leaf_hash(&self) -> Hash {
        self.0.leaf_hash
    }

    /// The time the entry says, of the node's clock.
    pub fn time(&self) -> Timestamp {
        self.0.time
    }

    /// The leads a receipt for this entry will open by reference. Empty for denials.
    pub fn covered_refs(&self) -> &[LeadRef] {
        &self.0.covers.refs
    }

    pub(crate) fn covers(&self) -> &Covers {
        &self.0.covers
    }
}
