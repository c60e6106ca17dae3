//! Use cases of the vault on a whole cell, whose clock and steps the tests hold.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails where it is surprised")]

mod export;
mod export_kit;
mod files;
mod import;
mod upkeep;
mod world;
