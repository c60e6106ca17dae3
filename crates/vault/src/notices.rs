//! Notices to the tenant: that something happened which it must know of. Ids and words only.

use leadvault_domain::{NoticeId, Role, Timestamp};
use leadvault_ledger::{LogOperation, ResourceType};
use leadvault_store::{
    AcknowledgeNotice, InsertNotice, NoticeState, Outcome as Written, TenantScope, Write,
};

use crate::call::{Answer, Call, Outcome};
use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::idempotency::{self, Made};

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
    /// The operator holds an instruction to infringe the law.
    InstructionChallenged,
    /// The operator changed the state of the tenant.
    TenantState,
    /// An import waits without an attestation.
    ImportQuarantined,
    /// The data store was put back from a copy.
    Restored,
    /// The copy did not hold every version of an instruction that was activated: what those prohibited is
    /// not prohibited any more.
    InstructionsLost,
}

impl NoticeKind {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InstructionChallenged => "instruction_challenged",
            Self::TenantState => "tenant_state",
            Self::ImportQuarantined => "import_quarantined",
            Self::Restored => "restored",
            Self::InstructionsLost => "instructions_lost",
        }
    }
}

/// A notice.
#[derive(Debug, Clone)]
pub struct NoticeView {
    /// Its id.
    pub id: NoticeId,
    /// What it is about.
    pub kind: String,
    /// When.
    pub at: Timestamp,
    /// Whether the tenant acknowledged it.
    pub acknowledged: bool,
    /// The entry it goes with.
    pub index: Option<u64>,
}

/// The write that makes a notice, to go into the commit of what it tells of.
///
/// # Errors
/// [`Fault::Internal`] without randomness.
pub(crate) fn write(cell: &Cell, kind: NoticeKind) -> Result<Write, Refusal> {
    let id = NoticeId::make(cell.clock(), cell.entropy())?;
    Ok(InsertNotice { id, kind: kind.as_str(), at: cell.clock().now() }.into())
}

/// The notices of the tenant, newest first; `acknowledged` narrows them.
///
/// # Errors
/// [`Fault::RoleInsufficient`].
pub async fn list(
    cell: &Cell,
    call: &Call,
    acknowledged: Option<bool>,
) -> Outcome<Vec<NoticeView>> {
    let room = cell.room_of(call.caller.tenant)?;
    let roles = [Role::Controller, Role::Auditor];
    cell.require_role(&room, call, &roles, LogOperation::ConfigChange, ResourceType::Tenant)
        .await?;
    let rows = cell.data().list_notices(TenantScope(room.no), None).await?;
    let views = rows
        .into_iter()
        .filter(|row| acknowledged.is_none_or(|a| (row.state == NoticeState::Acknowledged) == a))
        .map(|row| NoticeView {
            id: row.id,
            kind: row.kind,
            at: row.at,
            acknowledged: row.state == NoticeState::Acknowledged,
            index: row.index,
        })
        .collect();
    Ok(Answer::plain(views))
}

/// Acknowledges a notice.
///
/// # Errors
/// [`Fault::NotFound`]; [`Fault::RoleInsufficient`].
pub async fn acknowledge(cell: &Cell, call: &Call, id: NoticeId) -> Outcome<()> {
    let room = cell.room_of(call.caller.tenant)?;
    let roles = [Role::Controller];
    cell.require_role(&room, call, &roles, LogOperation::ConfigChange, ResourceType::Tenant)
        .await?;
    let turn = idempotency::begin(cell, call, &room).await?;
    if turn.again().is_some() {
        return Ok(Answer::plain(()));
    }
    let write = AcknowledgeNotice { id };
    let write = idempotency::beside(cell, call, &room, write, Made::Notice { id }).await?;
    match cell.data().apply(TenantScope(room.no), write).await? {
        Written::Conflict(_) => Err(Fault::NotFound.into()),
        _ => Ok(Answer::plain(())),
    }
}
