//! A tenant's room: its key ring and what is known of its control state, in memory.
//!
//! The control state is a cache. It carries the generation it was read under, and every commit asserts
//! that generation (protocols.md 4), so a stale cache can delay a call but never let it through.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use leadvault_domain::{
    Agreement, ApiKeyId, Category, Country, DatasetId, DatasetNo, FieldNo, ImportId, InstructionId,
    KeyState, Place, Regime, Region, TenantId, TenantNo, TenantState, Timestamp,
};
use leadvault_keys::{Keyring, TenantKeys};
use leadvault_ledger::Generations;
use leadvault_store::Sealed;

use crate::cell::Cell;
use crate::control;
use crate::denials::Denials;
use crate::error::{Fault, Refusal};
use crate::files::FileLeaves;
use crate::import::job::{Gauges, KnownImports};
use crate::instructions::register::Register;
use crate::recalled::Recalled;

/// What is known of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DatasetControl {
    /// Its number in this cell.
    pub(crate) no: DatasetNo,
    /// Its id.
    pub(crate) id: DatasetId,
    /// The tree new leads take their leaves from.
    pub(crate) tree: u32,
    /// Its sealed texts, as they lie in the row.
    pub(crate) meta: Sealed,
    /// Its name; sealed at rest.
    pub(crate) name: String,
    /// Region for phone numbers without a country.
    pub(crate) default_region: Option<String>,
    /// Origin regimes of leads that bring none.
    pub(crate) origin: Vec<Regime>,
    /// Columns the tenant classified, by field number.
    pub(crate) columns: HashMap<FieldNo, Category>,
    /// Headers of unmapped columns, by field number; sealed at rest.
    pub(crate) headers: HashMap<FieldNo, String>,
    /// The field whose values an unmapped column holds, as the tenant says; by field number.
    pub(crate) meanings: HashMap<FieldNo, FieldNo>,
    /// When it was made.
    pub(crate) created_at: Timestamp,
}

/// What decisions need to know of a tenant.
#[derive(Debug, Clone)]
pub(crate) struct Control {
    /// State of the tenant.
    pub(crate) state: TenantState,
    /// State of its key.
    pub(crate) key_state: KeyState,
    /// Generation every commit asserts.
    pub(crate) state_gen: u32,
    /// Generation every write asserts besides.
    pub(crate) dir_gen: u32,
    /// Leaf of the system tree that belongs to the tenant itself: its texts, cursors, keyed hashes.
    pub(crate) own_leaf: u32,
    /// Where the tenant lives.
    pub(crate) region: Region,
    /// Where the controller sits.
    pub(crate) controller_country: Country,
    /// Where its data may lie.
    pub(crate) store: Vec<Place>,
    /// From where it may be seen.
    pub(crate) access: Vec<Place>,
    /// The agreement in force, or the last one.
    pub(crate) agreement: Agreement,
    /// Whether it is in force.
    pub(crate) agreement_in_force: bool,
    /// age recipient of exports.
    pub(crate) export_recipient: Option<String>,
    /// Every version of every instruction.
    pub(crate) register: Arc<Register>,
    /// Datasets that live.
    pub(crate) datasets: HashMap<DatasetId, Arc<DatasetControl>>,
    /// When keys end, of those that end: revoked ones, and those with a last day.
    pub(crate) key_ends: HashMap<ApiKeyId, Timestamp>,
}

impl Control {
    /// What a read or denial asserts.
    pub(crate) fn read_generations(&self) -> Generations {
        Generations { state_gen: self.state_gen, dir_gen: None }
    }

    /// What a write asserts.
    pub(crate) fn write_generations(&self) -> Generations {
        Generations { state_gen: self.state_gen, dir_gen: Some(self.dir_gen) }
    }

    /// A dataset that lives.
    ///
    /// # Errors
    /// [`Fault::NotFound`] for an unknown, foreign or shredded one.
    pub(crate) fn dataset(&self, id: DatasetId) -> Result<Arc<DatasetControl>, Fault> {
        self.datasets.get(&id).cloned().ok_or(Fault::NotFound)
    }

    /// A dataset by its number.
    pub(crate) fn dataset_by_no(&self, no: DatasetNo) -> Option<Arc<DatasetControl>> {
        self.datasets.values().find(|d| d.no == no).cloned()
    }
}

