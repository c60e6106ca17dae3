//! A vault with one tenant, its dataset and an instruction in force; a clock that can be moved and steps that can be
//! held.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use leadvault_crypto::age::Identity;
use leadvault_crypto::{SecretKey, SigningKey, SystemEntropy};
use leadvault_domain::{Clock, DatasetId, Entropy, RequestId, Timestamp, Unobserved};
use leadvault_keys::{KeyServices, RootKey, Slot};
use leadvault_kms::{FileRoot, FileSlots};
use leadvault_ledger::LogKeys;
use leadvault_store::{DataStore, KeyStore, LogFiles, StoreOptions};
use leadvault_vault::files::FileBounds;
use leadvault_vault::{
    Act, Call, Cell, CellParts, Credential, Named, Proof, datasets, instructions, tenants,
};
use serde_json::json;

/// CRM work on leads, from 2026 on: the sample that ships.
const INSTRUCTION: &str = include_str!("../../../leadvault/sample/instruction.json");
/// What a controller attests of a file (R-006): the sample that ships.
pub(crate) const ATTESTATION: &str = include_str!("../../../leadvault/sample/attestation.json");

/// A clock that a test moves: the real one, or one that stands.
#[derive(Debug)]
pub(crate) struct TestClock {
    stands_at: Option<Timestamp>,
    ahead_seconds: AtomicI64,
}

impl TestClock {
    /// Sets it forward.
    pub(crate) fn forward(&self, seconds: i64) {
        self.ahead_seconds.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    #[expect(clippy::disallowed_methods, reason = "receipts are compared with the real second")]
    fn now(&self) -> Timestamp {
        let now = self.stands_at.unwrap_or_else(|| {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
        });
        now.plus_seconds(self.ahead_seconds.load(Ordering::SeqCst))
    }
}

/// A step of a job that stops where it is until the test lets it go on.
#[derive(Debug)]
pub(crate) struct Gate {
    step: &'static str,
    reached: Sender<()>,
    go: Receiver<()>,
}

/// The test's side of a [`Gate`].
#[derive(Debug)]
pub(crate) struct Held {
    reached: Receiver<()>,
    go: Sender<()>,
}

impl Held {
    /// Waits until the step is reached.
    pub(crate) async fn reached(self) -> Sender<()> {
        tokio::task::spawn_blocking(move || {
            self.reached.recv().unwrap();
            self.go
        })
        .await
        .unwrap()
    }
}

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) cell: Arc<Cell>,
    pub(crate) call: Call,
    pub(crate) dataset: DatasetId,
    pub(crate) identity: Identity,
    pub(crate) log_key: SigningKey,
    pub(crate) clock: Arc<TestClock>,
    gate: Arc<Mutex<Option<Gate>>>,
}

async fn cell_in(
    dir: &std::path::Path,
    seed: &SecretKey,
    clock: Arc<dyn Clock>,
    gate: Arc<Mutex<Option<Gate>>>,
) -> Arc<Cell> {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let root_file = dir.join("root.key");
    let root =
        if root_file.exists() { FileRoot::open(&root_file) } else { FileRoot::create(&root_file) };
    let root: Arc<dyn RootKey> = Arc::new(root.unwrap());
    let slot: Arc<dyn Slot> = Arc::new(FileSlots::open(&dir.join("slots"), true).unwrap());
    let options = StoreOptions { ballast_bytes: 1 << 16, ..StoreOptions::default() };
    let data = Arc::new(DataStore::open(&dir.join("data.db"), options).await.unwrap());
    let key_store = Arc::new(KeyStore::open(&dir.join("keys.db"), options).await.unwrap());
    let services = KeyServices::new(
        Arc::clone(&root),
        Arc::clone(&slot),
        Arc::clone(&key_store) as _,
        Arc::clone(&clock),
        Arc::clone(&entropy),
    )
    .with_control(Arc::clone(&data) as _);
    let parts = CellParts {
        endpoints: std::collections::HashMap::new(),
        region: "eu1".parse().unwrap(),
        country: "DE".parse().unwrap(),
        data,
        key_store,
        services,
        root,
        slot,
        log_keys: Arc::new(LogKeys::new("vault.example", SigningKey::from_seed(seed)).unwrap()),
        log_files: LogFiles::new(dir.join("log")),
        files_dir: dir.join("files"),
        operator_key_hash: [0; 32],
        durability: vec!["single_disk".to_owned()],
        node: None,
        open_jobs_per_tenant: 4,
        file_bounds: FileBounds::default(),
        clock,
        entropy,
        observer: Arc::new(Unobserved),
        fail_point: Arc::new(move |step| {
            let mut gate = gate.lock().unwrap();
            if let Some(held) = gate.take_if(|held| held.step == step) {
                drop(gate);
                held.reached.send(()).unwrap();
                // A test that ends early lets go as well.
                let _ = held.go.recv();
            }
        }),
    };
    leadvault_vault::start(parts).await.unwrap()
}

