//! A whole export: leads in, package out, opened with the reference implementation of age.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails where it is surprised")]

use std::io::{Cursor, Read as _};
use std::sync::Arc;

use futures::StreamExt as _;
use leadvault_crypto::age::Identity;
use leadvault_crypto::{SecretKey, SigningKey, SystemEntropy, minisign, sha256};
use leadvault_domain::{Clock, DatasetId, Entropy, ExportId, LeadId, RequestId, Timestamp};
use leadvault_keys::{KeyServices, RootKey, Slot};
use leadvault_kms::{FileRoot, FileSlots};
use leadvault_ledger::LogKeys;
use leadvault_store::{DataStore, KeyStore, LogFiles, StoreOptions};
use leadvault_vault::leads::LeadDoc;
use leadvault_vault::{
    Act, Call, Cell, CellParts, Credential, Fault, Named, datasets, export, instructions, leads,
    operations, parse_body, tenants,
};
use serde_json::{Value, json};

#[derive(Debug)]
struct RealClock;

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "receipts are compared with the real second")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
    }
}

struct World {
    dir: tempfile::TempDir,
    cell: Arc<Cell>,
    call: Call,
    dataset: DatasetId,
    identity: Identity,
    log_key: SigningKey,
}

async fn cell_in(dir: &std::path::Path, seed: &SecretKey) -> Arc<Cell> {
    let clock: Arc<dyn Clock> = Arc::new(RealClock);
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
        open_jobs_per_tenant: 4,
        clock,
        entropy,
        fail_point: Arc::new(|_| {}),
    };
    leadvault_vault::start(parts).await.unwrap()
}

