//! Building an entry member by member: ids and enumerations, never text of a person.

use std::collections::BTreeMap;

use leadvault_crypto::LeadRef;
use leadvault_domain::{
    Category, Country, DatasetId, DecisionCode, FieldNo, LeafRange, Masking, OperationId, Place,
    Purpose, ReasonCode, RecipientId, Regime, Region, RequestId, TenantId, Timestamp,
};

use crate::Hash;
use crate::actor::{Actor, InstructionStamp};
use crate::entity::EntityId;
use crate::entry::{Covers, Entry, EntryError};
use crate::operation::LogOperation;
use crate::shape::{
    DecisionShape, InstructionShape, OwnValue, PlaceShape, ReasonShape, ResourceShape,
    SHAPE_VERSION, Shape, TenantMember,
};
use crate::words::{EntryOutcome, Obligation, ResourceType};

/// An entry being built. [`EntryDraft::finish`] checks it against every rule of the schema.
#[derive(Debug, Clone)]
pub struct EntryDraft {
    time: Timestamp,
    refs: Vec<LeadRef>,
    ranges: Vec<LeafRange>,
    shape: Shape,
}

impl EntryDraft {
    /// An entry with the members that every entry has.
    pub fn new(
        time: Timestamp,
        actor: Actor,
        reason: ReasonCode,
        operation: LogOperation,
        resource: ResourceType,
        code: DecisionCode,
    ) -> Self {
        Self {
            time,
            refs: Vec::new(),
            ranges: Vec::new(),
            shape: Shape {
                v: SHAPE_VERSION,
                time: time.rfc3339(),
                tenant_id: None,
                request: None,
                count: None,
                actor: actor.shape(),
                reason: ReasonShape {
                    code: reason,
                    detail_sha256: None,
                    grant_id: None,
                    dsr_id: None,
                    legal_id: None,
                    job_id: None,
                },
                purpose: None,
                operation,
                resource: ResourceShape {
                    kind: resource,
                    id: None,
                    dataset: None,
                    refs: None,
                    refs_sha256: None,
                    fields: None,
                    categories: None,
                    regimes: None,
                    n: None,
                    bytes: None,
                    sha256: None,
                    plain: None,
                    masking: None,
                },
                instruction: None,
                decision: DecisionShape {
                    code: code.as_str().to_owned(),
                    policy_version: None,
                    register_snapshot: None,
                    warnings: None,
                    obligations: None,
                },
                place: PlaceShape::default(),
                outcome: None,
                epoch: None,
                state: None,
                own: None,
                deferred: None,
            },
        }
    }

    /// Names the tenant, or none: entries of the operator log only.
    #[must_use]
    pub fn tenant(mut self, tenant: Option<TenantId>) -> Self {
        self.shape.tenant_id = Some(
            tenant.map_or(TenantMember::Nobody(()), |t| TenantMember::Id(t.uuid().to_string())),
        );
        self
    }

    /// The request it belongs to.
    #[must_use]
    pub fn request(mut self, request: RequestId) -> Self {
        self.shape.request = Some(request.to_string());
        self
    }

    /// How many identical denials this entry stands for; one is not written.
    #[must_use]
    pub fn count(mut self, denials: u64) -> Self {
        self.shape.count = (denials > 1).then_some(denials);
        self
    }

    /// Why data is processed.
    #[must_use]
    pub fn purpose(mut self, purpose: Purpose) -> Self {
        self.shape.purpose = Some(purpose);
        self
    }

    /// The instruction it happened under.
    #[must_use]
    pub fn instruction(mut self, stamp: InstructionStamp) -> Self {
        self.shape.instruction = Some(InstructionShape {
            id: stamp.id.to_string(),
            version: u64::from(stamp.version),
            hash: stamp.hash,
        });
        self
    }

    /// A verdict outside of `DecisionCode`: those of transfers.md 3.6.
    #[must_use]
    pub fn verdict(mut self, code: &'static str) -> Self {
        code.clone_into(&mut self.shape.decision.code);
        self
    }

    /// The version of the policy bundle: first four bytes of its SHA-256.
    #[must_use]
    pub fn policy_version(mut self, version: [u8; 4]) -> Self {
        self.shape.decision.policy_version = Some(hex::encode(version));
        self
    }

