//! What an instruction must be before it is drafted, and who may activate it.
//!
//! The types of `domain` keep the closed words; here stands what types cannot say. A draft that could
//! never do what it says is refused with the place where it is wrong: a prohibit that silently matches
//! nothing would be worse than none.

use std::fmt;

use leadvault_domain::{
    Category, DatasetId, Effect, Employer, Instruction, InstructionKind, LeadId, Operation, Party,
    Purpose, RecipientRole, Role,
};

use crate::actor::Actor;
use crate::coverage::{biometric_allowed, field_by_name};
use crate::filter::{Filter, FilterError};
use crate::time_window::TimeWindow;

const AUTHORITIES: [&str; 6] =
    ["contract_signatory", "privacy_admin", "delegated_admin", "api_key", "statute", "court_order"];
const EVIDENCE_TYPES: [&str; 7] =
    ["contract_annex", "ui_action", "api_call", "email", "ticket", "court_order", "statute"];
const AT_END: [&str; 3] = ["delete", "anonymise", "return_then_delete"];

/// The code of a refused draft: 422.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DraftCode {
    /// Against the schema or the rules.
    Invalid,
    /// The filter uses a label that cannot be read before decryption.
    FilterLabelUnknown,
}

impl DraftCode {
    /// The code of the problem.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::FilterLabelUnknown => "filter_label_unknown",
        }
    }
}

/// A JSON pointer into the draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pointer {
    /// The member.
    pub path: &'static str,
    /// The place in its list.
    pub index: Option<usize>,
    /// The member of that element.
    pub member: Option<&'static str>,
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path)?;
        if let Some(index) = self.index {
            write!(f, "/{index}")?;
        }
        self.member.map_or(Ok(()), |member| write!(f, "/{member}"))
    }
}

/// Why a draft is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the draft is refused at {pointer}")]
pub struct DraftError {
    /// The code.
    pub code: DraftCode,
    /// Where.
    pub pointer: Pointer,
}

fn invalid(path: &'static str) -> DraftError {
    at(path, None, None)
}

fn at(path: &'static str, index: Option<usize>, member: Option<&'static str>) -> DraftError {
    DraftError { code: DraftCode::Invalid, pointer: Pointer { path, index, member } }
}

fn check(ok: bool, path: &'static str) -> Result<(), DraftError> {
    if ok { Ok(()) } else { Err(invalid(path)) }
}

