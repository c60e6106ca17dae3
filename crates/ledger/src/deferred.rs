//! The end of an embargo or gag: an entry of the operator log, proven into the tenant's own.
//!
//! The result differs from the operator log's leaf in nothing but the member `deferred`
//! (instructions.md 2.7). It covers nothing: what it tells of is long over.

use leadvault_domain::Timestamp;

use crate::entry::{Covers, Entry, EntryError};
use crate::shape::{DeferredShape, Shape};
use crate::view::EntryView;
use crate::{Checkpoint, Hash};

/// Where the leaf stood all along.
#[derive(Debug, Clone)]
pub struct Deferred {
    /// When the embargo ended.
    pub until: Timestamp,
    /// Its index in the operator log.
    pub index: u64,
    /// Audit path from the leaf to the root of `checkpoint`.
    pub path: Vec<Hash>,
    /// Signed note of the operator log.
    pub checkpoint: String,
}

impl Deferred {
    /// The entry for the tenant's log.
    ///
    /// # Errors
    /// [`EntryError::NotCanonical`] where `leaf` has no known shape or is deferred already;
    /// [`EntryError::Member`] where the proof does not fit the schema.
    pub fn carry_over(&self, leaf: &[u8]) -> Result<Entry, EntryError> {
        let time = EntryView::parse(leaf).ok_or(EntryError::NotCanonical)?.time();
        let mut shape: Shape =
            serde_json::from_slice(leaf).map_err(|_| EntryError::NotCanonical)?;
        if shape.deferred.is_some() {
            return Err(EntryError::NotCanonical);
        }
        shape.deferred = Some(DeferredShape {
            until: self.until.rfc3339(),
            index: self.index,
            path: self.path.iter().map(hex::encode).collect(),
            checkpoint: self.checkpoint.clone(),
        });
        shape.check()?;
        let bytes =
            serde_json_canonicalizer::to_vec(&shape).map_err(|_| EntryError::NotCanonical)?;
        Entry::new(bytes, time, Covers::default())
    }
}

/// The leaf of the operator log inside an entry that was carried over, after checking that its path leads
/// to `checkpoint`, whose signature the caller has checked. `None` where it is not deferred or does not
/// lead there.
pub fn verify_carried_over(entry: &[u8], checkpoint: &Checkpoint) -> Option<Vec<u8>> {
    EntryView::parse(entry)?;
    let mut shape: Shape = serde_json::from_slice(entry).ok()?;
    let deferred = shape.deferred.take()?;
    let leaf = serde_json_canonicalizer::to_vec(&shape).ok()?;
    let path: Option<Vec<Hash>> =
        deferred.path.iter().map(|text| hex::decode(text).ok()?.try_into().ok()).collect();
    let holds = crate::tree::verify_inclusion(
        deferred.index,
        checkpoint.size,
        &crate::tree::leaf_hash(&leaf),
        &path?,
        &checkpoint.root,
    );
    holds.then_some(leaf)
}
