//! What the caller looked up before it asked: states, registers, approvals, the grant.
//!
//! Facts, not opinions: nothing in here says allow.

use leadvault_domain::{
    Agreement, Category, CategorySet, DatasetId, InstructionId, KeyState, Operation, Place,
    PrincipalId, Purpose, RecipientId, TenantId, TenantState, Timestamp,
};

/// The state of the world a decision is made in.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The tenant whose data it is. Instructions of others do not count.
    pub tenant: TenantId,
    /// Its state.
    pub tenant_state: TenantState,
    /// The state of its key.
    pub key_state: KeyState,
    /// Whether an agreement is in force.
    pub agreement_in_force: bool,
    /// The agreement in force. Where it is given, an instruction bound to another one is not in force;
    /// `None` = bindings are not compared.
    pub agreement: Option<Agreement>,
    /// Where the data lies or would be put.
    pub store_places: Vec<Place>,
    /// The rows of the recipient register this call meets.
    pub recipients: Vec<RecipientRow>,
    /// Approvals given for this call.
    pub approvals: Approvals,
    /// Calls under the candidate instruction within the last 3,600 seconds, this one not counted.
    pub calls_last_hour: u32,
    /// The grant of a support session.
    pub grant: Option<Grant>,
}

impl Facts {
    /// An active tenant with an active key and an agreement in force; nothing else known.
    pub fn default_for(tenant: TenantId) -> Self {
        Self {
            tenant,
            tenant_state: TenantState::Active,
            key_state: KeyState::Active,
            agreement_in_force: true,
            agreement: None,
            store_places: Vec::new(),
            recipients: Vec::new(),
            approvals: Approvals::default(),
            calls_last_hour: 0,
            grant: None,
        }
    }
}

/// Where a recipient stands in the register (Art. 28(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegisterStatus {
    /// May receive.
    Authorised,
    /// Announced; the tenant may still object.
    NoticeOpen,
    /// The tenant objected.
    Objected,
    /// Known, but not authorised (any more).
    NotAuthorised,
}

/// One row of the recipient register, with its limits. `None` = not limited; an empty list
/// lets nothing through.
#[derive(Debug, Clone)]
pub struct RecipientRow {
    /// The recipient.
    pub recipient: RecipientId,
    /// Where it stands.
    pub status: RegisterStatus,
    /// Operations it may be used for.
    pub operations: Option<Vec<Operation>>,
    /// Purposes it may be used for.
    pub purposes: Option<Vec<Purpose>>,
    /// Categories it may receive.
    pub categories: Option<Vec<Category>>,
}

impl RecipientRow {
    /// A row without limits.
    pub fn new(recipient: RecipientId, status: RegisterStatus) -> Self {
        Self { recipient, status, operations: None, purposes: None, categories: None }
    }
}

/// What people approved for this call.
#[derive(Debug, Clone, Default)]
pub struct Approvals {
    /// The tenant approved this session.
    pub session: bool,
    /// The tenant approved this very request (counts for the session too).
    pub request: bool,
    /// The second person; must be another principal than the actor.
    pub second: Option<PrincipalId>,
}

/// State of a grant as the support desk keeps it (support.md 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantState {
    /// Requested or approved, not opened: as good as none.
    Waiting,
    /// Open.
    Active,
    /// Closed by its holder or by time.
    Closed,
    /// Taken back.
    Revoked,
}

/// The grant a support session runs under. Immutable once approved; a change is another grant.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The one-off permit the tenant's approval made.
    pub instruction: InstructionId,
    /// Its version.
    pub version: Option<u32>,
    /// Its state.
    pub state: GrantState,
    /// Start.
    pub from: Timestamp,
    /// End, by server time.
    pub until: Timestamp,
    /// Operations it opens.
    pub operations: Vec<Operation>,
    /// Datasets; `None` = all.
    pub datasets: Option<Vec<DatasetId>>,
    /// Categories it opens.
    pub categories: CategorySet,
    /// Most leads per call.
    pub records_max: u64,
    /// Only masked values.
    pub masked: bool,
}
