//! The keys of a tenant over a key store, slot, mirror and data store in memory.

mod advance;
mod crash;
mod journal;
mod leaves;
mod nodes;
mod recover;
mod release;
mod restore;
mod rows;
mod shred;
mod world;
