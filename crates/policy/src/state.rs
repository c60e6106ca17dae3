//! Tenant state and key state: two things, two tables (decisions.md 4).
//!
//! `tenant.state` says what may be done with the tenant's data; `key.state` says what can be done at
//! all. Suspending a key is not suspending a tenant. Both tables are data; [`crate::decide`] reads the
//! same rows that a use case asks directly.

use leadvault_domain::{DecisionCode, KeyState, Operation, Purpose, Role, TenantState};

use Cell::{ByController, No, Yes};
use StateOperation as Op;

/// A row of the tenant-state table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateOperation {
    /// collect, store, modify, match, derive, pseudonymise, anonymise, aggregate.
    Work,
    /// `share_internal`, disclose, transfer.
    PassOn,
    /// read, search, display by the tenant.
    Look,
    /// read, search, display by staff under a grant.
    LookUnderGrant,
    /// export to the tenant, rights requests.
    Retrieve,
    /// restrict, objection.
    Flag,
    /// hold: works in a closed tenant too, until the shred.
    Hold,
    /// erase, shred, retention deletion.
    Delete,
    /// Going on with a deletion that began before the tenant was closed.
    FinishDeletion,
    /// `copy_backup`.
    Backup,
    /// An instruction that permits: draft, activate, resume, confirm.
    Widen,
    /// An instruction that narrows: prohibit, suspend, revoke.
    Narrow,
    /// log, receipts, certificates, operations.
    Account,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    Yes,
    No,
    ByController,
}

/// Columns: active, restricted, closing, closed.
const TENANT_TABLE: &[(StateOperation, [Cell; 4])] = &[
    (Op::Work, [Yes, No, No, No]),
    (Op::PassOn, [Yes, No, No, No]),
    (Op::Look, [Yes, Yes, ByController, No]),
    (Op::LookUnderGrant, [Yes, Yes, No, No]),
    (Op::Retrieve, [Yes, Yes, Yes, No]),
    (Op::Flag, [Yes, Yes, Yes, No]),
    (Op::Hold, [Yes, Yes, Yes, Yes]),
    (Op::Delete, [Yes, Yes, Yes, No]),
    (Op::FinishDeletion, [Yes, Yes, Yes, Yes]),
    (Op::Backup, [Yes, Yes, Yes, No]),
    (Op::Widen, [Yes, No, No, No]),
    (Op::Narrow, [Yes, Yes, Yes, No]),
    (Op::Account, [Yes, Yes, Yes, Yes]),
];

impl StateOperation {
    /// Every row.
    pub const ALL: [Self; 13] = [
        Self::Work,
        Self::PassOn,
        Self::Look,
        Self::LookUnderGrant,
        Self::Retrieve,
        Self::Flag,
        Self::Hold,
        Self::Delete,
        Self::FinishDeletion,
        Self::Backup,
        Self::Widen,
        Self::Narrow,
        Self::Account,
    ];

    /// The row an operation on data belongs to. A rights request is one whatever it does inside the
    /// tenant; handing on stays handing on.
    pub fn of(operation: Operation, purpose: Option<Purpose>, staff: bool) -> Self {
        let right = purpose == Some(Purpose::RightsRequest) && !staff;
        match operation {
            Operation::ShareInternal | Operation::Disclose | Operation::Transfer => Self::PassOn,
            Operation::Restrict => Self::Flag,
            Operation::Erase => Self::Delete,
            Operation::CopyBackup => Self::Backup,
            Operation::Export => Self::Retrieve,
            Operation::Read | Operation::Search | Operation::Display if staff => {
                Self::LookUnderGrant
            }
            Operation::Read | Operation::Search | Operation::Display | Operation::Modify
                if right =>
            {
                Self::Retrieve
            }
            Operation::Read | Operation::Search | Operation::Display => Self::Look,
            Operation::Collect
            | Operation::Store
            | Operation::Modify
            | Operation::Match
            | Operation::Derive
            | Operation::Pseudonymise
            | Operation::Anonymise
            | Operation::Aggregate => Self::Work,
        }
    }
}

/// Whether a tenant in this state may do this, by a key of this role.
pub fn state_allows(operation: StateOperation, state: TenantState, role: Role) -> bool {
    let cell = TENANT_TABLE.iter().find(|(row, _)| *row == operation).map(|(_, cells)| {
        let [active, restricted, closing, closed] = *cells;
        match state {
            TenantState::Active => active,
            TenantState::Restricted => restricted,
            TenantState::Closing => closing,
            TenantState::Closed => closed,
        }
    });
    match cell {
        Some(Yes) => true,
        Some(ByController) => role == Role::Controller,
        Some(No) | None => false,
    }
}

/// A row of the key-state table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyOperation {
    /// Anything that opens, seals, locates or tags.
    Content,
    /// Erasing one lead or one dataset.
    Erase,
    /// Shredding the tenant: never needs an unwrap.
    Shred,
    /// Log, receipts, the list of keys.
    Account,
    /// keys/suspend.
    Suspend,
    /// keys/resume.
    Resume,
}

impl KeyOperation {
    /// Every row.
    pub const ALL: [Self; 6] =
        [Self::Content, Self::Erase, Self::Shred, Self::Account, Self::Suspend, Self::Resume];
}

/// What a key state answers to an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAnswer {
    /// Works.
    Works,
    /// 423 with this code.
    Denied(DecisionCode),
    /// Tombstone and tags at once, 202 `pending_key`, completed when the key is back.
    PendingKey,
    /// 200: already unreadable, the rows are removed.
    AlreadyUnreadable,
    /// 409 `key_destroyed`.
    KeyDestroyed,
}

/// What a tenant with this key state can do. Another tenant is not touched.
pub fn key_answer(operation: KeyOperation, state: KeyState) -> KeyAnswer {
    match (operation, state) {
        (_, KeyState::Active) | (KeyOperation::Shred | KeyOperation::Account, _) => {
            KeyAnswer::Works
        }
        (KeyOperation::Content, KeyState::Disabled) => KeyAnswer::Denied(DecisionCode::KeyDisabled),
        (KeyOperation::Content, KeyState::Unreachable) => {
            KeyAnswer::Denied(DecisionCode::KeyUnreachable)
        }
        (KeyOperation::Content, KeyState::Destroyed) => {
            KeyAnswer::Denied(DecisionCode::KeyDestroyed)
        }
        (KeyOperation::Erase, KeyState::Destroyed) => KeyAnswer::AlreadyUnreadable,
        (KeyOperation::Erase, _) => KeyAnswer::PendingKey,
        (KeyOperation::Suspend | KeyOperation::Resume, KeyState::Destroyed) => {
            KeyAnswer::KeyDestroyed
        }
        (KeyOperation::Suspend | KeyOperation::Resume, _) => KeyAnswer::Works,
    }
}
