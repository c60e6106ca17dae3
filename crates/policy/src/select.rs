//! Which instruction a call acts under (decisions.md 1).
//!
//! The one it names, else the default of its key, else the grant of a support session: only that one is
//! the candidate, and a named one is never ambiguous. Where there is none of them, every active permit
//! that matches in all dimensions is considered, of which there must be exactly one.

use leadvault_domain::{
    DecisionCode, Effect, Instruction, InstructionId, InstructionStatus, Purpose,
};

use crate::ask::Named;
use crate::decide::Case;
use crate::dimensions;
use crate::verdict::InstructionRef;

/// What the selection found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection<'a> {
    /// The candidate, active or not.
    pub(crate) permit: Option<&'a Instruction>,
    /// The purpose that counts: the call's, else the candidate's only one.
    pub(crate) purpose: Option<Purpose>,
    /// Why there is no single active permit.
    pub(crate) failure: Option<DecisionCode>,
    /// The permits between which the call does not say.
    pub(crate) several: Vec<InstructionRef>,
    /// The call has to state a purpose.
    pub(crate) purpose_required: bool,
}

pub(crate) fn select<'a>(
    case: &Case<'_>,
    instructions: &'a [Instruction],
    default: Option<InstructionId>,
) -> Selection<'a> {
    let grant = case.facts.grant.as_ref().filter(|_| case.actor.staff);
    let candidate = case
        .ask
        .named
        .or_else(|| default.map(|id| Named { id, version: None }))
        .or_else(|| grant.map(|g| Named { id: g.instruction, version: g.version }));
    match candidate {
        Some(named) => select_named(case, instructions, named),
        // The permits of a tenant are not there for staff to find.
        None if case.actor.staff => Selection {
            purpose: case.purpose,
            failure: Some(DecisionCode::NoGrant),
            ..Selection::default()
        },
        None => select_matching(case, instructions),
    }
}

fn select_named<'a>(
    case: &Case<'_>,
    instructions: &'a [Instruction],
    named: Named,
) -> Selection<'a> {
    let versions = instructions.iter().filter(|i| {
        i.id == named.id && i.tenant_id == case.facts.tenant && i.effect == Effect::Permit
    });
    let found = match named.version {
        Some(version) => versions.into_iter().find(|i| i.version == version),
        // The active version; where none is, the newest that ever was, then the newest draft.
        None => versions.max_by_key(|i| {
            let live = match i.status {
                InstructionStatus::Active => 2,
                InstructionStatus::Draft => 0,
                _ => 1,
            };
            (live, i.version)
        }),
    };
    let Some(permit) = found else {
        return Selection {
            purpose: case.purpose,
            failure: Some(DecisionCode::NoInstruction),
            ..Selection::default()
        };
    };
    let purpose = case.purpose.or_else(|| only_purpose(permit));
    Selection {
        permit: Some(permit),
        purpose,
        failure: status_code(permit.status),
        several: if permit.status == InstructionStatus::Active {
            Vec::new()
        } else {
            vec![permit.into()]
        },
        purpose_required: purpose.is_none(),
    }
}

fn select_matching<'a>(case: &Case<'_>, instructions: &'a [Instruction]) -> Selection<'a> {
    let mut fitting = Vec::new();
    let mut purpose_required = false;
    for permit in instructions.iter().filter(|i| {
        i.effect == Effect::Permit
            && i.status == InstructionStatus::Active
            && i.tenant_id == case.facts.tenant
            && (!case.needs_agreement() || case.bound_in_force(i))
    }) {
        if let Some(purpose) = case.purpose.or_else(|| only_purpose(permit)) {
            let tried = Case { permit: Some(permit), purpose: Some(purpose), ..*case };
            if dimensions::fits(&tried) {
                fitting.push((permit, purpose));
            }
        } else {
            purpose_required |= permit.purposes.iter().any(|purpose| {
                let tried = Case { permit: Some(permit), purpose: Some(*purpose), ..*case };
                dimensions::fits(&tried)
            });
        }
    }
    let found = Selection { purpose: case.purpose, purpose_required, ..Selection::default() };
    match fitting.as_slice() {
        [] => Selection { failure: Some(DecisionCode::NoInstruction), ..found },
        [(permit, purpose)] => Selection { permit: Some(permit), purpose: Some(*purpose), ..found },
        several => Selection {
            failure: Some(DecisionCode::Ambiguous),
            several: several.iter().map(|(permit, _)| (*permit).into()).collect(),
            ..found
        },
    }
}

fn only_purpose(permit: &Instruction) -> Option<Purpose> {
    match permit.purposes.as_slice() {
        [only] => Some(*only),
        _ => None,
    }
}

/// The code of a version that is not active. An expired one is told by the dimension of time.
fn status_code(status: InstructionStatus) -> Option<DecisionCode> {
    match status {
        InstructionStatus::Active | InstructionStatus::Expired => None,
        InstructionStatus::Draft => Some(DecisionCode::InstructionDraft),
        InstructionStatus::Suspended => Some(DecisionCode::InstructionSuspended),
        InstructionStatus::Challenged => Some(DecisionCode::InstructionChallenged),
        InstructionStatus::Revoked => Some(DecisionCode::InstructionRevoked),
        InstructionStatus::Superseded => Some(DecisionCode::InstructionSuperseded),
    }
}
