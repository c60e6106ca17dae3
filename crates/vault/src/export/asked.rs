//! What an export was asked for and by whom: sealed with its row, so that its job and its downloads are
//! decided under the same instruction, after a restart too.

use leadvault_crypto::Kind;
use leadvault_domain::{
    ApiKeyId, Caller, Category, Country, DatasetId, Employer, InstructionId, PrincipalId, Purpose,
    RecipientId, RequestId, Role, TenantId,
};
use leadvault_policy::{Ask, Call as Counted, Named, operations_of};
use leadvault_store::{ExportRow, Sealed};
use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::gate::Permit;
use crate::room::Room;
use crate::system;

/// The sealed text.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Asked {
    key: ApiKeyId,
    principal: PrincipalId,
    role: Role,
    employer: EmployedBy,
    country: Country,
    datasets: Option<Vec<DatasetId>>,
    request: RequestId,
    /// Of the request that started it.
    fingerprint: [u8; 32],
    pub(crate) instruction: InstructionId,
    pub(crate) version: u32,
    purpose: Purpose,
    pub(crate) dataset: Option<DatasetId>,
    /// `age1…`; none for a plain package.
    pub(crate) recipient: Option<String>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum EmployedBy {
    Tenant,
    Operator,
    Recipient(RecipientId),
}

impl Asked {
    pub(crate) fn new(
        call: &Call,
        permit: &Permit,
        dataset: Option<DatasetId>,
        recipient: Option<String>,
    ) -> Self {
        let caller = &call.caller;
        Self {
            key: caller.key,
            principal: caller.principal,
            role: caller.role,
            employer: match caller.employer {
                Employer::Tenant => EmployedBy::Tenant,
                Employer::Operator => EmployedBy::Operator,
                Employer::Recipient(id) => EmployedBy::Recipient(id),
            },
            country: caller.country,
            datasets: caller.datasets.clone(),
            request: call.request,
            fingerprint: call.fingerprint,
            instruction: permit.instruction.id,
            version: permit.instruction.version,
            purpose: permit.purpose,
            dataset,
            recipient,
        }
    }

    /// The call again, under the instruction it was allowed by.
    pub(crate) fn call(&self, tenant: TenantId) -> Call {
        Call {
            caller: Caller {
                tenant,
                key: self.key,
                principal: self.principal,
                role: self.role,
                employer: match self.employer {
                    EmployedBy::Tenant => Employer::Tenant,
                    EmployedBy::Operator => Employer::Operator,
                    EmployedBy::Recipient(id) => Employer::Recipient(id),
                },
                country: self.country,
                default_instruction: None,
                default_purpose: None,
                datasets: self.datasets.clone(),
            },
            open: false,
            instruction: Some(self.named()),
            purpose: Some(self.purpose),
            request: self.request,
            idempotency_key: None,
            route: "POST /v1/exports",
            fingerprint: self.fingerprint,
        }
    }

    /// The instruction, pinned to its version.
    pub(crate) fn named(&self) -> Named {
        Named { id: self.instruction, version: Some(self.version) }
    }

    /// The purpose it was allowed for.
    pub(crate) fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Seals it under a leaf of its own, which becomes the export's.
    pub(crate) async fn seal(
        &self,
        cell: &Cell,
        room: &Room,
        record: [u8; 16],
    ) -> Result<Sealed, Refusal> {
        let plain = serde_json::to_vec(self).map_err(|_| Fault::Internal("export"))?;
        system::seal_new(cell, room.keys()?, record, &plain).await
    }

    /// Reads it from an export's row.
    pub(crate) fn open(room: &Room, row: &ExportRow) -> Result<Self, Fault> {
        let sealed = row.meta.as_ref().ok_or(Fault::Internal("export"))?;
        let plain = system::open(room, Kind::Small, row.id.bytes(), sealed)?;
        serde_json::from_slice(&plain).map_err(|_| Fault::Internal("export"))
    }
}

/// The question that an export, its pages and its downloads put to policy.
pub(crate) fn ask_of(call: &Call, dataset: Option<DatasetId>, leads: u64) -> Ask {
    let mut ask = Ask::new(operations_of(Counted::Export));
    ask.dataset = dataset;
    // What is present is not known before the leads are opened: everything may be.
    ask.categories = Category::ALL.iter().copied().collect();
    ask.records = leads;
    ask.exit = true;
    Cell::ask(call, ask)
}
