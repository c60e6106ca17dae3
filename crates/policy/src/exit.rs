//! `tenant_exit_v1`: the body of the one-off permit that the tenant's own export, erase and shred make.
//!
//! Everything of the tenant, to the tenant, in the places it already has. It needs no agreement in force
//! and works in the states restricted and closing. It never covers another recipient: that is `disclose`.

use leadvault_domain::{
    Agreement, Category, Country, DataScope, Effect, Evidence, Instruction, InstructionId,
    InstructionKind, InstructionStatus, Issuer, Locations, Operation, Party, Place, Purpose,
    RecipientGrant, RecipientRole, SubjectKind, SubjectScope, TenantId, Timestamp, Validity,
};

/// How long the permit holds after it was made, in seconds: 30 days (decisions.md 1).
pub const VALIDITY_SECONDS: i64 = 30 * 24 * 60 * 60;

/// What the built-in text is filled in with.
#[derive(Debug, Clone)]
pub struct ExitFacts {
    /// Id of the new instruction.
    pub id: InstructionId,
    /// The tenant: controller and recipient.
    pub tenant: TenantId,
    /// The operations of the call. A permit to erase where `erase` is among them, else to export.
    pub operations: Vec<Operation>,
    /// The last agreement known, in force or not.
    pub agreement: Agreement,
    /// The tenant's store list.
    pub store: Vec<Place>,
    /// The tenant's access list; the controller's country is added.
    pub access: Vec<Place>,
    /// Country of the controller.
    pub controller_country: Country,
    /// The principal that called, as text.
    pub actor: String,
    /// The request's id, as text: the evidence.
    pub request: String,
    /// SHA-256 over method, path and body of the call, 64 hex digits.
    pub evidence_sha256: String,
    /// 16 random bytes, 32 hex digits.
    pub salt: String,
    /// Now.
    pub at: Timestamp,
}

/// The permit, active, without `hash` and `signature`: those the vault adds before it is used.
pub fn tenant_exit(facts: &ExitFacts) -> Instruction {
    let (operation, purpose) = if facts.operations.contains(&Operation::Erase) {
        (Operation::Erase, Purpose::RetentionDeletion)
    } else {
        (Operation::Export, Purpose::ProvideService)
    };
    let mut access = facts.access.clone();
    let home = Place::from(facts.controller_country);
    if !access.contains(&home) {
        access.push(home);
    }
    Instruction {
        id: facts.id,
        version: 1,
        supersedes: None,
        tenant_id: facts.tenant,
        agreement: facts.agreement.clone(),
        kind: InstructionKind::OneOff,
        status: InstructionStatus::Active,
        issuer: Issuer {
            party: Party::Controller,
            actor_id: facts.actor.clone(),
            display_name: None,
            authority: "api_key".to_owned(),
            second_approver_id: None,
        },
        effect: Effect::Permit,
        purposes: vec![purpose],
        operations: vec![operation],
        data: DataScope {
            datasets: Vec::new(),
            categories: Category::ALL.to_vec(),
            fields_include: Vec::new(),
            fields_exclude: Vec::new(),
            filter: None,
            max_records: None,
            masking: None,
        },
        subjects: SubjectScope {
            categories: SubjectKind::ALL.to_vec(),
            regimes: Vec::new(),
            minors: None,
            subject_refs: Vec::new(),
        },
        recipients: vec![RecipientGrant {
            recipient_id: facts.tenant.to_string(),
            role: RecipientRole::TenantUser,
            operations: Vec::new(),
        }],
        locations: Locations {
            store: facts.store.clone(),
            access,
            transfer_mechanisms: Vec::new(),
        },
        retention: None,
        conditions: None,
        legal: None,
        validity: Validity {
            from: facts.at,
            until: Some(facts.at.plus_seconds(VALIDITY_SECONDS)),
            review_by: None,
        },
        evidence: vec![Evidence {
            kind: "api_call".to_owned(),
            reference: facts.request.clone(),
            sha256: facts.evidence_sha256.clone(),
            captured_at: Some(facts.at),
        }],
        semantics: None,
        created_at: Some(facts.at),
        salt: facts.salt.clone(),
        hash: String::new(),
        signature: None,
    }
}
