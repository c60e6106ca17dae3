//! The one error type of the use cases: a [`Fault`] (what is wrong), and the [`Refusal`] that carries it
//! to the caller together with the log entry of a denial.
//!
//! A fault never holds a submitted value: pointers name places of the schema, codes come from
//! surfaces.md 2 and decisions.md 2. The mapping to HTTP is `api`'s.

use leadvault_domain::{DecisionCode, InstructionId};

use crate::call::Stamp;

/// The code where a tenant has as many of something as it may have.
pub(crate) const TOO_MANY: &str = "too_many";

/// A place in a request body and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointed {
    /// JSON pointer (RFC 6901) of a member the schema knows; an unknown member is named by its parent.
    pub pointer: String,
    /// A stable code.
    pub code: &'static str,
}

impl Pointed {
    /// Names a place and a code.
    pub fn new(pointer: impl Into<String>, code: &'static str) -> Self {
        Self { pointer: pointer.into(), code }
    }
}

/// A question about an ambiguous column (surfaces.md 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Index of the column, from 0.
    pub column: usize,
    /// Names of the fields it may be.
    pub choices: Vec<String>,
}

/// What is wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Malformed in the named places.
    #[error("malformed request")]
    BadRequest(Vec<Pointed>),
    /// `limit` above 200.
    #[error("limit too large")]
    LimitTooLarge,
    /// No purpose in header, key or instruction.
    #[error("purpose required")]
    PurposeRequired,
    /// A word the purpose vocabulary does not have.
    #[error("purpose unknown")]
    PurposeUnknown,
    /// Erase, shred and export need an `Idempotency-Key`.
    #[error("idempotency key required")]
    IdempotencyKeyRequired,
    /// A member or field the schema does not know, below the pointer.
    #[error("unknown field")]
    UnknownField(String),
    /// No, wrong, expired or revoked key.
    #[error("unauthenticated")]
    Unauthenticated,
    /// The key's role is too weak.
    #[error("role insufficient")]
    RoleInsufficient,
    /// Decided and logged.
    #[error("denied: {0}")]
    Denied(DecisionCode),
    /// Unknown, foreign or erased.
    #[error("not found")]
    NotFound,
    /// The same idempotency key is being worked on.
    #[error("in progress")]
    InProgress,
    /// The dataset has this lead already.
    #[error("duplicate")]
    Duplicate,
    /// A repeated upload whose bytes differ from those already stored.
    #[error("content differs")]
    ContentDiffers,
    /// The thing is in a state that does not allow this.
    #[error("state conflict")]
    StateConflict,
    /// The tenant's key is destroyed for good.
    #[error("key destroyed")]
    KeyDestroyed,
    /// No export recipient is registered and `plain` was not asked for.
    #[error("no recipient")]
    NoRecipient,
    /// A lead of the export was erased.
    #[error("export stale")]
    ExportStale,
    /// The export is older than seven days.
    #[error("export expired")]
    ExportExpired,
    /// A replayed call whose lead is gone.
    #[error("erased")]
    Erased,
    /// `If-Match` names another version.
    #[error("version conflict")]
    VersionConflict,
    /// `If-Match` is missing.
    #[error("if-match required")]
    IfMatchRequired,
    /// Body, page or batch above its limit.
    #[error("too large")]
    TooLarge,
    /// `Range` begins behind the end.
    #[error("range not satisfiable")]
    RangeNotSatisfiable {
        /// Bytes of the whole.
        total: u64,
    },
    /// Another media type is needed.
    #[error("media type")]
    MediaType,
    /// The tenant lives in another region.
    #[error("wrong region")]
    WrongRegion {
        /// Where to go.
        endpoint: String,
    },
    /// Columns that must be asked about.
    #[error("mapping needed")]
    MappingNeeded(Vec<Question>),
    /// The file has no header row.
    #[error("no header row")]
    NoHeaderRow,
    /// Well-formed but not acceptable in the named places.
    #[error("invalid")]
    Invalid(Vec<Pointed>),
    /// An instruction's filter uses a label that cannot be read before a key.
    #[error("filter label unknown")]
    FilterLabelUnknown,
    /// The same idempotency key with another body.
    #[error("idempotency mismatch")]
    IdempotencyMismatch,
    /// Too many requests.
    #[error("rate limited")]
    RateLimited {
        /// When to come back.
        retry_after_seconds: u32,
    },
    /// The journal cannot be written; nothing was released.
    #[error("journal unwritable")]
    JournalUnwritable,
    /// A bounded queue is full; nothing was released.
    #[error("overloaded")]
    Overloaded,
    /// Not ready yet, or not any more.
    #[error("not ready")]
    NotReady,
    /// Stored bytes are not those that were written; nothing was given out.
    #[error("content damaged")]
    ContentDamaged,
    /// A fault of ours; the code says where, the log says more.
    #[error("internal: {0}")]
    Internal(&'static str),
    /// The control state moved under the decision: decide again. Never leaves this crate.
    #[error("stale decision")]
    Stale,
}

