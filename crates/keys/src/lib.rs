//! The keyring: tree state, pages, directory, epochs. Seeds and leaf keys never leave it.

mod assurance;
mod blobs;
mod control;
mod directory;
#[cfg(test)]
mod directory_tests;
mod envelope;
mod error;
mod mirror;
mod page;
mod root;
mod services;
mod slot;
mod slot_record;
mod tree;
mod wire;

pub use assurance::Assurance;
pub use blobs::{
    BlobsError, Decided, Decision, DirectoryRow, FirstRows, HeadRow, HopRow, HwmRow, KekRow,
    KekState, KeyBlobs, NodeEpochRow, PageRow, TenantRows, Unreferenced,
};
pub use control::{ControlUnavailable, EpochControl};
pub use error::{KeyError, NotCovered};
pub use mirror::{Mirror, MirrorError};
pub use root::{RootError, RootKey, WrapContext, WrapPurpose};
pub use services::{FAIL_POINTS, FailPoint, KeyServices};
pub use slot::{Slot, SlotError};
pub use slot_record::{SEALED_KEY_BYTES, SlotRecord, SlotRecordError};
