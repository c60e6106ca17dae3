//! Exports: everything of a tenant, or one dataset, as a sealed package that is downloaded under entries of
//! its own (surfaces.md 7, protocols.md 7, crypto.md 6).
//!
//! ```text
//! POST /v1/exports ─ decide → entry + export + operation, one commit → job
//! job   entry → pass 1: pages of leads ─ entry over their leaves → open → JSON lines
//!             → pass 2: the same again → CSV, whose columns pass 1 found
//!             → the log up to here, description, manifests, signature
//!             → ZIP → age → LV1 chunks under the export's own leaf;   entry export.ready
//! GET   entry export.download → receipt → chunks → bytes
//! ```
//! Invariants: no plaintext on any disk; memory does not grow with the export; no lead is opened before the
//! entry that covers it; a package that holds an erased lead cannot be opened any more, because its leaf is
//! punctured in the epoch of the erasure. A lead erased while the package is rendered makes the job begin
//! again, under a new export id.

mod artifact;
mod asked;
mod bag;
mod batches;
mod columns;
mod csv;
mod datapackage;
mod download;
mod job;
mod line;
mod log_copy;
mod package;
mod render;
mod stale;
mod start;
mod tags;
mod view;

pub use csv::unguard;
pub use download::{Download, content};
pub use start::start;
pub use view::{ExportView, find};

pub(crate) use job::resume;
pub(crate) use stale::{mark_stale, mark_stale_ranges, remove_stale};

/// Days an artifact lives, in seconds (surfaces.md 7).
const LIFE_SECONDS: i64 = 7 * 24 * 3600;
/// The kind of an export's operation.
pub(crate) const KIND: &str = "export";
