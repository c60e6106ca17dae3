//! Where root keys and erasable slots live: the providers behind the traits of `leadvault_keys`.
//!
//! - [`FileRoot`]: a root key in a file. Caps every erasure at level `E1-local`.
//! - [`FileSlots`]: one small file for each tenant, two copies, overwritten in place.
//! - [`DirMirror`]: a second copy of the key store in a directory on another disk.
//!
//! No key policy, no epoch logic and no SQL: which record may follow which is decided in `keys`; here it
//! is only written, and a lower epoch refused.

mod dir_mirror;
mod disk;
mod file_root;
mod file_slots;
mod filesystem;
mod mirror_set;
mod slot_copy;

pub use dir_mirror::DirMirror;
pub use file_root::FileRoot;
pub use file_slots::{FileSlots, SLOT_FAIL_POINTS};
