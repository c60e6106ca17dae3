//! Files attached to leads (R-014): made, uploaded, downloaded, listed, deleted; and gone with their leads.
//!
//! ```text
//! create    decide for each lead → a leaf of its own → row, links, sealed name, entry: one commit
//! upload    bytes → parts of up to 64 chunks, sealed → object durable → decide → part + entry: one commit
//! download  decide for each lead → entry, durable → chunks opened one by one on the way out
//! end       unlinked from the leads that go → its leaf is punctured in their epoch → objects → row
//! ```
//! A chunk holds 65,535 bytes; the last one is sealed as the last, so that a file that was cut does not open
//! (protocols.md 5). What a file is called, how long it is, what it holds and its digest are sealed under its
//! own leaf; objects have random names. A file has no masked form: an instruction that masks gives none out.

mod content;
mod create;
mod delete;
mod download;
mod end;
mod found;
mod leaves;
mod list;
mod media_type;
mod meta;
mod name;
mod removal;
mod upload;
mod view;

use leadvault_keys::CHUNK_BYTES;

pub use self::create::{NewFile, create};
pub use self::delete::{Deleted, delete};
pub use self::download::{Download, content};
pub use self::list::list;
pub use self::upload::{Progress, Upload, offset, upload};
pub use self::view::FileView;

pub(crate) use self::content::FileReader;
pub(crate) use self::end::require as require_end;
pub(crate) use self::leaves::FileLeaves;
pub(crate) use self::meta::FileMeta;
pub(crate) use self::removal::{blocks_of, finish, remove, sweep, take_from, unlink};

/// What a tenant may have of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileBounds {
    /// Bytes of one file.
    pub bytes_of_file: u64,
    /// Files of one lead.
    pub of_lead: u64,
    /// Files in all.
    pub files: u64,
    /// Bytes in all, each file rounded up to whole chunks of 65,535 bytes.
    pub bytes: u64,
}

impl Default for FileBounds {
    fn default() -> Self {
        Self { bytes_of_file: 5 << 30, of_lead: 100, files: 1_000_000, bytes: 1 << 40 }
    }
}

/// Chunks of a file of so many bytes: an empty one has one as well, so that its end is sealed.
const fn chunks_of(bytes: u64) -> u64 {
    let chunks = bytes.div_ceil(CHUNK_BYTES as u64);
    if chunks == 0 { 1 } else { chunks }
}

/// Bytes of so many chunks, each counted whole: what rows say in clear.
const fn whole_chunks(chunks: u64) -> u64 {
    chunks.saturating_mul(CHUNK_BYTES as u64)
}
