//! A cell: one region's data store, key store, slots, journal and key provider, and the tenants in it.
//!
//! Everything below the use cases takes a `&Cell`, so data of one cell cannot cross into another by
//! accident. Nodes keep nothing but caches; all of them are here.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, RwLock};

use leadvault_domain::{
    Clock, Country, Entropy, Observer, Region, TenantId, TenantNo, TenantState,
};
use leadvault_keys::{KeyServices, RootKey, Slot, TenantKeys};
use leadvault_ledger::{AppendChunks, DirSource, Journal, LogKeys, OPERATOR_LOG};
use leadvault_store::{DataStore, KeyStore, LogFiles, NodeId, Outcome, Write};

use crate::control;
use crate::credential::{Credential, Proof, ShownKey, is_operator};
use crate::error::{Fault, Refusal};
use crate::files::FileBounds;
use crate::idempotency::InFlight;
use crate::publisher::Publisher;
use crate::room::Room;

/// Where entries are appended, with the writes that stand or fall with them.
pub type Appender = dyn AppendChunks<Write = Write, Outcome = Outcome>;

/// What a cell is made of. The composition root makes each part once.
pub struct CellParts {
    /// Its region.
    pub region: Region,
    /// Where the cells of other regions are reached, for keys that belong there.
    pub endpoints: HashMap<Region, String>,
    /// The country its machines stand in.
    pub country: Country,
    /// Rows and journal.
    pub data: Arc<DataStore>,
    /// Key-store blobs.
    pub key_store: Arc<KeyStore>,
    /// Root provider, slots, mirror.
    pub services: KeyServices,
    /// The root provider, for what is not a tenant's: the log signing key.
    pub root: Arc<dyn RootKey>,
    /// The slots.
    pub slot: Arc<dyn Slot>,
    /// Keys of the logs.
    pub log_keys: Arc<LogKeys>,
    /// Immutable files of the logs.
    pub log_files: LogFiles,
    /// Where sealed artifacts lie.
    pub files_dir: PathBuf,
    /// Hash of the operator's key.
    pub operator_key_hash: [u8; 32],
    /// What the operator chose at `init`.
    pub durability: Vec<String>,
    /// This node among several on one database; `None` where it has the stores alone.
    pub node: Option<NodeId>,
    /// Jobs a tenant may have open at once.
    pub open_jobs_per_tenant: u32,
    /// What a tenant may have of files.
    pub file_bounds: FileBounds,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Where measurements go.
    pub observer: Arc<dyn Observer>,
    /// Called at each numbered step of erasure, epoch and commit; does nothing outside tests.
    pub fail_point: Arc<dyn Fn(&'static str) + Send + Sync>,
}

impl std::fmt::Debug for CellParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CellParts").field("region", &self.region).finish_non_exhaustive()
    }
}

/// A cell at work.
pub struct Cell {
    parts: CellParts,
    journal: Journal<Appender>,
    publisher: Publisher,
    in_flight: InFlight,
    rooms: RwLock<HashMap<TenantNo, Arc<Room>>>,
    /// When the journal was last probed, microseconds.
    probed: AtomicI64,
}

impl std::fmt::Debug for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cell").field("region", &self.parts.region).finish_non_exhaustive()
    }
}

/// Whether the cell can serve, and what stands in every certificate.
#[derive(Debug, Clone)]
pub struct Readiness {
    /// Everything works.
    pub ready: bool,
    /// Codes of what does not.
    pub reasons: Vec<&'static str>,
    /// What the operator chose at `init`.
    pub durability: Vec<String>,
    /// Assurance level of slot and root.
    pub level: &'static str,
}

/// Shortest time between two probes of a journal that works; each is a commit.
const PROBE_MICROS: i64 = 1_000_000;

impl Cell {
    /// Puts a cell together. [`crate::recover::start`] makes it ready.
    pub(crate) fn new(parts: CellParts, appender: Arc<Appender>) -> Self {
        let journal = Journal::start(
            appender,
            Arc::clone(&parts.log_keys),
            Arc::clone(&parts.clock),
            Arc::clone(&parts.observer),
        );
        Self {
            parts,
            journal,
            publisher: Publisher::new(),
            in_flight: InFlight::default(),
            rooms: RwLock::new(HashMap::new()),
            probed: AtomicI64::new(0),
        }
    }

    /// The clock.
    pub fn clock(&self) -> &dyn Clock {
        self.parts.clock.as_ref()
    }

    /// The randomness.
    pub fn entropy(&self) -> &dyn Entropy {
        self.parts.entropy.as_ref()
    }

    /// Where measurements go.
    pub fn observer(&self) -> &dyn Observer {
        self.parts.observer.as_ref()
    }

    /// The region.
    pub fn region(&self) -> &Region {
        &self.parts.region
    }

    pub(crate) fn parts(&self) -> &CellParts {
        &self.parts
    }

    pub(crate) fn data(&self) -> &DataStore {
        &self.parts.data
    }

    pub(crate) fn journal(&self) -> &Journal<Appender> {
        &self.journal
    }

    pub(crate) fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    pub(crate) fn in_flight(&self) -> &InFlight {
        &self.in_flight
    }

    /// The origin of a log.
    ///
    /// # Errors
    /// [`Fault::NotFound`] for a log this cell does not keep.
    pub(crate) fn origin(&self, log: TenantNo) -> Result<Arc<str>, Fault> {
        self.parts.log_keys.origin_of(log).ok_or(Fault::NotFound)
    }

