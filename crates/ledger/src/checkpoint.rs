//! Checkpoints (C2SP tlog-checkpoint): `origin LF size LF base64(root) LF`, as a signed note.
//!
//! No extension lines: they are read by nobody and would be cosigned by nobody. A body with a fourth line,
//! a blank one included, is malformed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Hash;
use crate::note::{Note, NoteError};
use crate::vkey::{Vkey, is_name};

/// Size and root of a log at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name, which is the name of its key.
    pub origin: String,
    /// Entries.
    pub size: u64,
    /// RFC 6962 root over them.
    pub root: Hash,
}

impl std::fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }
}

impl Checkpoint {
    /// Reads the body of a checkpoint; nothing is checked but the form.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse_body(text: &str) -> Result<Self, NoteError> {
        Self::read_body(text).ok_or(NoteError::Malformed)
    }

    fn read_body(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let root = STANDARD.decode(root).ok()?.try_into().ok()?;
        let size: u64 = size.parse().ok()?;
        let parsed = Self { origin: origin.to_owned(), size, root };
        // One spelling each: leading zeros, signs and further lines print differently.
        (is_name(origin) && lines.next().is_none() && parsed.to_string() == text).then_some(parsed)
    }

    /// Reads a signed checkpoint and checks it against the keys of one origin.
    ///
    /// # Errors
    /// [`NoteError`]; an origin that is not the keys' name is malformed.
    pub fn open(note: &[u8], keys: &[Vkey]) -> Result<Self, NoteError> {
        let note = Note::parse(note)?;
        let checkpoint = Self::parse_body(note.text())?;
        note.verify(keys)?;
        if keys.iter().any(|key| key.name() != checkpoint.origin) {
            return Err(NoteError::Malformed);
        }
        Ok(checkpoint)
    }
}