    /// Digest of the registers the decision read.
    #[must_use]
    pub fn register_snapshot(mut self, snapshot: Hash) -> Self {
        self.shape.decision.register_snapshot = Some(hex::encode(snapshot));
        self
    }

    /// Warnings of the decision (`W_…`); none is the absence of the member.
    #[must_use]
    pub fn warnings(mut self, warnings: impl IntoIterator<Item = &'static str>) -> Self {
        self.shape.decision.warnings = some(warnings.into_iter().map(str::to_owned));
        self
    }

    /// Obligations of the decision. A word that is none makes [`EntryDraft::finish`] fail.
    #[must_use]
    pub fn obligations(mut self, words: impl IntoIterator<Item = &'static str>) -> Self {
        let parsed: Result<Vec<Obligation>, _> = words.into_iter().map(str::parse).collect();
        match parsed {
            Ok(obligations) => self.shape.decision.obligations = some(obligations),
            // No such version is ever valid: the draft stays refused.
            Err(_) => self.shape.v = 0,
        }
        self
    }

    /// The thing that was touched, where it is not a lead.
    #[must_use]
    pub fn resource_id(mut self, id: impl Into<EntityId>) -> Self {
        self.shape.resource.id = Some(id.into().to_string());
        self
    }

    /// The dataset.
    #[must_use]
    pub fn dataset(mut self, dataset: DatasetId) -> Self {
        self.shape.resource.dataset = Some(dataset.to_string());
        self
    }

    /// The leads, up to 256, by reference. A receipt for the entry opens them.
    #[must_use]
    pub fn refs(mut self, refs: impl IntoIterator<Item = LeadRef>) -> Self {
        self.refs = refs.into_iter().collect();
        self.shape.resource.refs = some(self.refs.iter().map(ToString::to_string));
        self
    }

    /// More than 256 leads: SHA-256(salt ‖ list of leaf ranges).
    #[must_use]
    pub fn refs_sha256(mut self, digest: Hash) -> Self {
        self.shape.resource.refs_sha256 = Some(hex::encode(digest));
        self
    }

    /// The leaf ranges that stand behind [`EntryDraft::refs_sha256`]. A receipt for the entry opens them.
    #[must_use]
    pub fn covering_ranges(mut self, ranges: Vec<LeafRange>) -> Self {
        self.ranges = ranges;
        self
    }

    /// Fields that were touched.
    #[must_use]
    pub fn fields(mut self, fields: impl IntoIterator<Item = FieldNo>) -> Self {
        self.shape.resource.fields = some(fields);
        self
    }

    /// Categories that were touched.
    #[must_use]
    pub fn categories(mut self, categories: impl IntoIterator<Item = Category>) -> Self {
        self.shape.resource.categories = some(categories);
        self
    }

    /// Origin regimes of what was touched.
    #[must_use]
    pub fn regimes(mut self, regimes: impl IntoIterator<Item = Regime>) -> Self {
        self.shape.resource.regimes = some(regimes);
        self
    }

    /// How many things it concerns.
    #[must_use]
    pub fn n(mut self, count: u64) -> Self {
        self.shape.resource.n = Some(count);
        self
    }