/// One tenant in memory.
#[derive(Debug)]
pub(crate) struct Room {
    /// The tenant.
    pub(crate) id: TenantId,
    /// Its number in this cell.
    pub(crate) no: TenantNo,
    /// Its keys; the ring inside is empty while they are suspended.
    pub(crate) keys: Option<TenantKeys>,
    /// Keys of leads that left the key ring since the last `stats`.
    pub(crate) released: AtomicU64,
    /// Unwraps of the root that `stats` have said.
    pub(crate) unwraps_told: AtomicU64,
    /// What was denied in the running second.
    pub(crate) denials: Arc<Denials>,
    /// Leaves for files that are set aside.
    pub(crate) file_leaves: FileLeaves,
    /// When objects that nothing names were looked for, microseconds.
    pub(crate) objects_swept: AtomicI64,
    /// Taken by whoever removes files that went.
    pub(crate) file_removal: tokio::sync::Mutex<()>,
    /// Taken by calls that are decided again: [`Cell::settled`].
    pub(crate) overtaken: tokio::sync::Mutex<()>,
    control: ArcSwap<Control>,
    calls: Mutex<HashMap<InstructionId, HourCount>>,
    imports: Mutex<KnownImports>,
    recalled: Mutex<Recalled>,
    gauges: Arc<Gauges>,
    turns: Mutex<HashMap<DatasetNo, Arc<tokio::sync::Mutex<()>>>>,
}

/// Calls under one instruction in one hour.
#[derive(Debug, Default, Clone, Copy)]
struct HourCount {
    hour: i64,
    calls: u32,
}

impl Room {
    /// A room over what was loaded. `keys` is absent for a tenant whose keys are destroyed.
    pub(crate) fn new(
        id: TenantId,
        no: TenantNo,
        keys: Option<TenantKeys>,
        control: Control,
    ) -> Self {
        Self {
            id,
            no,
            keys,
            released: AtomicU64::new(0),
            unwraps_told: AtomicU64::new(0),
            denials: Arc::default(),
            file_leaves: FileLeaves::default(),
            objects_swept: AtomicI64::new(0),
            file_removal: tokio::sync::Mutex::new(()),
            overtaken: tokio::sync::Mutex::new(()),
            control: ArcSwap::from_pointee(control),
            calls: Mutex::new(HashMap::new()),
            imports: Mutex::new(KnownImports::new()),
            recalled: Mutex::default(),
            gauges: Arc::default(),
            turns: Mutex::default(),
        }
    }

    /// Loads a tenant: its control state under its keys.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn load(
        cell: &Cell,
        id: TenantId,
        no: TenantNo,
        keys: Option<TenantKeys>,
    ) -> Result<Self, Refusal> {
        let room = Self::new(id, no, keys, control::load_with(cell, id, no, None).await?);
        let control = control::load(cell, &room).await?;
        if let (true, Some(keys)) = (control.key_state != KeyState::Active, &room.keys) {
            keys.purge();
        }
        room.set_control(control);
        Ok(room)
    }

    /// The control state as last read.
    pub(crate) fn control(&self) -> Arc<Control> {
        self.control.load_full()
    }

    /// Puts a newer control state in place.
    pub(crate) fn set_control(&self, control: Control) {
        self.control.store(Arc::new(control));
    }

    /// The tenant's keys.
    ///
    /// # Errors
    /// [`Fault::KeyDestroyed`] after a shred.
    pub(crate) fn keys(&self) -> Result<&TenantKeys, Fault> {
        self.keys.as_ref().ok_or(Fault::KeyDestroyed)
    }

    /// The present snapshot of the key ring.
    ///
    /// # Errors
    /// [`Fault::Denied`] with the code of the key's state.
    pub(crate) fn ring(&self) -> Result<Arc<Keyring>, Fault> {
        Ok(self.keys()?.ring()?)
    }

    /// Counts a key of a lead that left the key ring to open something.
    pub(crate) fn count_released(&self) {
        self.released.fetch_add(1, Ordering::AcqRel);
    }

    /// The id of an import by its number, if it was looked up before.
    pub(crate) fn known_import(&self, no: u32) -> Option<ImportId> {
        let imports = self.imports.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        imports.get(&no).copied()
    }

    /// Remembers the id of an import.
    pub(crate) fn remember_import(&self, no: u32, id: ImportId) {
        let mut imports = self.imports.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        imports.insert(no, id);
    }

    /// The keys that were found genuine under the present control state.
    pub(crate) fn recalled(&self) -> std::sync::MutexGuard<'_, Recalled> {
        self.recalled.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Uploads that run.
    pub(crate) fn gauges(&self) -> &Arc<Gauges> {
        &self.gauges
    }

    /// The turn of imports into a dataset, one slice at a time.
    pub(crate) fn import_turn(&self, dataset: DatasetNo) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Arc::clone(turns.entry(dataset).or_default())
    }

    /// Calls under an instruction in the running hour; counts this one in.
    pub(crate) fn count_call(&self, instruction: InstructionId, at: Timestamp) -> u32 {
        let hour = at.micros().div_euclid(3_600_000_000);
        let mut calls = self.calls.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let count = calls.entry(instruction).or_default();
        if count.hour != hour {
            *count = HourCount { hour, calls: 0 };
        }
        count.calls = count.calls.saturating_add(1);
        count.calls
    }

    /// Calls under an instruction so far in the running hour.
    pub(crate) fn calls_this_hour(&self, instruction: InstructionId, at: Timestamp) -> u32 {
        let hour = at.micros().div_euclid(3_600_000_000);
        let calls = self.calls.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        calls.get(&instruction).filter(|c| c.hour == hour).map_or(0, |c| c.calls)
    }
}