fn permit() -> Value {
    json!({
        "agreement": { "id": "dpa-1", "version": "1", "sha256": "0".repeat(64) },
        "kind": "standing", "effect": "permit", "purposes": ["crm_operations"],
        "operations": ["collect", "store", "read", "search", "display", "modify", "restrict"],
        "data": { "categories": ["identity", "contact", "company_role", "note_text", "tag",
                  "activity_log", "preference", "location", "unclassified"] },
        "subjects": { "categories": ["lead"], "minors": "refuse" },
        "recipients": [],
        "locations": { "store": ["DE"], "access": ["DE", "US"] },
        "validity": { "from": "2020-01-01T00:00:00Z" },
        "evidence": [{ "type": "contract_annex", "ref": "annex-1", "sha256": "1".repeat(64) }],
        "issuer": { "party": "controller", "authority": "contract_signatory" },
    })
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let seed = SecretKey::from_bytes([9; 32]);
        let cell = cell_in(dir.path(), &seed).await;
        let identity = Identity::make(&SystemEntropy).unwrap();
        let tenant = json!({
            "name": "Acme", "region": "eu1", "controller_country": "DE",
            "locations": { "store": ["DE"], "access": ["DE", "US"] },
            "agreement": { "id": "dpa-1", "version": "1", "sha256": "0".repeat(64) },
            "export_recipient": identity.recipient().to_string(),
        });
        let tenant = parse_body(tenant.to_string().as_bytes()).unwrap();
        let act = Act { idempotency_key: None, route: "test", fingerprint: [0; 32] };
        let made = tenants::create(&cell, &act, tenant).await.unwrap();
        let caller = match cell.authenticate(made.secret.unwrap().expose()).await.unwrap() {
            Credential::Tenant(caller) => *caller,
            Credential::Operator => panic!("a tenant's key"),
        };
        let mut call = Call {
            caller,
            instruction: None,
            purpose: None,
            request: RequestId::make(&RealClock, &SystemEntropy).unwrap(),
            idempotency_key: None,
            route: "test",
            fingerprint: [0; 32],
        };
        let dataset = parse_body(br#"{"name":"Fair"}"#).unwrap();
        let dataset = datasets::create(&cell, &call, dataset).await.unwrap().value.id;
        let body = parse_body(permit().to_string().as_bytes()).unwrap();
        let drafted = instructions::draft(&cell, &call, None, body).await.unwrap().value;
        instructions::activate(&cell, &call, drafted.id, 1).await.unwrap();
        call.instruction = Some(Named { id: drafted.id, version: None });
        call.purpose = Some("crm_operations".parse().unwrap());
        Self { dir, cell, call, dataset, identity, log_key: SigningKey::from_seed(&seed) }
    }

    async fn lead(&self, email: &str, company: &str) -> LeadId {
        let doc = json!({
            "dataset": self.dataset, "external_id": "A1", "tags": ["vip"],
            "fields": { "email": email, "company": company },
        });
        let doc: LeadDoc = parse_body(doc.to_string().as_bytes()).unwrap();
        leads::create::create(&self.cell, &self.call, &doc).await.unwrap().value.id
    }

    /// The controller's call that names no instruction: an exit.
    fn exit(&self, key: &str) -> Call {
        let mut call = self.call.clone();
        (call.instruction, call.purpose) = (None, None);
        call.idempotency_key = Some(key.to_owned().into());
        call.fingerprint = sha256(&[key.as_bytes()]);
        call
    }

    async fn export(&self, key: &str, plain: bool) -> ExportId {
        let call = self.exit(key);
        let started = export::start(&self.cell, &call, None, plain).await.unwrap().value;
        for _ in 0..600 {
            let found = operations::find(&self.cell, &call, started).await.unwrap().value;
            match found.state {
                "done" => {
                    let result = found.result.unwrap();
                    return result["id"].as_str().unwrap().parse().unwrap();
                }
                "failed" => panic!("{:?}", found.error),
                _ => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
        }
        panic!("the export does not end")
    }

    async fn download(
        &self,
        id: ExportId,
        range: Option<(u64, Option<u64>)>,
    ) -> Result<Vec<u8>, Fault> {
        let answer = export::content(&self.cell, &self.exit("d"), id, range).await;
        let mut body = answer.map_err(|refusal| refusal.fault)?.value.body;
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await {
            bytes.extend_from_slice(&piece.unwrap());
        }
        Ok(bytes)
    }
}

fn decrypt(bytes: &[u8], identity: &Identity) -> Vec<u8> {
    let identity: age::x25519::Identity = identity.expose().parse().unwrap();
    age::decrypt(&identity, bytes).unwrap()
}

fn member(zip: &[u8], path: &str) -> Vec<u8> {
    let mut zip = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
    let names: Vec<String> = zip.file_names().map(|n| n.unwrap().into_owned()).collect();
    let name = names.iter().find(|n| n.ends_with(path)).unwrap();
    let mut bytes = Vec::new();
    zip.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_package_opens_with_age_and_its_hashes_and_signature_hold() {
    let world = World::new().await;
    let first = world.lead("ada@sentinel.example", "=cmd()").await;
    world.lead("bob@sentinel.example", "Two, \"Inc\"").await;
    let id = world.export("one", false).await;
    let view = export::find(&world.cell, &world.call, id).await.unwrap().value;
    assert_eq!((view.state, view.leads, view.encrypted), ("ready", Some(2), true));
    let sealed = world.download(id, None).await.unwrap();
    assert_eq!(view.bytes, Some(sealed.len() as u64));
    assert_eq!(view.sha256, Some(hex::encode(sha256(&[&sealed]))));
    let zip = decrypt(&sealed, &world.identity);
    let lines = String::from_utf8(member(&zip, "data/leads-0001.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines[0]["id"], first.to_string());
    assert_eq!(lines[0]["fields"]["company"], "=cmd()");
    assert_eq!(lines[0]["tags"], json!(["vip"]));
    let rows = String::from_utf8(member(&zip, "data/leads-0001.csv")).unwrap();
    assert!(rows.contains(",'=cmd(),") && rows.contains("\"Two, \"\"Inc\"\"\""), "{rows}");
    let tags = member(&zip, "/tagmanifest-sha256.txt");
    let signature = String::from_utf8(member(&zip, ".minisig")).unwrap();
    assert_eq!(minisign::verify(&world.log_key.verifying_key(), &tags, &signature), Ok(()));
    for manifest in ["/tagmanifest-sha256.txt", "/manifest-sha256.txt"] {
        for line in String::from_utf8(member(&zip, manifest)).unwrap().lines() {
            let (digest, path) = line.split_once("  ").unwrap();
            assert_eq!(digest, hex::encode(sha256(&[&member(&zip, path)])), "{path}");
        }
    }
    // A span is cut from the same bytes.
    let span = world.download(id, Some((10, Some(19)))).await.unwrap();
    assert_eq!(span, sealed[10..20]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_readable_lies_on_disk_and_an_erasure_makes_the_package_stale() {
    let world = World::new().await;
    let lead = world.lead("ada@sentinel.example", "Sentinel-Works").await;
    let id = world.export("one", true).await;
    let zip = world.download(id, None).await.unwrap();
    // The control: the plain package does hold what is looked for on the disk.
    let rows = member(&zip, "data/leads-0001.csv");
    assert!(rows.windows(14).any(|w| w == b"Sentinel-Works"));
    for entry in walk(world.dir.path()) {
        let bytes = std::fs::read(&entry).unwrap();
        let found = bytes.windows(14).any(|w| w == b"Sentinel-Works")
            || bytes.windows(4).any(|w| w == b"PK\x03\x04");
        assert!(!found, "{}", entry.display());
    }
    let erased = leads::erase::erase(&world.cell, &world.exit("erase"), lead).await.unwrap().value;
    let leads::erase::Erased::Receipt(receipt) = erased else { panic!("the key is there") };
    assert_eq!(receipt["exports"], json!([id]));
    assert_eq!(world.download(id, None).await, Err(Fault::ExportStale));
    let view = export::find(&world.cell, &world.call, id).await.unwrap().value;
    assert_eq!(view.state, "stale");
    let next = world.export("two", true).await;
    let view = export::find(&world.cell, &world.call, next).await.unwrap().value;
    assert_eq!((view.state, view.leads), ("ready", Some(0)));
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}