    /// Size in bytes of what was handed out or taken in.
    #[must_use]
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.shape.resource.bytes = Some(bytes);
        self
    }

    /// Digest of what was handed out or loaded; never of content that could be guessed.
    #[must_use]
    pub fn sha256(mut self, digest: Hash) -> Self {
        self.shape.resource.sha256 = Some(hex::encode(digest));
        self
    }

    /// An export whose caller chose no encryption.
    #[must_use]
    pub fn plain(mut self) -> Self {
        self.shape.resource.plain = Some(true);
        self
    }

    /// How much of the values came out.
    #[must_use]
    pub fn masking(mut self, masking: Masking) -> Self {
        self.shape.resource.masking = Some(masking);
        self
    }

    /// SHA-256(salt ‖ text) of a justification that is sealed off the log.
    #[must_use]
    pub fn detail_sha256(mut self, digest: Hash) -> Self {
        self.shape.reason.detail_sha256 = Some(hex::encode(digest));
        self
    }

    /// The grant (`gr_…`).
    #[must_use]
    pub fn grant(mut self, id: &EntityId) -> Self {
        self.shape.reason.grant_id = Some(id.to_string());
        self
    }

    /// The request of a data subject (`dsr_…`).
    #[must_use]
    pub fn dsr(mut self, id: &EntityId) -> Self {
        self.shape.reason.dsr_id = Some(id.to_string());
        self
    }

    /// The legal process (`leg_…`).
    #[must_use]
    pub fn legal(mut self, id: &EntityId) -> Self {
        self.shape.reason.legal_id = Some(id.to_string());
        self
    }

    /// The job.
    #[must_use]
    pub fn job(mut self, id: OperationId) -> Self {
        self.shape.reason.job_id = Some(id.to_string());
        self
    }

    /// The region, where it is not that of the cell.
    #[must_use]
    pub fn data_region(mut self, region: &Region) -> Self {
        self.shape.place.data_region = Some(region.as_str().to_owned());
        self
    }

    /// Where the actor was.
    #[must_use]
    pub fn actor_country(mut self, country: Country) -> Self {
        self.shape.place.actor_country = Some(country.as_str().to_owned());
        self
    }

    /// Where the actor's office is.
    #[must_use]
    pub fn actor_office_country(mut self, country: Country) -> Self {
        self.shape.place.actor_office_country = Some(country.as_str().to_owned());
        self
    }

    /// Where data went.
    #[must_use]
    pub fn egress(mut self, place: &Place) -> Self {
        self.shape.place.egress = Some(place.as_str().to_owned());
        self
    }

    /// Whom it went to.
    #[must_use]
    pub fn recipient(mut self, recipient: RecipientId) -> Self {
        self.shape.place.recipient = Some(recipient.to_string());
        self
    }

    /// The transfer mechanism (`mec_…`).
    #[must_use]
    pub fn mechanism(mut self, id: &EntityId) -> Self {
        self.shape.place.mechanism = Some(id.to_string());
        self
    }

    /// How it ended, where it did not end well.
    #[must_use]
    pub fn outcome(mut self, outcome: EntryOutcome) -> Self {
        self.shape.outcome = Some(outcome);
        self
    }

    /// Key epoch and SHA-256 of its directory: erasures and rotations.
    #[must_use]
    pub fn epoch(mut self, epoch: u32, state: Hash) -> Self {
        self.shape.epoch = Some(u64::from(epoch));
        self.shape.state = Some(hex::encode(state));
        self
    }

    /// A number of the log's own operations (LOGGING.md, `own`).
    #[must_use]
    pub fn own_number(self, name: &'static str, value: u64) -> Self {
        self.own(name, OwnValue::Number(value))
    }

    /// A hash or id of the log's own operations: 1 to 200 of `0-9A-Za-z+/=_.:-`.
    #[must_use]
    pub fn own_text(self, name: &'static str, value: impl Into<String>) -> Self {
        self.own(name, OwnValue::Text(value.into()))
    }

    fn own(mut self, name: &'static str, value: OwnValue) -> Self {
        let own = self.shape.own.get_or_insert_with(BTreeMap::new);
        own.insert(name.to_owned(), value);
        self
    }

    /// The entry, in RFC 8785 form. Only an allowance covers leads: nothing opens under a denial.
    ///
    /// # Errors
    /// [`EntryError`] where a rule of the schema does not hold.
    pub fn finish(self) -> Result<Entry, EntryError> {
        self.shape.check()?;
        if !self.ranges.is_empty() && self.shape.resource.refs_sha256.is_none() {
            return Err(EntryError::RangesWithoutDigest);
        }
        let bytes = self.shape.canonical()?;
        let covers = if self.shape.is_allow() {
            Covers { refs: self.refs, ranges: self.ranges }
        } else {
            Covers::default()
        };
        Entry::new(bytes, self.time, covers)
    }
}

/// An empty list is the absence of the member.
fn some<T>(items: impl IntoIterator<Item = T>) -> Option<Vec<T>> {
    let list: Vec<T> = items.into_iter().collect();
    (!list.is_empty()).then_some(list)
}
