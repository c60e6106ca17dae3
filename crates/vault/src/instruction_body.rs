//! The body of an instruction as a caller sends it: everything but what the server sets (id, version,
//! status, tenant, actor, salt, hash, time). `api` reads it with places.

use leadvault_domain::{
    Agreement, Conditions, DataScope, Effect, Evidence, Instruction, InstructionId,
    InstructionKind, InstructionStatus, Issuer, Legal, Locations, Operation, Party, Purpose,
    RecipientGrant, Retention, SubjectScope, TenantId, Timestamp, Validity,
};
use serde::Deserialize;
use serde_json::Value;

/// Who issues, as the caller says it; the actor is the server's to set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerBody {
    party: Party,
    authority: String,
    #[serde(default)]
    display_name: Option<String>,
}

/// A body whose every member has the schema's form.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstructionBody {
    agreement: Agreement,
    kind: InstructionKind,
    effect: Effect,
    purposes: Vec<Purpose>,
    operations: Vec<Operation>,
    data: DataScope,
    subjects: SubjectScope,
    recipients: Vec<RecipientGrant>,
    locations: Locations,
    #[serde(default)]
    retention: Option<Retention>,
    #[serde(default)]
    conditions: Option<Conditions>,
    #[serde(default)]
    legal: Option<Legal>,
    validity: Validity,
    evidence: Vec<Evidence>,
    issuer: IssuerBody,
    #[serde(default)]
    semantics: Option<Value>,
}

/// What the server adds to a body.
#[derive(Debug, Clone)]
pub(crate) struct ServerPart {
    pub(crate) id: InstructionId,
    pub(crate) version: u32,
    pub(crate) tenant: TenantId,
    pub(crate) actor: String,
    pub(crate) salt: [u8; 16],
    pub(crate) at: Timestamp,
}

impl InstructionBody {
    /// The draft of a version, still without its hash.
    pub(crate) fn into_draft(self, server: ServerPart) -> Instruction {
        let before = server.version.checked_sub(1).filter(|v| *v > 0);
        Instruction {
            id: server.id,
            version: server.version,
            supersedes: before.map(|v| format!("{};v={v}", server.id)),
            tenant_id: server.tenant,
            agreement: self.agreement,
            kind: self.kind,
            status: InstructionStatus::Draft,
            issuer: Issuer {
                party: self.issuer.party,
                actor_id: server.actor,
                display_name: self.issuer.display_name,
                authority: self.issuer.authority,
                second_approver_id: None,
            },
            effect: self.effect,
            purposes: self.purposes,
            operations: self.operations,
            data: self.data,
            subjects: self.subjects,
            recipients: self.recipients,
            locations: self.locations,
            retention: self.retention,
            conditions: self.conditions,
            legal: self.legal,
            validity: self.validity,
            evidence: self.evidence,
            semantics: self.semantics,
            created_at: Some(server.at),
            salt: hex::encode(server.salt),
            hash: String::new(),
            signature: None,
        }
    }
}
