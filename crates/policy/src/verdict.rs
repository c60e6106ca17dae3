//! What a decision answers.

use leadvault_domain::{DecisionCode, FieldNo, Instruction, InstructionId, Masking, Purpose};

use crate::{FieldRule, RowRule, WouldNeed};

/// One version of an instruction, as the log entry names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstructionRef {
    /// Its id.
    pub id: InstructionId,
    /// Its version.
    pub version: u32,
    /// Its hash, 64 hex digits.
    pub hash: String,
}

impl From<&Instruction> for InstructionRef {
    fn from(instruction: &Instruction) -> Self {
        Self { id: instruction.id, version: instruction.version, hash: instruction.hash.clone() }
    }
}

/// Something to tell the caller with an allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Warning {
    /// `review_by` of the instruction is past.
    ReviewDue,
}

impl Warning {
    /// The word of the log and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReviewDue => "W_REVIEW_DUE",
        }
    }
}

/// What an allowance obliges to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obligation {
    /// Values go out masked only.
    Mask,
    /// The tenant is told.
    Notify,
    /// The entry carries the actor's country.
    LogCountry,
}

impl Obligation {
    /// The word of the log and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mask => "mask",
            Self::Notify => "notify",
            Self::LogCountry => "log_country",
        }
    }
}

/// An allowance: what it rests on and how far it goes.
#[derive(Debug, Clone)]
pub struct Allowed {
    /// The permit.
    pub instruction: InstructionRef,
    /// The purpose that counts: stated, or the permit's only one.
    pub purpose: Purpose,
    /// Which fields may go out.
    pub fields: FieldRule,
    /// Which rows, where the call meets more than the one whose labels it stated.
    pub rows: RowRule,
    /// How much of a value may go out.
    pub masking: Masking,
    /// To be shown.
    pub warnings: Vec<Warning>,
    /// To be done.
    pub obligations: Vec<Obligation>,
}

/// A denial: one code, the first in the order of decisions.md 2.
#[derive(Debug, Clone)]
pub struct Denied {
    /// The code.
    pub code: DecisionCode,
    /// The candidate permit, or the prohibit that matched.
    pub instruction: Option<InstructionRef>,
    /// JSON pointer to the part of that instruction that does not fit.
    pub pointer: Option<&'static str>,
    /// The fields asked for that made it fail.
    pub fields: Vec<FieldNo>,
    /// Everything that would have to change, in the order of decisions.md 2 (`explain`).
    pub would_need: Vec<WouldNeed>,
}

/// A call that cannot be decided as it stands: 400, no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadRequest {
    /// No purpose given, and the permit has several.
    PurposeRequired,
}

impl BadRequest {
    /// The code of the problem.
    pub const fn code(self) -> &'static str {
        match self {
            Self::PurposeRequired => "purpose_required",
        }
    }
}

/// What [`crate::decide`] answers.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It may happen.
    Allow(Box<Allowed>),
    /// It may not.
    Deny(Box<Denied>),
    /// It cannot be decided.
    BadRequest(BadRequest),
}

impl Verdict {
    /// The code that stands in the entry; `None` where there is none (400).
    pub fn code(&self) -> Option<DecisionCode> {
        match self {
            Self::Allow(_) => Some(DecisionCode::Allow),
            Self::Deny(denied) => Some(denied.code),
            Self::BadRequest(_) => None,
        }
    }
}
