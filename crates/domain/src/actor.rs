//! Who calls.

use crate::{
    ApiKeyId, Country, DatasetId, InstructionId, PrincipalId, Purpose, RecipientId, Role, TenantId,
};

/// Who employs the person or service behind a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Employer {
    /// The tenant itself.
    Tenant,
    /// The operator of the vault.
    Operator,
    /// A registered recipient.
    Recipient(RecipientId),
}

/// An authenticated caller. The tenant comes from the credential, never from the request.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The tenant the credential belongs to.
    pub tenant: TenantId,
    /// The key that was shown.
    pub key: ApiKeyId,
    /// The person behind it. Two people are two principals.
    pub principal: PrincipalId,
    /// What the key may do at most.
    pub role: Role,
    /// Who employs that person.
    pub employer: Employer,
    /// Where that person works.
    pub country: Country,
    /// Instruction used when the call names none.
    pub default_instruction: Option<InstructionId>,
    /// Purpose used when the call names none.
    pub default_purpose: Option<Purpose>,
    /// Datasets the key is limited to; `None` = all of the tenant.
    pub datasets: Option<Vec<DatasetId>>,
}
