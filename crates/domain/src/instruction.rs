//! An instruction of a controller (instruction.schema.json): one version, as the register keeps it.

use serde::{Deserialize, Serialize};

use crate::{
    Category, Effect, HonourFlag, InstructionId, InstructionKind, InstructionStatus, Masking,
    Operation, Party, Place, Purpose, RecipientRole, Regime, SubjectKind, TenantApproval, TenantId,
    Timestamp,
};

/// One version of an instruction. Versions are immutable but for `status` and `legal.challenge`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instruction {
    /// Its id, the same for all versions.
    pub id: InstructionId,
    /// From 1.
    pub version: u32,
    /// The version before, as text (`ins_…;v=1`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<String>,
    /// The controller.
    pub tenant_id: TenantId,
    /// The agreement it belongs to.
    pub agreement: Agreement,
    /// Standing, one-off, emergency, legal requirement.
    pub kind: InstructionKind,
    /// Where this version stands in its life.
    pub status: InstructionStatus,
    /// Who instructed.
    pub issuer: Issuer,
    /// Permit or prohibit.
    pub effect: Effect,
    /// At least one.
    pub purposes: Vec<Purpose>,
    /// At least one.
    pub operations: Vec<Operation>,
    /// Which data.
    pub data: DataScope,
    /// About whom.
    pub subjects: SubjectScope,
    /// To whom it may go.
    pub recipients: Vec<RecipientGrant>,
    /// Where it may lie and be seen.
    pub locations: Locations,
    /// How long it may be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// Conditions evaluated per call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Conditions>,
    /// Legal basis label, legal requirement, challenge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legal: Option<Legal>,
    /// From when to when.
    pub validity: Validity,
    /// At least one: "documented".
    pub evidence: Vec<Evidence>,
    /// Optional DPV / ODRL projection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub semantics: Option<serde_json::Value>,
    /// When this version was drafted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// 16 random bytes, hex.
    pub salt: String,
    /// SHA-256 over the RFC 8785 form without hash, signature, status, `created_at`, legal.challenge.
    pub hash: String,
    /// The log key's signature over `hash`, base64, once activated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// The agreement an instruction belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its text, 64 hex digits.
    pub sha256: String,
    /// The clause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clause: Option<String>,
}

/// Who issued an instruction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// The party.
    pub party: Party,
    /// The principal, set by the server.
    pub actor_id: String,
    /// A name to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// One of the schema's words.
    pub authority: String,
    /// The second person, where the party that issued it names one. The server never does: the hash covers
    /// it, and is the same from the draft on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_approver_id: Option<String>,
}

/// Which data an instruction covers. Absent or empty lists (but categories) cover everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataScope {
    /// Dataset ids as text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub datasets: Vec<String>,
    /// At least one. `unclassified` only where named.
    pub categories: Vec<Category>,
    /// Field names that are covered; empty = all of the categories.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields_include: Vec<String>,
    /// Field names that are not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields_exclude: Vec<String>,
    /// Expression over labels (decisions.md 1.7).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Most leads per call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_records: Option<u64>,
    /// How much of a value may go out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masking: Option<Masking>,
}

/// Whom an instruction covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubjectScope {
    /// At least one.
    pub categories: Vec<SubjectKind>,
    /// Regimes; empty = all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regimes: Vec<Regime>,
    /// Always `refuse`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minors: Option<String>,
    /// Single subjects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subject_refs: Vec<String>,
}

/// A recipient an instruction names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipientGrant {
    /// Id in the register.
    pub recipient_id: String,
    /// Its role.
    pub role: RecipientRole,
    /// Operations; empty = all of the instruction.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<Operation>,
}

/// Where data may lie and from where it may be seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locations {
    /// At least one.
    pub store: Vec<Place>,
    /// At least one.
    pub access: Vec<Place>,
    /// Mechanism ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transfer_mechanisms: Vec<String>,
}

/// How long data may be kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// ISO 8601 duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<String>,
    /// `delete`, `anonymise`, `return_then_delete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_end: Option<String>,
    /// Holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hold_ids: Vec<String>,
}

/// Conditions evaluated per call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Conditions {
    /// Whether the tenant approves each use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_approval: Option<TenantApproval>,
    /// Two people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dual_control: Option<bool>,
    /// `Mon-Fri 08:00-18:00 Europe/Berlin`, several separated by `;`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_window: Option<String>,
    /// Calls per hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_hour: Option<u32>,
    /// Flags that must be honoured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub honour_flags: Vec<HonourFlag>,
}

/// The legal side of an instruction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Legal {
    /// The controller's label of its basis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller_legal_basis: Option<String>,
    /// The law, where kind is `legal_requirement`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requirement: Option<String>,
    /// End of a gag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification_prohibited_until: Option<Timestamp>,
    /// The operator's challenge; not covered by the hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<serde_json::Value>,
}

/// From when to when an instruction holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validity {
    /// Start.
    pub from: Timestamp,
    /// End; required for one-off and emergency permits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// `YYYY-MM-DD`; past it is the warning `W_REVIEW_DUE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_by: Option<String>,
}

/// What documents an instruction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// One of the schema's words.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it is.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Its SHA-256, 64 hex digits.
    pub sha256: String,
    /// When it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captured_at: Option<Timestamp>,
}