    /// The tenant of a log; `None` for the operator's.
    ///
    /// # Errors
    /// [`Fault::NotFound`] for a log this cell does not keep.
    pub(crate) fn log_owner(&self, log: TenantNo) -> Result<Option<TenantId>, Fault> {
        if log == OPERATOR_LOG { Ok(None) } else { Ok(Some(self.room(log)?.id)) }
    }

    /// The files of a log.
    ///
    /// # Errors
    /// [`Fault::NotFound`] for a log this cell does not keep.
    pub(crate) fn log_dir(&self, log: TenantNo) -> Result<DirSource, Fault> {
        Ok(self.parts.log_files.source(self.log_owner(log)?))
    }

    pub(crate) fn fail_point(&self, name: &'static str) {
        (self.parts.fail_point)(name);
    }

    /// Weaker of slot and root, as every receipt says it.
    pub(crate) fn level(&self) -> leadvault_keys::Assurance {
        self.parts.root.level().min(self.parts.slot.level())
    }

    /// Signs the hash of an instruction with the log's key.
    pub(crate) fn sign_instruction(&self, hash: &str) -> String {
        use base64::Engine as _;
        let signature = self.parts.log_keys.sign(format!("LV1-INS\0{hash}").as_bytes());
        base64::engine::general_purpose::STANDARD.encode(signature)
    }

    /// The room of a tenant that is loaded.
    ///
    /// # Errors
    /// [`Fault::NotFound`] for an unknown number.
    pub(crate) fn room(&self, no: TenantNo) -> Result<Arc<Room>, Fault> {
        let rooms = self.rooms.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        rooms.get(&no).cloned().ok_or(Fault::NotFound)
    }

    /// The room of a tenant by its id.
    ///
    /// # Errors
    /// [`Fault::NotFound`] for an unknown id.
    pub(crate) fn room_of(&self, id: TenantId) -> Result<Arc<Room>, Fault> {
        self.rooms().into_iter().find(|r| r.id == id).ok_or(Fault::NotFound)
    }

    /// Every room.
    pub(crate) fn rooms(&self) -> Vec<Arc<Room>> {
        let rooms = self.rooms.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        rooms.values().cloned().collect()
    }

    /// Adds a room, or puts another in its place.
    pub(crate) fn put_room(&self, room: Arc<Room>) {
        let mut rooms = self.rooms.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        rooms.insert(room.no, room);
    }

    /// Adds a room, unless somebody was first.
    pub(crate) fn put_room_if_new(&self, room: Arc<Room>) {
        let mut rooms = self.rooms.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        rooms.entry(room.no).or_insert(room);
    }

    /// Reads a tenant's control state again.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn reload(&self, room: &Room) -> Result<(), Refusal> {
        room.set_control(control::load(self, room).await?);
        Ok(())
    }

    /// Opens the keys of a tenant, finishing what a crash left (protocols.md 1.2).
    ///
    /// # Errors
    /// The refusals of protocols.md 1.2.
    pub(crate) async fn open_keys(
        &self,
        id: TenantId,
        no: TenantNo,
        logged_epoch: u32,
    ) -> Result<TenantKeys, leadvault_keys::KeyError> {
        TenantKeys::open(&self.parts.services, id, no, logged_epoch).await
    }

    /// Finds out who shows a bearer token; whether that is yet to be confirmed by the commit of the call. A call that
    /// was refused without one asks again, with [`Proof::Now`].
    ///
    /// # Errors
    /// [`Fault::Unauthenticated`] for a missing, wrong, expired or revoked key, always the same, and for one
    /// of a region nobody knows; [`Fault::WrongRegion`] for a key of another region, with its endpoint.
    pub async fn authenticate(
        &self,
        bearer: &str,
        proof: Proof,
    ) -> Result<(Credential, bool), Fault> {
        if is_operator(bearer, &self.parts.operator_key_hash) {
            self.catch_up_all().await?;
            return Ok((Credential::Operator, false));
        }
        let shown = ShownKey::parse(bearer).ok_or(Fault::Unauthenticated)?;
        if shown.region != self.parts.region {
            let endpoint = self.parts.endpoints.get(&shown.region).cloned();
            return Err(
                endpoint.map_or(Fault::Unauthenticated, |endpoint| Fault::WrongRegion { endpoint })
            );
        }
        let (caller, open) = crate::api_keys::verify(self, &shown, proof).await?;
        Ok((Credential::Tenant(Box::new(caller)), open))
    }

    /// Whether the cell can serve. Probes the journal where it failed last, and otherwise at most once a
    /// second: a disk that filled up while nobody called is seen before somebody calls.
    pub async fn readiness(&self) -> Readiness {
        let mut reasons = Vec::new();
        let now = self.clock().now().micros();
        let is_fresh = now.saturating_sub(self.probed.load(Ordering::Acquire)) < PROBE_MICROS;
        if !(self.journal.is_writable() && is_fresh) {
            self.probed.store(now, Ordering::Release);
            if !self.journal.probe().await {
                reasons.push("journal_unwritable");
            }
        }
        Readiness {
            ready: reasons.is_empty(),
            reasons,
            durability: self.parts.durability.clone(),
            level: self.level().as_str(),
        }
    }

    /// Whether a tenant is served at all: a closed one keeps only its log and receipts.
    pub(crate) fn is_closed(room: &Room) -> bool {
        room.control().state == TenantState::Closed
    }
}
