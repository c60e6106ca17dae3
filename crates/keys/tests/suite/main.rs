//! The keys of a tenant over a key store, slot, mirror and data store in memory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod advance;
mod crash;
mod journal;
mod leaves;
mod nodes;
mod providers;
mod recover;
mod release;
mod restore;
mod rows;
mod shred;
mod world;
