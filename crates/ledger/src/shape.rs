//! The wire shape of an entry and its rules, exactly those of access-log-entry.schema.json.
//!
//! The same structs write entries and read them back, so what the product writes and what the verifier
//! knows cannot drift apart. Members are declared in the order of RFC 8785, so that serialising is canonical as it
//! is ([`Shape::canonical`]). Texts stay texts here: an entry from elsewhere is judged by its form alone.

use std::collections::BTreeMap;

use leadvault_domain::{Category, FieldNo, Masking, Purpose, ReasonCode, Regime, Role, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};

use crate::entry::EntryError;
use crate::form::{
    is_country, is_decision, is_egress, is_hex, is_id, is_region, is_time, is_uuid, is_warning,
};
use crate::operation::LogOperation;
use crate::words::{ActorKind, Auth, EntryOutcome, Obligation, ResourceType};

/// Most references an entry carries inline; above it, a count and a salted digest (protocols.md 2.2).
pub(crate) const REFS_MAX: usize = 256;
/// Longest text in `own`, in characters.
const OWN_TEXT_MAX: usize = 200;
/// Longest checkpoint in `deferred`, in characters.
const DEFERRED_CHECKPOINT_MAX: usize = 2000;
/// Largest integer that RFC 8785 writes without loss: numbers are IEEE 754 doubles there.
const INTEGER_MAX: u64 = (1 << 53) - 1;
/// Version of the shape.
pub(crate) const SHAPE_VERSION: u8 = 1;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shape {
    pub(crate) actor: ActorShape,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u64>,
    pub(crate) decision: DecisionShape,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deferred: Option<DeferredShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) epoch: Option<u64>,
    pub(crate) instruction: Option<InstructionShape>,
    pub(crate) operation: LogOperation,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<EntryOutcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) own: Option<BTreeMap<String, OwnValue>>,
    pub(crate) place: PlaceShape,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) purpose: Option<Purpose>,
    pub(crate) reason: ReasonShape,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<String>,
    pub(crate) resource: ResourceShape,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub(crate) tenant_id: Option<TenantMember>,
    pub(crate) time: String,
    pub(crate) v: u8,
}

/// The tenant that an entry of the operator log concerns.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum TenantMember {
    Id(String),
    /// Written `null`: the entry concerns none.
    Nobody(()),
}

/// Keeps an explicit `null` apart from an absent member.
fn present<'de, D: Deserializer<'de>>(d: D) -> Result<Option<TenantMember>, D::Error> {
    TenantMember::deserialize(d).map(Some)
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActorShape {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) auth: Option<Auth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) employer: Option<String>,
    pub(crate) id: String,
    pub(crate) kind: ActorKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) on_behalf_of: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<Role>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReasonShape {
    pub(crate) code: ReasonCode,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dsr_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) grant_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) job_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) legal_id: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResourceShape {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) categories: Option<Vec<Category>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dataset: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fields: Option<Vec<FieldNo>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) masking: Option<Masking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) n: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plain: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refs: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refs_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) regimes: Option<Vec<Regime>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: ResourceType,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InstructionShape {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hash: Option<String>,
    pub(crate) id: String,
    pub(crate) version: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecisionShape {
    pub(crate) code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) obligations: Option<Vec<Obligation>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) policy_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) register_snapshot: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) warnings: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlaceShape {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) actor_country: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) actor_office_country: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data_region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) egress: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mechanism: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recipient: Option<String>,
}

/// A value in `own`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum OwnValue {
    Number(u64),
    Text(String),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeferredShape {
    pub(crate) checkpoint: String,
    pub(crate) index: u64,
    pub(crate) path: Vec<String>,
    pub(crate) until: String,
}

impl Shape {
    /// The RFC 8785 form. Members are declared in its order, whole numbers have one spelling, and texts are
    /// escaped as it says; what reads entries back compares with an implementation of others.
    ///
    /// # Errors
    /// [`EntryError::NotCanonical`]; none of the members can cause it.
    pub(crate) fn canonical(&self) -> Result<Vec<u8>, EntryError> {
        serde_json::to_vec(self).map_err(|_| EntryError::NotCanonical)
    }

    /// Whether the decision let data out.
    pub(crate) fn is_allow(&self) -> bool {
        self.decision.code.starts_with("ALLOW")
    }

    /// Checks every rule of the schema that the types do not hold by themselves.
    pub(crate) fn check(&self) -> Result<(), EntryError> {
        ensure(self.v == SHAPE_VERSION, "v")?;
        ensure(is_time(&self.time), "time")?;
        let tenant_ok = !matches!(&self.tenant_id, Some(TenantMember::Id(id)) if !is_uuid(id));
        ensure(tenant_ok, "tenant_id")?;
        ensure(all(self.request.as_deref(), |r| is_id(r, Some("req"))), "request")?;
        ensure(self.count.is_none_or(|n| (2..=INTEGER_MAX).contains(&n)), "count")?;
        ensure(self.epoch.is_none_or(|n| (1..=INTEGER_MAX).contains(&n)), "epoch")?;
        ensure(all(self.state.as_deref(), |s| is_hex(s, 64)), "state")?;
        self.actor.check()?;
        self.reason.check()?;
        self.resource.check()?;
        if let Some(instruction) = &self.instruction {
            ensure(is_id(&instruction.id, Some("ins")), "instruction.id")?;
            ensure((1..=INTEGER_MAX).contains(&instruction.version), "instruction.version")?;
            ensure(all(instruction.hash.as_deref(), |h| is_hex(h, 64)), "instruction.hash")?;
        }
        self.decision.check()?;
        self.place.check()?;
        ensure(self.own.iter().flatten().all(|(_, value)| value.is_valid()), "own")?;
        if let Some(deferred) = &self.deferred {
            deferred.check()?;
        }
        self.check_conditions()
    }

