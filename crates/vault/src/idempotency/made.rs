//! What a request came to, as its record holds it: ids, a revision, a state. No text and no secret, so that
//! the record is no copy of anything that may be erased.

use leadvault_domain::{
    ApiKeyId, DatasetId, FileId, ImportId, InstructionId, InstructionStatus, KeyState, LeadId,
    NoticeId, OperationId, TenantId, TenantState,
};
use serde::{Deserialize, Serialize};

/// The outcome of a request that changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "made", rename_all = "snake_case")]
pub(crate) enum Made {
    /// A tenant, and its first key, whose secret was shown once and is not here.
    Tenant { id: TenantId, key: ApiKeyId },
    /// An API key; its secret was shown once and is not here.
    Key { id: ApiKeyId },
    /// A dataset.
    Dataset { id: DatasetId },
    /// A version of an instruction, and the status the answer said.
    Instruction { id: InstructionId, version: u32, status: InstructionStatus },
    /// An activation; `second` where it waits for another person.
    Activation { id: InstructionId, version: u32, second: bool },
    /// A lead, and the version it got.
    Lead { id: LeadId, version: u32 },
    /// A file.
    File { id: FileId },
    /// A flag of a lead that was set or lifted.
    Flag { id: LeadId },
    /// An erasure: its receipt lies with its request.
    Erasure { id: LeadId },
    /// An import that was opened.
    Import { id: ImportId },
    /// A job.
    Operation { id: OperationId },
    /// A notice that was acknowledged.
    Notice { id: NoticeId },
    /// A state of the tenant's key.
    KeyState { state: KeyState },
    /// A state of the tenant.
    TenantState { state: TenantState },
}

impl Made {
    /// The HTTP status of the first answer.
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::Tenant { .. }
            | Self::Key { .. }
            | Self::Dataset { .. }
            | Self::Import { .. }
            | Self::File { .. }
            | Self::Instruction { status: InstructionStatus::Draft, .. }
            | Self::Lead { version: 1, .. } => 201,
            Self::Operation { .. }
            | Self::Activation { second: true, .. }
            | Self::TenantState { state: TenantState::Closing } => 202,
            _ => 200,
        }
    }

    /// The lead the answer is about, where that has to be there for it to be given again.
    pub(crate) const fn lead(self) -> Option<LeadId> {
        match self {
            Self::Lead { id, .. } | Self::Flag { id } => Some(id),
            _ => None,
        }
    }
}
