//! The Merkle log: entries, journal, receipts, tree, proofs, checkpoints, offline verifier.
//!
//! What goes in: an [`EntryDraft`] becomes an [`Entry`] (RFC 8785 bytes), the [`Journal`] commits it through
//! one [`AppendChunks`] and hands out a [`CommittedReceipt`], without which `keys` opens nothing.
//! What comes out: immutable files in the format of C2SP tlog-tiles ([`publish`]), signed checkpoints
//! ([`checkpoint`]), proofs ([`proof`]) and a verifier that needs nothing but those files ([`verify_log`]).
//!
//! What is not here: SQL, files being written, HTTP. The tree treats an entry as bytes; only [`EntryDraft`],
//! [`EntryView`] and the verifier's count of unknown shapes know what an entry says.

mod actor;
mod batch;
mod chunk_proof;
mod committed;
mod deferred;
mod dirty;
mod draft;
mod entity;
mod entry;
mod form;
mod journal;
mod lane;
mod log_keys;
mod operation;
mod shape;
mod source;
mod view;
mod words;

pub mod checkpoint;
pub mod note;
pub mod proof;
pub mod publish;
pub mod receipt;
pub mod tile;
pub mod tree;
pub mod vectors;
pub mod verify;
pub mod vkey;

/// A SHA-256 digest: leaf hash, node hash or root.
pub type Hash = [u8; 32];

pub use actor::{Actor, InstructionStamp};
pub use batch::{
    AppendChunks, AppendError, Appended, BATCH_BYTES_MAX, BATCH_OPS_MAX, Batch, CommittedChunk,
    Generations, Op, OpResult,
};
pub use checkpoint::Checkpoint;
pub use chunk_proof::reissue_receipt;
pub use committed::CommittedReceipt;
pub use deferred::{Deferred, verify_carried_over};
pub use dirty::DirtyLogs;
pub use draft::EntryDraft;
pub use entity::EntityId;
pub use entry::{ENTRY_BYTES_MAX, Entry, EntryError};
pub use journal::{Journal, JournalError};
pub use log_keys::{LogKeys, LogKeysError, OPERATOR_LOG};
pub use operation::LogOperation;
pub use receipt::LedgerReceipt;
pub use source::{DirSource, LogSource, SourceError};
pub use verify::{Failure, Since, Verdict, verify_log};
pub use view::EntryView;
pub use vkey::Vkey;
pub use words::{ActorKind, Auth, EntryOutcome, Obligation, ResourceType};
