//! The keyring: tree state, pages, directory, epochs. Seeds and leaf keys never leave it.
//!
//! ```text
//! TenantKeys ── ring() ──► Keyring ── locate(leaf) ──► Located ── sealer() ──► Sealer      seals, asks nobody
//!     │                                                   └────── open(receipt) ─► Opener  opens what the entry names
//!     └─ advance(change): look → apply → decide → mirror → control → FORGET → confirm → sweep
//! ```
//! Read in this order: [`KeyBlobs`] (rows, and the one compare-and-set), [`Slot`] and [`SlotRecord`] (what is
//! forgotten), `view` (where a tenant stands, and the refusals of a start), `advance` and `settle` (the
//! steps of protocols.md 1.1), `located` (no log, no key).
//!
//! Invariants:
//! - Nothing is derived from a key that lives longer: roots, page keys, epoch keys and tag keys are random.
//! - One blob and one key are candidates for every opening; nothing is tried.
//! - An epoch is decided by one compare-and-set and forgotten by the slot; a hop leads from one to the
//!   other, so whoever finds the slot behind finishes (docs/adr/0001-epoch-model.md).
//! - Plaintext of a lead leaves only through an [`Opener`], and an opener needs a receipt that names it.
//!
//! What is not here: SQL, files, providers (`store` and `kms` implement the traits), log entries, policy.

mod advance;
mod assurance;
mod blobs;
mod change;
#[cfg(test)]
mod change_tests;
mod control;
mod directory;
#[cfg(test)]
mod directory_tests;
mod envelope;
mod error;
mod kek;
mod keyring;
mod leaves;
mod located;
mod mirror;
mod page;
mod restore;
mod root;
mod services;
mod settle;
mod slot;
mod slot_record;
mod sweep;
mod system;
mod tenant_keys;
mod tree;
mod view;
mod wire;

pub use advance::Advanced;
pub use assurance::Assurance;
pub use blobs::{
    BlobsError, Decided, Decision, DirectoryRow, FirstRows, HeadRow, HopRow, HwmRow, KekRow,
    KekState, KeyBlobs, NodeEpochRow, PageRow, TenantRows, Unreferenced,
};
pub use change::Change;
pub use control::{ControlUnavailable, EpochControl};
pub use error::{KeyError, NotCovered};
pub use keyring::Keyring;
pub use leaves::LEAF_BLOCK;
pub use located::{Located, Opener, Sealer};
pub use mirror::{Mirror, MirrorError};
pub use restore::restore_from_mirror;
pub use root::{RootError, RootKey, WrapContext, WrapPurpose};
pub use services::{FAIL_POINTS, FailPoint, KeyServices};
pub use slot::{Slot, SlotError};
pub use slot_record::{SEALED_KEY_BYTES, SlotRecord, SlotRecordError};
pub use sweep::{OpenerIter, Sweep};
pub use system::{CHUNK_BYTES, ObjectOpener, SEALED_CHUNK_BYTES, SystemBox};
pub use tenant_keys::{TenantKeys, destroy_tenant, sweep_unborn};
