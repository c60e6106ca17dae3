//! What is due by the clock: daily entries of a log, and records of requests that are over.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails where it is surprised")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use leadvault_crypto::{SecretKey, SigningKey, SystemEntropy};
use leadvault_domain::{Clock, Entropy, FieldNo, RequestId, Timestamp};
use leadvault_keys::{KeyServices, RootKey, Slot};
use leadvault_kms::{FileRoot, FileSlots};
use leadvault_ledger::{EntryView, LogKeys, LogOperation};
use leadvault_store::{DataStore, KeyStore, LogFiles, StoreOptions};
use leadvault_vault::leads::LeadDoc;
use leadvault_vault::{
    Act, Call, Cell, CellParts, Credential, Named, datasets, instructions, leads, log, tenants,
};
use serde_json::json;

const DAY: i64 = 24 * 3600;
const START: i64 = 1_790_000_000;

/// A clock that a test moves.
#[derive(Debug)]
struct Hands(AtomicI64);

impl Hands {
    fn forward(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst) * 1_000_000)
    }
}

struct World {
    _dir: tempfile::TempDir,
    clock: Arc<Hands>,
    cell: Arc<Cell>,
    call: Call,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(Hands(AtomicI64::new(START)));
        let cell = cell_in(dir.path(), Arc::clone(&clock) as _).await;
        let tenant = json!({
            "name": "Acme", "region": "eu1", "controller_country": "DE",
            "locations": { "store": ["DE"], "access": ["DE"] },
            "agreement": { "id": "dpa-1", "version": "1", "sha256": "0".repeat(64) },
        });
        let tenant = serde_json::from_slice(tenant.to_string().as_bytes()).unwrap();
        let act = Act { idempotency_key: None, route: "test", fingerprint: [0; 32] };
        let made = tenants::create(&cell, &act, tenant).await.unwrap();
        let caller = match cell.authenticate(made.secret.unwrap().expose()).await.unwrap() {
            Credential::Tenant(caller) => *caller,
            Credential::Operator => panic!("a tenant's key"),
        };
        let call = Call {
            caller,
            instruction: None,
            purpose: None,
            request: RequestId::make(clock.as_ref(), &SystemEntropy).unwrap(),
            idempotency_key: None,
            route: "test",
            fingerprint: [0; 32],
        };
        Self { _dir: dir, clock, cell, call }
    }

    /// Makes a dataset under an idempotency key; its id.
    async fn dataset(&self, key: &str) -> String {
        let mut call = self.call.clone();
        call.idempotency_key = Some(key.to_owned().into());
        let body = serde_json::from_slice(br#"{"name":"Fair"}"#).unwrap();
        datasets::create(&self.cell, &call, body).await.unwrap().value.id.to_string()
    }

    /// The operations in the tenant's log with their own numbers, from an index on.
    async fn own(&self, from: u64) -> Vec<(LogOperation, [Option<u64>; 4])> {
        let entries = log::entries(&self.cell, &self.call, from, None).await.unwrap().value;
        let views = entries.iter().map(|bytes| EntryView::parse(bytes).unwrap());
        let names = ["from_index", "to_index", "leaf_keys_released", "unwraps"];
        views.map(|view| (view.operation(), names.map(|name| view.own_number(name)))).collect()
    }

    async fn size(&self) -> u64 {
        u64::try_from(self.own(0).await.len()).unwrap()
    }
}

