//! What would have to change for a denied call to be allowed (`POST /v1/explain`).

use std::fmt;

use leadvault_domain::{
    Category, DecisionCode, FieldNo, Operation, Place, Purpose, Regime, SubjectKind, Timestamp,
};

use crate::verdict::InstructionRef;

/// One thing that would have to change. Shown as one line of text; no personal data in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WouldNeed {
    /// The code this one thing is denied with.
    pub code: DecisionCode,
    /// What the instruction concerned says.
    pub detail: Detail,
}

/// What an instruction says where a call does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// Nothing to add to the code.
    None,
    /// These instructions.
    Instructions(Vec<InstructionRef>),
    /// Its start and end.
    Times(Timestamp, Option<Timestamp>),
    /// Its purposes.
    Purposes(Vec<Purpose>),
    /// The operations it lacks.
    Operations(Vec<Operation>),
    /// Its datasets.
    Datasets(Vec<String>),
    /// The categories it lacks.
    Categories(Vec<Category>),
    /// The fields it lacks.
    Fields(Vec<FieldNo>),
    /// Its most leads per call.
    Records(u64),
    /// Its kinds of subjects.
    Subjects(Vec<SubjectKind>),
    /// Its regimes.
    Regimes(Vec<Regime>),
    /// The places it lacks.
    Places(Vec<Place>),
    /// Its calls per hour.
    CallsPerHour(u32),
}

impl fmt::Display for WouldNeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(sentence(self.code))?;
        match &self.detail {
            Detail::None => Ok(()),
            Detail::Instructions(all) => {
                list(f, all.iter().map(|i| format!("{};v={}", i.id, i.version)))
            }
            Detail::Times(from, None) => write!(f, ": from {from}"),
            Detail::Times(from, Some(until)) => write!(f, ": from {from} until {until}"),
            Detail::Purposes(all) => list(f, all),
            Detail::Operations(all) => list(f, all),
            Detail::Datasets(all) => list(f, all),
            Detail::Categories(all) => list(f, all),
            Detail::Fields(all) => list(f, all.iter().map(|no| no.name())),
            Detail::Records(most) => write!(f, ": at most {most}"),
            Detail::Subjects(all) => list(f, all),
            Detail::Regimes(all) => list(f, all),
            Detail::Places(all) => list(f, all),
            Detail::CallsPerHour(most) => write!(f, ": {most} per hour"),
        }
    }
}

fn list<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    items: impl IntoIterator<Item = T>,
) -> fmt::Result {
    for (i, item) in items.into_iter().enumerate() {
        f.write_str(if i == 0 { ": " } else { ", " })?;
        item.fmt(f)?;
    }
    Ok(())
}

/// The change each code asks for; with a detail it ends in a colon and the detail.
fn sentence(code: DecisionCode) -> &'static str {
    use DecisionCode as Code;
    match code {
        Code::Allow => "nothing",
        Code::KeyDestroyed => "a key; this one is destroyed for ever",
        Code::KeyDisabled => "the tenant's key resumed",
        Code::KeyUnreachable => "the key provider within reach",
        Code::TenantState => "a tenant state that allows the operation",
        Code::Agreement => "the agreement of the instruction in force",
        Code::Hold => "the hold released",
        Code::Restricted => "the restriction of the subject lifted",
        Code::ObjectionSubject => "the subject's objection withdrawn, or another purpose",
        Code::Optout => "the subject's opt-out withdrawn, or another purpose",
        Code::Minor => "nothing: the subject is a minor",
        Code::Prohibited => "the prohibition revoked, or a call it does not meet",
        Code::Biometric => "a call without biometric data",
        Code::NoInstruction => "an active permit that covers the call",
        Code::Ambiguous => "the call to name one of the permits that cover it",
        Code::InstructionDraft => "the instruction activated",
        Code::InstructionSuspended => "the instruction resumed",
        Code::InstructionChallenged => "the challenge ended by the controller",
        Code::InstructionRevoked => "another instruction; this one is revoked",
        Code::InstructionSuperseded => "the call to name a newer version",
        Code::NoGrant => "an active grant of the tenant",
        Code::GrantExpired => "another grant; this one has ended",
        Code::GrantScope => "a grant that covers the call",
        Code::GrantRevoked => "another grant; this one is revoked",
        Code::InstructionExpired => "an instruction that has not ended",
        Code::InstructionNotYet => "an instruction that has begun",
        Code::Purpose => "one of the instruction's purposes",
        Code::Operation => "an instruction with these operations",
        Code::Dataset => "an instruction and a key for the dataset",
        Code::Category => "an instruction with these categories",
        Code::Field => "an instruction that covers these fields",
        Code::Unclassified => "the columns classified, or `unclassified` named in the instruction",
        Code::Filter => "a row that the instruction's filter lets through",
        Code::MaxRecords => "fewer leads in one call",
        Code::SubjectKind => "an instruction for this kind of subject, or this subject",
        Code::Regime => "an instruction for the regimes of the subject",
        Code::RecipientNotAuthorised => {
            "a recipient named in the instruction and authorised in the register"
        }
        Code::NoticeWindowOpen => "the notice period of the recipient over",
        Code::Objection => "the tenant's objection to the recipient withdrawn",
        Code::RegionPin => "an instruction that lists these places",
        Code::Approval => "the tenant's approval",
        Code::DualControl => "a second person",
        Code::TimeWindow => "a time within the instruction's window",
        Code::Rate => "fewer calls",
        Code::RoleInsufficient => "a key of another role",
        Code::NotFound => "a lead that exists",
    }
}
