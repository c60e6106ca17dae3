//! The offline verifier: does a log hold, with nothing but its files and its verification key?
//!
//! It reads `checkpoint` and every file under `tile/` that the checkpoint covers, and compares all of them:
//! signature, each entry bundle with its hash tile, each hash tile with the one above, and all with the
//! signed root. A kept checkpoint or `Ledger-Receipt` ([`Since`]) adds what the files alone cannot tell: that
//! nothing was cut off (`rollback`) and nothing rewritten (`fork`).
//!
//! It needs nothing of the store and trusts no one who runs it.

mod since;
mod walk;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::checkpoint::Checkpoint;
use crate::note::{Note, NoteError};
use crate::source::{LogSource, SourceError};
use crate::vkey::Vkey;

pub use since::Since;

/// Path of the signed note.
const CHECKPOINT: &str = "checkpoint";
/// What `at` says of the key that was given.
const AT_VKEY: &str = "vkey";

/// Why a log does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// A signature under a known key does not hold.
    BadSignature,
    /// No signature by the given key.
    UnknownKey,
    /// The checkpoint, the key, or what was kept has no valid form, or belongs to another log.
    Malformed,
    /// A file that the checkpoint covers is not there.
    Missing,
    /// A tile of hashes is not what it was.
    BadTile,
    /// A bundle of entries is not what it was.
    BadBundle,
    /// The files hold together, and do not lead to the signed root.
    RootMismatch,
    /// The log is shorter than what was kept says it was.
    Rollback,
    /// The log is not a continuation of what was kept.
    Fork,
}

/// What the verifier found: the JSON of `leadvault verify log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Whether everything holds.
    pub ok: bool,
    /// The log's name.
    pub origin: String,
    /// Entries the checkpoint covers; 0 where there is no readable checkpoint.
    pub size: u64,
    /// The root it names, base64; empty where there is no readable checkpoint.
    pub root: String,
    /// Entries below this index have lost their contents, as an entry of the log announced.
    pub pruned_to: Option<u64>,
    /// Entries whose shape this version does not know. They are counted, not refused.
    pub entries_unknown: u64,
    /// Why it does not hold.
    pub failure: Option<Failure>,
    /// The file at fault, as far as it can be told; `since` and `vkey` for what was given.
    pub at: Option<String>,
}

/// A failure and the file at fault.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    failure: Failure,
    at: String,
}

impl Fault {
    fn new(failure: Failure, at: impl Into<String>) -> Self {
        Self { failure, at: at.into() }
    }
}

/// Why a walk ended early.
enum Stop {
    Fault(Fault),
    Source(SourceError),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<SourceError> for Stop {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

/// Verifies the log at `source` against a vkey file (one line, or two after a rotation) and, if given, what
/// was kept from before.
///
/// # Errors
/// [`SourceError`] where a file could not be read, which says nothing about the log.
pub fn verify_log(
    source: &dyn LogSource,
    vkey: &str,
    since: Option<Since>,
) -> Result<Verdict, SourceError> {
    let mut verdict = Verdict {
        ok: false,
        origin: String::new(),
        size: 0,
        root: String::new(),
        pruned_to: None,
        entries_unknown: 0,
        failure: None,
        at: None,
    };
    match run(source, vkey, since, &mut verdict) {
        Ok(()) => verdict.ok = true,
        Err(Stop::Source(error)) => return Err(error),
        Err(Stop::Fault(fault)) => {
            verdict.failure = Some(fault.failure);
            verdict.at = Some(fault.at);
        }
    }
    Ok(verdict)
}

fn run(
    source: &dyn LogSource,
    vkey: &str,
    since: Option<Since>,
    verdict: &mut Verdict,
) -> Result<(), Stop> {
    let keys = Vkey::parse_all(vkey).map_err(|_| Fault::new(Failure::Malformed, AT_VKEY))?;
    verdict.origin = keys.first().map(|key| key.name().to_owned()).unwrap_or_default();
    let kept = since.map(|since| since.open(&verdict.origin, &keys)).transpose()?;
    let note = source.read(CHECKPOINT)?.ok_or_else(|| Fault::new(Failure::Missing, CHECKPOINT))?;
    // What an unsigned checkpoint claims is shown, and nothing is concluded from it.
    if let Ok(claimed) = Note::parse(&note).and_then(|n| Checkpoint::parse_body(n.text())) {
        verdict.size = claimed.size;
        verdict.root = STANDARD.encode(claimed.root);
    }
    let checkpoint = Checkpoint::open(&note, &keys)
        .map_err(|error| Fault::new(failure_of(error), CHECKPOINT))?;
    let walked = walk::walk(source, &checkpoint, kept.as_ref())?;
    verdict.entries_unknown = walked.entries_unknown;
    verdict.pruned_to = walked.pruned_to;
    walked.result?;
    if let Some(kept) = kept {
        kept.compare(&checkpoint)?;
    }
    Ok(())
}

fn failure_of(error: NoteError) -> Failure {
    match error {
        NoteError::Malformed => Failure::Malformed,
        NoteError::UnknownKey => Failure::UnknownKey,
        NoteError::BadSignature => Failure::BadSignature,
    }
}
