//! The use cases: the only place where decision, receipt, key and row meet. One file each.
//!
//! Read [`leads::reveal`] first: it is the story every other file varies. A call comes in with its
//! circumstances ([`Call`]); the gate decides and journals; keys open what the receipt covers; the answer
//! carries the place of its entry ([`Answer`]), a refusal too ([`Refusal`]).

pub mod api_keys;
pub mod changes;
pub mod close;
pub mod datasets;
pub mod explain;
pub mod export;
pub mod files;
pub mod import;
pub mod instructions;
pub mod leads;
pub mod log;
pub mod log_key;
mod nodes;
pub mod notices;
pub mod operations;
pub mod recover;
pub mod shred;
pub mod tenant_settings;
pub mod tenants;

mod call;
mod canonical;
mod cell;
mod control;
mod credential;
mod cursor;
mod denials;
mod disk_room;
mod error;
mod exit;
mod gate;
mod gauges;
mod idempotency;
mod instruction_body;
mod jobs;
mod lead_codec;
mod leaf_numbers;
mod mask;
mod operator;
mod publisher;
mod recalled;
mod restore;
mod room;
mod span;
mod suppression;
mod system;
mod upkeep;

pub use call::{Act, Answer, Call, Outcome, Stamp};
pub use cell::{Appender, Cell, CellParts, Readiness};
pub use credential::{Credential, Proof, make_operator_key, operator_key_hash};
pub use error::{Fault, Pointed, Question, Refusal};
pub use instruction_body::InstructionBody;
pub use leadvault_policy::Named;
pub use leadvault_store::PoolGauge;
pub use recover::{StartError, start, start_restored, start_with};
pub use restore::{Restored, carry_suppressions};
pub use span::Span;

/// SHA-256 over method, path, what it acts under, and body: what a request is recognised by.
pub fn fingerprint(parts: &[&[u8]]) -> [u8; 32] {
    leadvault_crypto::sha256(parts)
}
