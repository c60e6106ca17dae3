//! A world in which one call is permitted, for tests to spoil.

use leadvault_domain::{
    Agreement, Category, Conditions, DataScope, DatasetId, DecisionCode, Effect, Employer,
    Evidence, FieldNo, ImportId, Instruction, InstructionId, InstructionKind, InstructionStatus,
    Issuer, Labels, LeadId, Locations, Operation, Party, Place, PrincipalId, Purpose,
    RecipientGrant, RecipientId, RecipientRole, Regime, Role, SubjectKind, SubjectScope,
    TenantApproval, TenantId, Timestamp, Validity,
};
use leadvault_policy::{
    Actor, Approvals, Ask, Denied, Facts, Named, RecipientRow, RegisterStatus, Verdict, decide,
};

pub(crate) fn tenant() -> TenantId {
    TenantId::from_bytes([1; 16])
}
pub(crate) fn dataset(n: u8) -> DatasetId {
    DatasetId::from_bytes([n; 16])
}
pub(crate) fn batch(n: u8) -> ImportId {
    ImportId::from_bytes([n; 16])
}
pub(crate) fn lead(n: u8) -> LeadId {
    LeadId::from_bytes([n; 16])
}
pub(crate) fn recipient(n: u8) -> RecipientId {
    RecipientId::from_bytes([n; 16])
}
pub(crate) fn instruction_id(n: u8) -> InstructionId {
    InstructionId::from_bytes([n; 16])
}
pub(crate) fn principal(n: u8) -> PrincipalId {
    PrincipalId::from_bytes([n; 16])
}
pub(crate) fn place(text: &str) -> Place {
    text.parse().expect("a place")
}
pub(crate) fn time(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect("a time")
}
pub(crate) fn agreement() -> Agreement {
    Agreement {
        id: "dpa-1".to_owned(),
        version: "1".to_owned(),
        sha256: "ab".repeat(32),
        clause: None,
    }
}

/// A plain active permit or prohibit: everything the words state, no limits, in Germany.
pub(crate) fn instruction(n: u8) -> Instruction {
    Instruction {
        id: instruction_id(n),
        version: 1,
        supersedes: None,
        tenant_id: tenant(),
        agreement: agreement(),
        kind: InstructionKind::Standing,
        status: InstructionStatus::Active,
        issuer: Issuer {
            party: Party::Controller,
            actor_id: principal(1).to_string(),
            display_name: None,
            authority: "privacy_admin".to_owned(),
            second_approver_id: None,
        },
        effect: Effect::Permit,
        purposes: vec![Purpose::CrmOperations],
        operations: Operation::ALL.to_vec(),
        data: DataScope {
            datasets: Vec::new(),
            categories: vec![Category::Contact, Category::Identity],
            fields_include: Vec::new(),
            fields_exclude: Vec::new(),
            filter: None,
            max_records: None,
            masking: None,
        },
        subjects: SubjectScope {
            categories: vec![SubjectKind::Lead],
            regimes: Vec::new(),
            minors: None,
            subject_refs: Vec::new(),
        },
        recipients: Vec::new(),
        locations: Locations {
            store: vec![place("DE")],
            access: vec![place("DE")],
            transfer_mechanisms: Vec::new(),
        },
        retention: None,
        conditions: None,
        legal: None,
        validity: Validity { from: time("2026-01-01T00:00:00Z"), until: None, review_by: None },
        evidence: vec![Evidence {
            kind: "contract_annex".to_owned(),
            reference: "annex 1".to_owned(),
            sha256: "cd".repeat(32),
            captured_at: None,
        }],
        semantics: None,
        created_at: None,
        salt: "00".repeat(16),
        hash: "ef".repeat(32),
        signature: None,
    }
}

pub(crate) fn prohibit(n: u8) -> Instruction {
    Instruction { effect: Effect::Prohibit, ..instruction(n) }
}