    /// The four conditional rules of the schema.
    fn check_conditions(&self) -> Result<(), EntryError> {
        let outside = matches!(self.actor.kind, ActorKind::OperatorStaff | ActorKind::Subprocessor);
        if outside && self.operation.is_data() {
            if self.place.actor_country.is_none() {
                return Err(EntryError::MissingCountry);
            }
            if self.reason.grant_id.is_none() && self.reason.legal_id.is_none() {
                return Err(EntryError::MissingGrant);
            }
        }
        if self.is_allow() && self.operation.is_data() {
            if self.purpose.is_none() {
                return Err(EntryError::MissingPurpose);
            }
            if self.instruction.is_none() {
                return Err(EntryError::MissingInstruction);
            }
        }
        if self.reason.code == ReasonCode::LegalProcess && self.reason.legal_id.is_none() {
            return Err(EntryError::MissingLegalId);
        }
        let erased = self.operation == LogOperation::EraseCompleted;
        if erased && (self.epoch.is_none() || self.state.is_none()) {
            return Err(EntryError::MissingEpoch);
        }
        Ok(())
    }
}

impl ActorShape {
    fn check(&self) -> Result<(), EntryError> {
        ensure(is_id(&self.id, None), "actor.id")?;
        ensure(
            all(self.employer.as_deref(), |e| {
                matches!(e, "tenant" | "operator") || is_id(e, Some("rcp"))
            }),
            "actor.employer",
        )?;
        ensure(all(self.on_behalf_of.as_deref(), |o| is_id(o, None)), "actor.on_behalf_of")
    }
}

impl ReasonShape {
    fn check(&self) -> Result<(), EntryError> {
        ensure(all(self.detail_sha256.as_deref(), |d| is_hex(d, 64)), "reason.detail_sha256")?;
        ensure(all(self.grant_id.as_deref(), |i| is_id(i, Some("gr"))), "reason.grant_id")?;
        ensure(all(self.dsr_id.as_deref(), |i| is_id(i, Some("dsr"))), "reason.dsr_id")?;
        ensure(all(self.legal_id.as_deref(), |i| is_id(i, Some("leg"))), "reason.legal_id")?;
        ensure(all(self.job_id.as_deref(), |i| is_id(i, Some("op"))), "reason.job_id")
    }
}

impl ResourceShape {
    fn check(&self) -> Result<(), EntryError> {
        ensure(all(self.id.as_deref(), |i| is_id(i, None)), "resource.id")?;
        ensure(all(self.dataset.as_deref(), |i| is_id(i, Some("ds"))), "resource.dataset")?;
        let refs_ok = self.refs.as_ref().is_none_or(|refs| {
            (1..=REFS_MAX).contains(&refs.len()) && refs.iter().all(|r| is_hex(r, 32))
        });
        ensure(refs_ok, "resource.refs")?;
        ensure(all(self.refs_sha256.as_deref(), |d| is_hex(d, 64)), "resource.refs_sha256")?;
        ensure(self.n.is_none_or(|n| n <= INTEGER_MAX), "resource.n")?;
        ensure(self.bytes.is_none_or(|n| n <= INTEGER_MAX), "resource.bytes")?;
        ensure(all(self.sha256.as_deref(), |d| is_hex(d, 64)), "resource.sha256")?;
        ensure(self.plain != Some(false), "resource.plain")
    }
}

impl DecisionShape {
    fn check(&self) -> Result<(), EntryError> {
        ensure(is_decision(&self.code), "decision.code")?;
        ensure(all(self.policy_version.as_deref(), |v| is_hex(v, 8)), "decision.policy_version")?;
        ensure(
            all(self.register_snapshot.as_deref(), |s| is_hex(s, 64)),
            "decision.register_snapshot",
        )?;
        ensure(self.warnings.iter().flatten().all(|w| is_warning(w)), "decision.warnings")
    }
}

impl PlaceShape {
    fn check(&self) -> Result<(), EntryError> {
        ensure(all(self.data_region.as_deref(), is_region), "place.data_region")?;
        ensure(all(self.actor_country.as_deref(), is_country), "place.actor_country")?;
        ensure(
            all(self.actor_office_country.as_deref(), is_country),
            "place.actor_office_country",
        )?;
        ensure(all(self.egress.as_deref(), is_egress), "place.egress")?;
        ensure(all(self.recipient.as_deref(), |i| is_id(i, Some("rcp"))), "place.recipient")?;
        ensure(all(self.mechanism.as_deref(), |i| is_id(i, Some("mec"))), "place.mechanism")
    }
}

impl OwnValue {
    fn is_valid(&self) -> bool {
        match self {
            Self::Number(n) => *n <= INTEGER_MAX,
            Self::Text(text) => {
                (1..=OWN_TEXT_MAX).contains(&text.len())
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=_.:-".contains(&b))
            }
        }
    }
}

impl DeferredShape {
    pub(crate) fn check(&self) -> Result<(), EntryError> {
        ensure(Timestamp::parse_rfc3339(&self.until).is_some(), "deferred.until")?;
        ensure(self.index <= INTEGER_MAX, "deferred.index")?;
        ensure(self.path.iter().all(|p| is_hex(p, 64)), "deferred.path")?;
        let short = self.checkpoint.chars().count() <= DEFERRED_CHECKPOINT_MAX;
        ensure(short, "deferred.checkpoint")
    }
}

fn ensure(holds: bool, member: &'static str) -> Result<(), EntryError> {
    if holds { Ok(()) } else { Err(EntryError::Member(member)) }
}

fn all(value: Option<&str>, holds: impl Fn(&str) -> bool) -> bool {
    value.is_none_or(holds)
}
