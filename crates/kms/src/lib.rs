//! Where root keys and erasable slots live. Implements the traits of `keys`.
//!
//! This build has the file provider: a root key in a file of mode 0600, slots in files that are
//! overwritten in place, and a mirror of the key store in a directory.

mod file_root;
mod file_slots;
mod filesystem;

pub use file_root::FileRoot;
pub use file_slots::FileSlots;