impl World {
    /// On the real clock.
    pub(crate) async fn new() -> Self {
        Self::with_clock(None).await
    }

    /// On a clock that stands until it is moved.
    pub(crate) async fn at(time: &str) -> Self {
        Self::with_clock(Some(Timestamp::parse_rfc3339(time).unwrap())).await
    }

    async fn with_clock(stands_at: Option<Timestamp>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let seed = SecretKey::from_bytes([9; 32]);
        let clock = Arc::new(TestClock { stands_at, ahead_seconds: AtomicI64::new(0) });
        let gate = Arc::new(Mutex::new(None));
        let cell = cell_in(dir.path(), &seed, Arc::clone(&clock) as _, Arc::clone(&gate)).await;
        let identity = Identity::make(&SystemEntropy).unwrap();
        let tenant = json!({
            "name": "Acme", "region": "eu1", "controller_country": "DE",
            "locations": { "store": ["DE"], "access": ["DE", "US"] },
            "agreement": { "id": "dpa-1", "version": "1", "sha256": "0".repeat(64) },
            "export_recipient": identity.recipient().to_string(),
        });
        let tenant = serde_json::from_slice(tenant.to_string().as_bytes()).unwrap();
        let act = Act { idempotency_key: None, route: "test", fingerprint: [0; 32] };
        let made = tenants::create(&cell, &act, tenant).await.unwrap();
        let shown = made.secret.unwrap();
        let caller = match cell.authenticate(shown.expose(), Proof::Now).await.unwrap().0 {
            Credential::Tenant(caller) => *caller,
            Credential::Operator => panic!("a tenant's key"),
        };
        let mut call = Call {
            caller,
            instruction: None,
            purpose: None,
            request: RequestId::make(clock.as_ref(), &SystemEntropy).unwrap(),
            idempotency_key: None,
            route: "test",
            open: false,
            fingerprint: [0; 32],
        };
        let dataset = serde_json::from_slice(br#"{"name":"Fair","default_region":"US"}"#).unwrap();
        let dataset = datasets::create(&cell, &call, dataset).await.unwrap().value.id;
        let body = serde_json::from_str(INSTRUCTION).unwrap();
        let drafted = instructions::draft(&cell, &call, None, body).await.unwrap().value;
        instructions::activate(&cell, &call, drafted.id, 1).await.unwrap();
        call.instruction = Some(Named { id: drafted.id, version: None });
        call.purpose = Some("crm_operations".parse().unwrap());
        let log_key = SigningKey::from_seed(&seed);
        Self { dir, cell, call, dataset, identity, log_key, clock, gate }
    }

    /// Holds the next job that comes to a step.
    pub(crate) fn hold(&self, step: &'static str) -> Held {
        let (reached, is_reached) = channel();
        let (go, may_go) = channel();
        *self.gate.lock().unwrap() = Some(Gate { step, reached, go: may_go });
        Held { reached: is_reached, go }
    }

    /// Another dataset.
    pub(crate) async fn dataset(&self, name: &str) -> DatasetId {
        let body = serde_json::from_slice(json!({ "name": name }).to_string().as_bytes()).unwrap();
        datasets::create(&self.cell, &self.call, body).await.unwrap().value.id
    }
}
