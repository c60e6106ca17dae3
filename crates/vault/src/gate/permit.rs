//! A permit: an allowance, and how entries under it begin.

use std::sync::Arc;

use leadvault_domain::{DecisionCode, Masking, Operation, Purpose, ReasonCode, Timestamp};
use leadvault_ledger::{
    Actor, EntryDraft, Generations, InstructionStamp, LogOperation, ResourceType,
};
use leadvault_policy::{FieldRule, InstructionRef, RowRule};

use crate::call::Call;
use crate::cell::Cell;
use crate::room::Control;

/// An allowance, and what an entry under it says.
#[derive(Debug)]
pub(crate) struct Permit {
    pub(crate) instruction: InstructionRef,
    pub(crate) fields: FieldRule,
    pub(crate) masking: Masking,
    pub(crate) purpose: Purpose,
    pub(crate) operation: Operation,
    pub(crate) control: Arc<Control>,
    pub(crate) at: Timestamp,
    /// Rows the permit does not cover are left out of lists and searches.
    pub(crate) rows: RowRule,
    pub(super) warnings: Vec<&'static str>,
    pub(super) obligations: Vec<&'static str>,
}

impl Permit {
    /// Starts the entry of the allowed access, under the first operation that was asked for.
    pub(crate) fn entry(&self, call: &Call, on: ResourceType) -> EntryDraft {
        self.entry_as(call, LogOperation::Data(self.operation), on)
    }

    /// Starts an entry under an operation of the log's own.
    pub(crate) fn entry_as(
        &self,
        call: &Call,
        operation: LogOperation,
        on: ResourceType,
    ) -> EntryDraft {
        draft(call, self.at, operation, on, DecisionCode::Allow)
            .purpose(self.purpose)
            .instruction(stamp_of(&self.instruction))
            .warnings(self.warnings.iter().copied())
            .obligations(self.obligations.iter().copied())
    }

    /// What a read under this permit asserts at its commit.
    pub(crate) fn read_generations(&self) -> Generations {
        self.control.read_generations()
    }

    /// What a write under this permit asserts at its commit.
    pub(crate) fn write_generations(&self) -> Generations {
        self.control.write_generations()
    }
}

/// Starts an entry of a tenant's API call.
pub(super) fn draft(
    call: &Call,
    at: Timestamp,
    operation: LogOperation,
    on: ResourceType,
    code: DecisionCode,
) -> EntryDraft {
    EntryDraft::new(at, Actor::of(&call.caller), ReasonCode::TenantApiCall, operation, on, code)
        .request(call.request)
        .actor_country(call.caller.country)
}

pub(super) fn stamp_of(instruction: &InstructionRef) -> InstructionStamp {
    InstructionStamp {
        id: instruction.id,
        version: instruction.version,
        hash: Some(instruction.hash.clone()),
    }
}

impl Cell {
    /// Starts the entry of an administrative act of the tenant: key, dataset, instruction, agreement.
    pub(crate) fn administrative(
        &self,
        call: &Call,
        operation: LogOperation,
        on: ResourceType,
    ) -> EntryDraft {
        draft(call, self.clock().now(), operation, on, DecisionCode::Allow)
    }
}