async fn cell_in(dir: &std::path::Path, clock: Arc<dyn Clock>) -> Arc<Cell> {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let root: Arc<dyn RootKey> = Arc::new(FileRoot::create(&dir.join("root.key")).unwrap());
    let slot: Arc<dyn Slot> = Arc::new(FileSlots::open(&dir.join("slots"), true).unwrap());
    let options = StoreOptions { ballast_bytes: 0, ..StoreOptions::default() };
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
    let signing = SigningKey::from_seed(&SecretKey::from_bytes([9; 32]));
    let parts = CellParts {
        endpoints: std::collections::HashMap::new(),
        region: "eu1".parse().unwrap(),
        country: "DE".parse().unwrap(),
        data,
        key_store,
        services,
        root,
        slot,
        log_keys: Arc::new(LogKeys::new("vault.example", signing).unwrap()),
        log_files: LogFiles::new(dir.join("log")),
        files_dir: dir.join("files"),
        operator_key_hash: [0; 32],
        durability: vec!["accept-total-loss".to_owned()],
        open_jobs_per_tenant: 4,
        clock,
        entropy,
        fail_point: Arc::new(|_| {}),
    };
    leadvault_vault::start(parts).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_with_entries_has_a_heartbeat_and_stats_once_a_day() {
    let world = World::new().await;
    world.cell.keep_up().await;
    let begun = world.size().await;
    world.clock.forward(DAY - 1);
    world.cell.keep_up().await;
    assert_eq!(world.size().await, begun, "not before the day is over");
    world.clock.forward(1);
    world.cell.keep_up().await;
    world.cell.keep_up().await;
    let said = world.own(begun).await;
    let words: Vec<_> = said.iter().map(|(operation, _)| *operation).collect();
    assert_eq!(words, [LogOperation::Heartbeat, LogOperation::Stats]);
    let [from, to, released, unwraps] = said[1].1;
    assert_eq!((from, to, released), (Some(0), Some(begun), Some(0)));
    assert!(unwraps.is_some());
    // The next day's are about what came since, and the tenant need do nothing for them.
    world.clock.forward(DAY);
    world.cell.keep_up().await;
    let said = world.own(begun + 2).await;
    assert_eq!(said[1].1[..2], [Some(begun + 2), Some(begun + 2)]);
    assert_eq!(said[1].1[3], Some(0), "no key was unwrapped since");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stats_count_the_keys_of_leads_that_were_opened() {
    let world = World::new().await;
    let (cell, mut call) = (&world.cell, world.call.clone());
    let dataset = world.dataset("k").await;
    let permit = json!({
        "agreement": { "id": "dpa-1", "version": "1", "sha256": "0".repeat(64) },
        "kind": "standing", "effect": "permit", "purposes": ["crm_operations"],
        "operations": ["collect", "store", "read", "display"],
        "data": { "categories": ["identity", "contact"] },
        "subjects": { "categories": ["lead"], "minors": "refuse" },
        "recipients": [],
        "locations": { "store": ["DE"], "access": ["DE"] },
        "validity": { "from": "2020-01-01T00:00:00Z" },
        "evidence": [{ "type": "contract_annex", "ref": "annex-1", "sha256": "1".repeat(64) }],
        "issuer": { "party": "controller", "authority": "contract_signatory" },
    });
    let body = serde_json::from_slice(permit.to_string().as_bytes()).unwrap();
    let id = instructions::draft(cell, &call, None, body).await.unwrap().value.id;
    instructions::activate(cell, &call, id, 1).await.unwrap();
    call.instruction = Some(Named { id, version: None });
    call.purpose = Some("crm_operations".parse().unwrap());
    let doc = json!({ "dataset": dataset, "fields": { "email": "ada@example.com" } });
    let doc: LeadDoc = serde_json::from_slice(doc.to_string().as_bytes()).unwrap();
    let lead = leads::create::create(cell, &call, &doc).await.unwrap().value.id;
    cell.keep_up().await;
    for _ in 0..3 {
        leads::reveal::reveal(cell, &call, lead, Some(&[FieldNo::EMAIL])).await.unwrap();
    }
    world.clock.forward(DAY);
    cell.keep_up().await;
    let said = world.own(0).await;
    let (operation, [.., released, _]) = said.last().unwrap();
    assert_eq!((*operation, *released), (LogOperation::Stats, Some(3)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_quiet_for_thirty_days_is_let_rest_until_somebody_comes() {
    let world = World::new().await;
    world.cell.keep_up().await;
    for _ in 0..40 {
        world.clock.forward(DAY);
        world.cell.keep_up().await;
    }
    let said = world.own(0).await;
    let beats = said.iter().filter(|(op, _)| *op == LogOperation::Heartbeat).count();
    assert!((30..=31).contains(&beats), "{beats}");
    world.dataset("k").await;
    world.cell.keep_up().await;
    let after = world.own(0).await;
    let now = after.iter().filter(|(op, _)| *op == LogOperation::Heartbeat).count();
    assert_eq!(now, beats + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_a_request_is_forgotten_after_a_day() {
    let world = World::new().await;
    let first = world.dataset("k").await;
    world.clock.forward(DAY - 1);
    world.cell.keep_up().await;
    assert_eq!(world.dataset("k").await, first, "answered again");
    let epoch = tenants::view(&world.cell, &world.call).await.unwrap().value.epoch.unwrap();
    world.clock.forward(1);
    world.cell.keep_up().await;
    let swept = tenants::view(&world.cell, &world.call).await.unwrap().value.epoch.unwrap();
    assert_eq!(swept, epoch + 1, "its leaf was punctured");
    assert_ne!(world.dataset("k").await, first, "the key is free again");
    // A record that nobody swept is over all the same.
    let second = world.dataset("k2").await;
    world.clock.forward(DAY);
    assert_ne!(world.dataset("k2").await, second);
}