impl Fault {
    /// One place and its code, as [`Fault::Invalid`].
    pub fn invalid(pointer: impl Into<String>, code: &'static str) -> Self {
        Self::Invalid(vec![Pointed::new(pointer, code)])
    }

    /// One place and its code, as [`Fault::BadRequest`].
    pub fn bad(pointer: impl Into<String>, code: &'static str) -> Self {
        Self::BadRequest(vec![Pointed::new(pointer, code)])
    }
}

/// A call that was not done: why, under which instruction, and the entry that records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub fault: Fault,
    /// The instruction that was considered.
    pub instruction: Option<(InstructionId, u32)>,
    /// The entry of a denial or of a 404.
    pub stamp: Option<Box<Stamp>>,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self { fault, instruction: None, stamp: None }
    }
}

macro_rules! refusal_from {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for Refusal {
            fn from(error: $error) -> Self { Fault::from(error).into() }
        }
    )*};
}
refusal_from!(
    leadvault_ledger::JournalError,
    leadvault_keys::KeyError,
    leadvault_store::StoreError,
    leadvault_ledger::EntryError,
    leadvault_domain::EntropyFailed,
);

impl From<leadvault_store::StoreError> for Fault {
    fn from(error: leadvault_store::StoreError) -> Self {
        match error {
            leadvault_store::StoreError::Unwritable => Self::JournalUnwritable,
            leadvault_store::StoreError::Unavailable => Self::NotReady,
            other => Self::Internal(other.code()),
        }
    }
}

impl From<leadvault_keys::KeyError> for Fault {
    fn from(error: leadvault_keys::KeyError) -> Self {
        use leadvault_keys::{KeyError as K, RootError};
        match error {
            K::Punctured(_) => Self::NotFound,
            K::Disabled | K::Root(RootError::Disabled) => Self::Denied(DecisionCode::KeyDisabled),
            K::Root(_) => Self::Denied(DecisionCode::KeyUnreachable),
            K::Destroyed => Self::Denied(DecisionCode::KeyDestroyed),
            K::Unsealable => Self::TooLarge,
            other => Self::Internal(other.code()),
        }
    }
}

impl From<leadvault_domain::EntropyFailed> for Fault {
    fn from(_: leadvault_domain::EntropyFailed) -> Self {
        Self::Internal("entropy")
    }
}

impl From<leadvault_ledger::EntryError> for Fault {
    fn from(_: leadvault_ledger::EntryError) -> Self {
        Self::Internal("entry")
    }
}

impl From<leadvault_ledger::JournalError> for Fault {
    fn from(error: leadvault_ledger::JournalError) -> Self {
        use leadvault_ledger::JournalError as J;
        match error {
            J::Stale => Self::Stale,
            J::Overloaded => Self::Overloaded,
            J::TooLarge => Self::TooLarge,
            _ => Self::JournalUnwritable,
        }
    }
}