/// Everything a decision is made of.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) ask: Ask,
    pub(crate) actor: Actor,
    pub(crate) instructions: Vec<Instruction>,
    pub(crate) default: Option<InstructionId>,
    pub(crate) facts: Facts,
    pub(crate) at: Timestamp,
}

impl World {
    /// The controller reads the e-mail of one lead, under instruction 1.
    pub(crate) fn plain() -> Self {
        let mut ask =
            Ask::new(vec![Operation::Read]).with_fields([(FieldNo::EMAIL, Category::Contact)]);
        ask.purpose = Some(Purpose::CrmOperations);
        ask.named = Some(Named { id: instruction_id(1), version: None });
        ask.dataset = Some(dataset(1));
        ask.lead = Some(lead(1));
        ask.labels = Some(Labels::default().with_regimes([Regime::Eu]));
        let mut facts = Facts::default_for(tenant());
        facts.store_places = vec![place("DE")];
        Self {
            ask,
            actor: Actor {
                role: Role::Controller,
                employer: Employer::Tenant,
                country: "DE".parse().expect("a country"),
                principal: principal(1),
                staff: false,
                datasets: None,
            },
            instructions: vec![instruction(1)],
            default: None,
            facts,
            at: time("2026-11-23T09:00:00Z"),
        }
    }

    /// A marketing push that touches every dimension: each of them is limited and fits.
    pub(crate) fn tight() -> Self {
        let mut world = Self::plain();
        world.ask.operations = vec![Operation::Disclose, Operation::Erase];
        world.ask.purpose = Some(Purpose::TenantMarketing);
        world.ask.recipient = Some(recipient(1));
        world.ask.batch = Some(batch(1));
        world.ask.records = 10;
        world.facts.recipients = vec![RecipientRow::new(recipient(1), RegisterStatus::Authorised)];
        world.facts.agreement = Some(agreement());
        world.facts.approvals =
            Approvals { session: true, request: true, second: Some(principal(2)) };
        world.facts.calls_last_hour = 4;
        let permit = world.permit();
        permit.purposes = vec![Purpose::TenantMarketing];
        permit.operations = vec![Operation::Disclose, Operation::Erase];
        permit.data.datasets = vec![dataset(1).to_string()];
        permit.data.categories.push(Category::Biometric);
        permit.data.fields_exclude = vec!["birth_date".to_owned()];
        permit.data.filter = Some(format!("batch = \"{}\"", batch(1)));
        permit.data.max_records = Some(10);
        permit.subjects.regimes = vec![Regime::Eu];
        permit.subjects.subject_refs = vec![lead(1).to_string()];
        permit.recipients = vec![RecipientGrant {
            recipient_id: recipient(1).to_string(),
            role: RecipientRole::Subprocessor,
            operations: Vec::new(),
        }];
        permit.validity.until = Some(time("2026-12-31T00:00:00Z"));
        permit.conditions = Some(Conditions {
            tenant_approval: Some(TenantApproval::PerRequest),
            dual_control: Some(true),
            time_window: Some("Mon-Fri 08:00-18:00 Europe/Berlin".to_owned()),
            rate_per_hour: Some(5),
            honour_flags: Vec::new(),
        });
        world
    }

    /// Instruction 1.
    pub(crate) fn permit(&mut self) -> &mut Instruction {
        self.instructions.first_mut().expect("instruction 1")
    }

    pub(crate) fn decide(&self) -> Verdict {
        decide(&self.ask, &self.actor, &self.instructions, self.default, &self.facts, self.at)
    }

    pub(crate) fn code(&self) -> DecisionCode {
        self.decide().code().expect("decided")
    }

    pub(crate) fn denied(&self) -> Denied {
        match self.decide() {
            Verdict::Deny(denied) => *denied,
            other => panic!("expected a denial: {other:?}"),
        }
    }

    pub(crate) fn allowed(&self) -> leadvault_policy::Allowed {
        match self.decide() {
            Verdict::Allow(allowed) => *allowed,
            other => panic!("expected an allowance: {other:?}"),
        }
    }
}
