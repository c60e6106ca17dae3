//! What a caller sees of a file.

use leadvault_domain::{FileId, LeadId, Personal, Timestamp};
use leadvault_store::{EraseWith, FileState};

use super::found::Found;
use super::meta::FileMeta;

/// A file without its content.
#[derive(Debug, Clone)]
pub struct FileView {
    /// Its id.
    pub id: FileId,
    /// What its owner calls it.
    pub name: Personal,
    /// Bytes.
    pub size: u64,
    /// Told by its first bytes, once they came.
    pub media_type: Option<String>,
    /// SHA-256 of the whole, 64 hexadecimal digits, once it is complete.
    pub sha256: Option<String>,
    /// `open` or `complete`.
    pub state: &'static str,
    /// Whether it goes with any of its leads, instead of the last one.
    pub goes_with_any: bool,
    /// Its leads.
    pub leads: Vec<LeadId>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl FileView {
    pub(super) fn new(found: &Found, meta: &FileMeta) -> Self {
        let row = &found.row;
        Self {
            id: row.id,
            name: Personal::from(meta.name.clone()),
            size: meta.size,
            media_type: meta.media_type.clone(),
            sha256: meta.sha256.clone(),
            state: if row.state == FileState::Complete { "complete" } else { "open" },
            goes_with_any: row.erase_with == EraseWith::Any,
            leads: found.leads.iter().map(|lead| lead.id).collect(),
            created_at: row.created_at,
        }
    }
}
