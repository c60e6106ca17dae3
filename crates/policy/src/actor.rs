//! Who asks, as far as a decision depends on it.

use leadvault_domain::{Caller, Country, DatasetId, Employer, PrincipalId, Role};

/// The person or service that asks.
#[derive(Debug, Clone)]
pub struct Actor {
    /// What the key may do at most.
    pub role: Role,
    /// Who employs the actor. An actor employed by a recipient counts as that recipient.
    pub employer: Employer,
    /// Where the actor works.
    pub country: Country,
    /// The person behind the key: two people are two principals.
    pub principal: PrincipalId,
    /// Operator staff: nothing without an active grant.
    pub staff: bool,
    /// Datasets the key is limited to; `None` = all of the tenant.
    pub datasets: Option<Vec<DatasetId>>,
}

impl From<&Caller> for Actor {
    fn from(caller: &Caller) -> Self {
        let operator_role = matches!(
            caller.role,
            Role::Operator | Role::Support | Role::Security | Role::Legal | Role::Approver
        );
        Self {
            role: caller.role,
            employer: caller.employer,
            country: caller.country,
            principal: caller.principal,
            staff: operator_role || caller.employer == Employer::Operator,
            datasets: caller.datasets.clone(),
        }
    }
}
