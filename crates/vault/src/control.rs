//! Reading a tenant's control state: what decisions need, under the generation it was read at.

use std::collections::HashMap;
use std::sync::Arc;

use leadvault_crypto::Kind;
use leadvault_domain::{
    Agreement, Category, Country, DatasetId, FieldNo, InstructionStatus, Regime,
};
use leadvault_store::{DatasetState, TenantScope};
use serde::{Deserialize, Serialize};

use crate::cell::Cell;
use crate::error::{Fault, Refusal};
use crate::instructions::register::Register;
use crate::instructions::text;
use crate::room::{Control, DatasetControl, Room};
use crate::system;
use crate::tenants::TenantLocations;

/// What policy needs of a tenant before any key: in clear in its row, no personal data in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TenantFacts {
    pub(crate) controller_country: Country,
    pub(crate) locations: TenantLocations,
    pub(crate) agreement: Agreement,
    pub(crate) agreement_in_force: bool,
    pub(crate) export_recipient: Option<String>,
}

impl TenantFacts {
    pub(crate) fn to_json(&self) -> Result<String, Fault> {
        serde_json::to_string(self).map_err(|_| Fault::Internal("facts"))
    }
}

/// What is sealed of a dataset: its name and what its columns are called.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct DatasetMeta {
    pub(crate) name: String,
    pub(crate) default_region: Option<String>,
    pub(crate) origin: Vec<Regime>,
    pub(crate) columns: HashMap<u16, Category>,
    pub(crate) headers: HashMap<u16, String>,
    #[serde(default)]
    pub(crate) meanings: HashMap<u16, u16>,
}

/// Reads the control state of a tenant.
///
/// The generation is read first: whatever changes while the rest is read makes the commit stale, and the
/// decision is made again.
///
/// # Errors
/// What the store says; [`Fault::NotFound`] for a tenant that is not there.
pub(crate) async fn load(cell: &Cell, room: &Room) -> Result<Control, Refusal> {
    load_with(cell, room.id, room.no, Some(room)).await
}

/// As [`load`], for a room that is being made.
///
/// # Errors
/// As [`load`].
pub(crate) async fn load_with(
    cell: &Cell,
    id: leadvault_domain::TenantId,
    no: leadvault_domain::TenantNo,
    room: Option<&Room>,
) -> Result<Control, Refusal> {
    let scope = TenantScope(no);
    let data = cell.data();
    let generations = data.find_control(scope).await?.ok_or(Fault::NotFound)?;
    let row = data.find_tenant(scope).await?.ok_or(Fault::NotFound)?;
    let facts: TenantFacts =
        serde_json::from_str(&row.facts).map_err(|_| Fault::Internal("facts"))?;
    let (register, datasets) = match room {
        Some(room) if room.ring().is_ok() => {
            (load_instructions(cell, room, scope).await?, load_datasets(cell, room, scope).await?)
        }
        // Without a key nothing sealed can be read; what was known stays known, but for what stands beside
        // the seal.
        Some(room) => {
            let known = room.control();
            (with_present_status(cell, &known.register, scope).await?, known.datasets.clone())
        }
        None => (Register::default(), HashMap::new()),
    };
    let keys = data.list_api_keys(scope).await?;
    let ends = keys.into_iter().filter_map(|k| Some((k.id, k.revoked_at.or(k.expires_at)?)));
    debug_assert_eq!(row.id, id, "a tenant number belongs to one tenant");
    Ok(Control {
        state: row.state,
        key_state: row.key_state,
        state_gen: generations.state_gen,
        dir_gen: generations.dir_gen,
        own_leaf: row.meta.as_ref().map_or(0, |m| m.leaf),
        region: row.region,
        controller_country: facts.controller_country,
        store: facts.locations.store,
        access: facts.locations.access,
        agreement: facts.agreement,
        agreement_in_force: facts.agreement_in_force,
        export_recipient: facts.export_recipient,
        register: Arc::new(register),
        datasets,
        key_ends: ends.collect(),
    })
}

/// The register as it was known, in the status it has now: suspending and revoking need no key.
async fn with_present_status(
    cell: &Cell,
    known: &Register,
    scope: TenantScope,
) -> Result<Register, Refusal> {
    let mut register = known.clone();
    for row in cell.data().list_instructions(scope).await? {
        register.set_status((row.id, row.version), row.status);
    }
    Ok(register)
}

/// What was opened before under the same seal stays: a change of the control state rarely is one of texts.
async fn load_instructions(
    cell: &Cell,
    room: &Room,
    scope: TenantScope,
) -> Result<Register, Refusal> {
    let known = room.control();
    let mut register = Register::default();
    for row in cell.data().list_instructions(scope).await? {
        let Some(body) = &row.body else { continue };
        let (version, seal) = ((row.id, row.version), (body.leaf, body.revision));
        let (mut instruction, first_approver) = match known.register.opened(version, seal) {
            Some(opened) => opened,
            None => match system::open(room, Kind::Instruction, row.id.bytes(), body) {
                Ok(plain) => text::read(&plain)?,
                // Sealed again since an old database was copied: what this row said is forgotten.
                Err(Fault::NotFound) => continue,
                Err(other) => return Err(other.into()),
            },
        };
        // The row's status is the present one; the body keeps the one it was sealed with.
        instruction.status = row.status;
        register.add(instruction, seal, first_approver);
    }
    Ok(register)
}

async fn load_datasets(
    cell: &Cell,
    room: &Room,
    scope: TenantScope,
) -> Result<HashMap<DatasetId, Arc<DatasetControl>>, Refusal> {
    let (ring, known) = (room.ring()?, room.control());
    let mut datasets = HashMap::new();
    for row in cell.data().list_datasets(scope).await? {
        let (DatasetState::Active, Some(sealed)) = (row.state, row.meta) else { continue };
        // Shredded since an old database was copied: the restore removes what is left of it.
        if ring.dataset_id(row.no).is_none() {
            continue;
        }
        if let Some(same) = known.datasets.get(&row.id).filter(|d| d.meta == sealed) {
            datasets.insert(row.id, Arc::clone(same));
            continue;
        }
        let plain = system::open(room, Kind::Small, row.id.bytes(), &sealed)?;
        let meta: DatasetMeta =
            serde_json::from_slice(&plain).map_err(|_| Fault::Internal("dataset"))?;
        let control = DatasetControl {
            no: row.no,
            id: row.id,
            tree: row.tree,
            meta: sealed,
            name: meta.name,
            default_region: meta.default_region,
            origin: meta.origin,
            columns: meta.columns.into_iter().map(|(n, c)| (FieldNo(n), c)).collect(),
            headers: meta.headers.into_iter().map(|(n, h)| (FieldNo(n), h)).collect(),
            meanings: meta.meanings.into_iter().map(|(n, m)| (FieldNo(n), FieldNo(m))).collect(),
            created_at: row.created_at,
        };
        datasets.insert(row.id, Arc::new(control));
    }
    Ok(datasets)
}

/// Whether a version may still be changed into another status.
pub(crate) const fn is_final(status: InstructionStatus) -> bool {
    matches!(
        status,
        InstructionStatus::Revoked | InstructionStatus::Superseded | InstructionStatus::Expired
    )
}
