//! The keyring: tree state, pages, directory, epochs. Seeds and leaf keys never leave it.

mod assurance;
mod blobs;
mod change;
mod control;
mod directory;
#[cfg(test)]
mod directory_tests;
mod envelope;
mod error;
mod keyring;
mod located;
mod mirror;
mod page;
mod root;
mod services;
mod slot;
mod slot_record;
mod sweep;
mod system;
mod tree;
mod wire;

pub use assurance::Assurance;
pub use blobs::{
    BlobsError, Decided, Decision, DirectoryRow, FirstRows, HeadRow, HopRow, HwmRow, KekRow,
    KekState, KeyBlobs, NodeEpochRow, PageRow, TenantRows, Unreferenced,
};
pub use change::Change;
pub use control::{ControlUnavailable, EpochControl};
pub use error::{KeyError, NotCovered};
pub use keyring::Keyring;
pub use located::{Located, Opener, Sealer};
pub use mirror::{Mirror, MirrorError};
pub use root::{RootError, RootKey, WrapContext, WrapPurpose};
pub use services::{FAIL_POINTS, FailPoint, KeyServices};
pub use slot::{Slot, SlotError};
pub use slot_record::{SEALED_KEY_BYTES, SlotRecord, SlotRecordError};
pub use sweep::{OpenerIter, Sweep};
pub use system::{CHUNK_BYTES, ObjectOpener, SEALED_CHUNK_BYTES, SystemBox};
