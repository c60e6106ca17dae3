//! The import as a job: opened, fed with bytes, stored slice by slice, followed, resumed where it was cut off.
//!
//! ```text
//! body ─ feed: Reader ─► portions of rows ─ press (worker threads): parse, tags, seal ─► slices, in order
//!        ─ storing: who is there already? ─► one commit per slice:
//!          new leads + changed leads + refused rows + progress + log entry
//! ```
//! Invariants: a slice is stored exactly once, because its progress moves in the same commit; nothing is
//! spooled; what is in flight is bounded by [`feed`], whatever the size of the file; bytes that come twice
//! are recognised by the digest of everything before them.

mod content;
mod duplicates;
mod feed;
mod gauge;
mod merge;
mod open;
mod origin;
mod press;
mod request;
mod slice;
mod storing;
mod view;

pub use content::{Part, content};
pub use open::open;
pub use request::{Attestation, DuplicateAction, Duplicates, NewImport};
pub use view::{ColumnView, Failures, ImportView, failures, find};

pub use leadvault_store::FailureRow;

pub(crate) use gauge::Gauges;
pub(crate) use origin::{KnownImports, cells_of, id_of, plan_of};
