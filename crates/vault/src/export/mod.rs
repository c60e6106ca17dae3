//! Exports: everything of a tenant, or one dataset, as a sealed package that is downloaded under entries of
//! its own (surfaces.md 7, protocols.md 7, crypto.md 6).
//!
//! ```text
//! POST /v1/exports ─ decide → entry + export + extents + operation, one commit → job
//! job   parts: pages of leads ─ entry over their leaves → open → JSON lines → sealed, a leaf for each part
//!       ─ parts of leads erased or changed meanwhile, again
//!       ─ entry → parts opened → JSON lines, CSV, log up to here, description, manifests, signature
//!             → ZIP → age → LV1 chunks under a leaf of the file's own;   entry export.ready
//! GET   entry export.download → receipt → chunks → bytes
//! ```
//! In it are the leads stored before the entry that allowed it, but for those erased before it was ready. A lead
//! that changes meanwhile is in it as it was at some instant in between ([`settle`]).
//!
//! Invariants: no plaintext on any disk; memory does not grow with the export; no lead is opened before the
//! entry that covers it; what holds an erased lead cannot be opened any more, because its leaf is punctured in
//! the epoch of the erasure. A restart goes on behind the last rendered part.

mod artifact;
mod asked;
mod assemble;
mod bag;
mod batches;
mod columns;
mod csv;
mod datapackage;
mod download;
mod files;
mod job;
mod line;
mod line_in;
mod log_copy;
mod package;
mod part;
mod render;
mod settle;
mod stale;
mod start;
mod tags;
mod tidy;
mod view;

pub use csv::unguard;
pub use download::{Download, content};
pub use start::start;
pub use view::{ExportView, find};

pub(crate) use job::{resume, take_up};
pub(crate) use stale::{mark_stale, mark_stale_ranges, remove_stale};
pub(crate) use tidy::{objects, run as expire_for_ever};

/// Days an artifact lives, in seconds (surfaces.md 7).
const LIFE_SECONDS: i64 = 7 * 24 * 3600;
/// The kind of an export's operation.
pub(crate) const KIND: &str = "export";
