//! Who acted, and under which version of an instruction, as an entry names them.

use leadvault_domain::{
    Caller, Employer, InstructionId, PrincipalId, RecipientId, Role, ServiceId,
};

use crate::entity::EntityId;
use crate::shape::ActorShape;
use crate::words::{ActorKind, Auth};

/// Who acted.
#[derive(Debug, Clone)]
pub struct Actor(ActorShape);

impl Actor {
    /// An actor of any kind.
    pub fn new(kind: ActorKind, id: impl Into<EntityId>) -> Self {
        Self(ActorShape {
            kind,
            id: id.into().to_string(),
            employer: None,
            role: None,
            auth: None,
            on_behalf_of: None,
        })
    }

    /// The API key of an authenticated call.
    pub fn of(caller: &Caller) -> Self {
        let employer = match caller.employer {
            Employer::Tenant => None,
            Employer::Operator => Some("operator".to_owned()),
            Employer::Recipient(id) => Some(id.to_string()),
        };
        let mut actor = Self::new(ActorKind::TenantApi, caller.key);
        actor.0.employer = employer;
        actor.role(caller.role).auth(Auth::ApiKey)
    }

    /// A service of the operator: a job, a sweeper, a builder.
    pub fn service(id: ServiceId) -> Self {
        Self::new(ActorKind::OperatorService, id)
    }

    /// With the role it acted in.
    #[must_use]
    pub fn role(mut self, role: Role) -> Self {
        self.0.role = Some(role);
        self
    }

    /// With how it proved who it is.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        self.0.auth = Some(auth);
        self
    }

    /// With the recipient that employs it.
    #[must_use]
    pub fn employed_by(mut self, recipient: RecipientId) -> Self {
        self.0.employer = Some(recipient.to_string());
        self
    }

    /// With the person it acted for.
    #[must_use]
    pub fn on_behalf_of(mut self, principal: PrincipalId) -> Self {
        self.0.on_behalf_of = Some(principal.to_string());
        self
    }

    pub(crate) fn shape(self) -> ActorShape {
        self.0
    }
}

/// The version of an instruction that an entry names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstructionStamp {
    /// Its id.
    pub id: InstructionId,
    /// Its version, from 1.
    pub version: u32,
    /// SHA-256 of its canonical form, 64 hex digits.
    pub hash: Option<String>,
}
