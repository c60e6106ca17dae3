//! Signed notes (C2SP signed-note): a text, a blank line, signature lines.
//!
//! ```text
//! <text, ends in LF>
//! <blank>
//! — <name> <base64(key id ‖ signature)>
//! ```
//! Strict where it matters: no control character but LF, nothing after the signatures, every line of the
//! signature block a signature, base64 in its one spelling.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::vkey::{Vkey, is_name};

/// Longest note: a checkpoint with a hundred signature lines stays below.
const NOTE_BYTES_MAX: usize = 64 * 1024;
/// Most signature lines; witnesses add theirs.
const SIGNATURES_MAX: usize = 100;
/// How a signature line begins: an em dash and a space.
const SIGNATURE_PREFIX: &str = "\u{2014} ";

/// Why a note does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not in the form of a signed note.
    #[error("not in the form of a signed note")]
    Malformed,
    /// No signature by a known key.
    #[error("no signature by a known key")]
    UnknownKey,
    /// A signature under a known key's name and id does not hold.
    #[error("a signature under a known key does not hold")]
    BadSignature,
}

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureLine {
    /// Name of the key.
    pub name: String,
    /// Its id.
    pub key_id: [u8; 4],
    /// The signature, of a form the key knows.
    pub signature: Vec<u8>,
}

/// A parsed note whose signatures nobody has checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<SignatureLine>,
}

impl std::fmt::Display for SignatureLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = [self.key_id.as_slice(), &self.signature].concat();
        writeln!(f, "{SIGNATURE_PREFIX}{} {}", self.name, STANDARD.encode(bytes))
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| write!(f, "{line}"))
    }
}

impl Note {
    /// A note of a text and its signature lines.
    ///
    /// # Errors
    /// [`NoteError::Malformed`] where the text could not be read back.
    pub fn new(text: &str, signatures: Vec<SignatureLine>) -> Result<Self, NoteError> {
        let note = Self { text: text.to_owned(), signatures };
        if Self::parse(note.to_string().as_bytes())? == note {
            Ok(note)
        } else {
            Err(NoteError::Malformed)
        }
    }

    /// Reads a note.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        Self::read(bytes).ok_or(NoteError::Malformed)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let whole = std::str::from_utf8(bytes).ok().filter(|t| t.len() <= NOTE_BYTES_MAX)?;
        if whole.chars().any(|c| c.is_ascii_control() && c != '\n') {
            return None;
        }
        let (text, block) = whole.rsplit_once("\n\n")?;
        let lines = block.strip_suffix('\n')?;
        let signatures: Vec<SignatureLine> =
            lines.split('\n').map(read_signature).collect::<Option<_>>()?;
        if signatures.len() > SIGNATURES_MAX || text.is_empty() {
            return None;
        }
        Some(Self { text: format!("{text}\n"), signatures })
    }

    /// The signed text, its last LF included.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines.
    pub fn signatures(&self) -> &[SignatureLine] {
        &self.signatures
    }

    /// Checks the signatures: every line under a known key must hold, and there must be one.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`], [`NoteError::UnknownKey`].
    pub fn verify(&self, keys: &[Vkey]) -> Result<(), NoteError> {
        let mut held = 0_usize;
        for line in &self.signatures {
            let known = keys.iter().filter(|k| k.name() == line.name && k.id() == line.key_id);
            for key in known {
                if !key.key().verify(self.text.as_bytes(), &line.signature) {
                    return Err(NoteError::BadSignature);
                }
                held += 1;
            }
        }
        if held == 0 { Err(NoteError::UnknownKey) } else { Ok(()) }
    }
}

fn read_signature(line: &str) -> Option<SignatureLine> {
    let (name, encoded) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
    let bytes = STANDARD.decode(encoded).ok()?;
    let (key_id, signature) = bytes.split_first_chunk::<4>()?;
    if !is_name(name) || signature.is_empty() {
        return None;
    }
    Some(SignatureLine { name: name.to_owned(), key_id: *key_id, signature: signature.to_vec() })
}