/// The first element of a list that fails a test, as an error at its place.
fn check_each<T>(
    list: &[T],
    path: &'static str,
    test: impl Fn(&T) -> bool,
) -> Result<(), DraftError> {
    list.iter().position(|item| !test(item)).map_or(Ok(()), |i| Err(at(path, Some(i), None)))
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Whether a draft may stand in the register.
///
/// # Errors
/// The first rule it breaks, with the place.
pub fn validate_draft(draft: &Instruction) -> Result<(), DraftError> {
    check(is_sha256(&draft.agreement.sha256), "/agreement/sha256")?;
    issuer(draft)?;
    lists(draft)?;
    data(draft)?;
    subjects(draft)?;
    check(!draft.locations.store.is_empty(), "/locations/store")?;
    check(!draft.locations.access.is_empty(), "/locations/access")?;
    retention_and_conditions(draft)?;
    validity(draft)?;
    check(!draft.evidence.is_empty(), "/evidence")?;
    for (i, evidence) in draft.evidence.iter().enumerate() {
        if !EVIDENCE_TYPES.contains(&evidence.kind.as_str()) {
            return Err(at("/evidence", Some(i), Some("type")));
        }
        if !is_sha256(&evidence.sha256) {
            return Err(at("/evidence", Some(i), Some("sha256")));
        }
    }
    biometric(draft)
}

/// The law instructs where the law requires, and only there. The operator is no party: the
/// closed word list has none for it, and only [`may_activate`] gives a draft force.
fn issuer(draft: &Instruction) -> Result<(), DraftError> {
    let by_law = draft.kind == InstructionKind::LegalRequirement;
    check(by_law == (draft.issuer.party == Party::Law), "/issuer/party")?;
    check(AUTHORITIES.contains(&draft.issuer.authority.as_str()), "/issuer/authority")?;
    check(!by_law || draft.legal.is_some(), "/legal")
}

fn lists(draft: &Instruction) -> Result<(), DraftError> {
    fn unique<T: PartialEq>(list: &[T], path: &'static str) -> Result<(), DraftError> {
        let repeated = |(i, item): (usize, &T)| list.iter().take(i).any(|before| before == item);
        match list.iter().enumerate().position(repeated) {
            Some(i) => Err(at(path, Some(i), None)),
            None => check(!list.is_empty(), path),
        }
    }
    unique(&draft.purposes, "/purposes")?;
    unique(&draft.operations, "/operations")?;
    check(!draft.data.categories.is_empty(), "/data/categories")?;
    check(!draft.subjects.categories.is_empty(), "/subjects/categories")
}

fn data(draft: &Instruction) -> Result<(), DraftError> {
    let data = &draft.data;
    check_each(&data.datasets, "/data/datasets", |id| id.parse::<DatasetId>().is_ok())?;
    let known = |name: &String| field_by_name(name).is_some();
    check_each(&data.fields_include, "/data/fields_include", known)?;
    check_each(&data.fields_exclude, "/data/fields_exclude", known)?;
    check(data.max_records != Some(0), "/data/max_records")?;
    // Above or below the number? Nobody can tell what a prohibit of a number means.
    let countable = draft.effect == Effect::Permit || data.max_records.is_none();
    check(countable, "/data/max_records")?;
    match data.filter.as_ref().map(|text| text.parse::<Filter>()) {
        None | Some(Ok(_)) => Ok(()),
        Some(Err(error)) => {
            let code = if error == FilterError::UnknownLabel {
                DraftCode::FilterLabelUnknown
            } else {
                DraftCode::Invalid
            };
            Err(DraftError { code, ..invalid("/data/filter") })
        }
    }
}

fn subjects(draft: &Instruction) -> Result<(), DraftError> {
    let subjects = &draft.subjects;
    let refuses = subjects.minors.as_deref().is_none_or(|word| word == "refuse");
    check(refuses, "/subjects/minors")?;
    check_each(&subjects.subject_refs, "/subjects/subject_refs", |id| id.parse::<LeadId>().is_ok())
}

fn retention_and_conditions(draft: &Instruction) -> Result<(), DraftError> {
    if let Some(retention) = &draft.retention {
        let max_age = retention.max_age.as_deref();
        // ISO 8601 alone: the parser knows friendlier forms that no other reader does.
        let is_span = |text: &str| {
            text.starts_with('P') && text.parse::<jiff::Span>().is_ok_and(|span| span.is_positive())
        };
        check(max_age.is_none_or(is_span), "/retention/max_age")?;
        let at_end = retention.at_end.as_deref();
        check(at_end.is_none_or(|word| AT_END.contains(&word)), "/retention/at_end")?;
    }
    let window = draft.conditions.as_ref().and_then(|c| c.time_window.as_ref());
    let parses = window.is_none_or(|text| text.parse::<TimeWindow>().is_ok());
    check(parses, "/conditions/time_window")
}

fn validity(draft: &Instruction) -> Result<(), DraftError> {
    let validity = &draft.validity;
    let needs_end = draft.effect == Effect::Permit
        && matches!(draft.kind, InstructionKind::OneOff | InstructionKind::Emergency);
    let ends_after = validity.until.is_none_or(|until| until > validity.from);
    check(ends_after && !(needs_end && validity.until.is_none()), "/validity/until")?;
    let review_by = validity.review_by.as_deref();
    let is_date =
        |text: &str| text.len() == "YYYY-MM-DD".len() && text.parse::<jiff::civil::Date>().is_ok();
    check(review_by.is_none_or(is_date), "/validity/review_by")
}

/// A permit about biometric data alone must have an operation and a purpose that R-151 knows. Beside
/// other categories `biometric` may stand: each call keeps to the matrix.
fn biometric(draft: &Instruction) -> Result<(), DraftError> {
    let alone = draft.data.categories.iter().all(|c| *c == Category::Biometric);
    if draft.effect == Effect::Prohibit || !alone {
        return Ok(());
    }
    let known = |operation: &Operation| {
        draft.purposes.iter().any(|p| biometric_allowed(*operation, Some(*p), false))
    };
    check_each(&draft.operations, "/operations", known)
}

/// Whether two people of the tenant must activate it: `emergency` and `legal_requirement`, the purpose
/// `deidentified_rnd`, an authority among the recipients, and special or biometric data that is handed
/// on to a recipient. A prohibit only narrows and is never high risk.
pub fn high_risk(instruction: &Instruction) -> bool {
    let kind =
        matches!(instruction.kind, InstructionKind::Emergency | InstructionKind::LegalRequirement);
    let programme = instruction.purposes.contains(&Purpose::DeidentifiedRnd);
    let authority = instruction.recipients.iter().any(|r| r.role == RecipientRole::Authority);
    let sensitive = [Category::SpecialCategory, Category::Biometric]
        .iter()
        .any(|c| instruction.data.categories.contains(c));
    let outward = [Operation::Disclose, Operation::Transfer, Operation::ShareInternal]
        .iter()
        .any(|o| instruction.operations.contains(o));
    let handed_on = sensitive && outward && !instruction.recipients.is_empty();
    instruction.effect == Effect::Permit && (kind || programme || authority || handed_on)
}

/// Whether an actor may give an instruction force: the tenant's controller. The operator can draft and
/// challenge, never activate.
pub fn may_activate(actor: &Actor) -> bool {
    actor.role == Role::Controller && actor.employer == Employer::Tenant && !actor.staff
}
