//! A server of the product's parts, put together as the product does, but for the journal.
//!
//! It lets one run compare the same reads with the journal on and stubbed. It takes a data directory that
//! the product's `init` made and its `serve` has used, and listens on a free port.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use leadvault_api::ApiSettings;
use leadvault_crypto::{SigningKey, SystemEntropy};
use leadvault_domain::{Clock, Entropy, Timestamp, Unobserved};
use leadvault_keys::{KeyServices, RootKey, Slot, WrapContext};
use leadvault_kms::{FileRoot, FileSlots};
use leadvault_ledger::LogKeys;
use leadvault_store::{DataStore, KeyStore, LogFiles, StoreOptions};
use leadvault_vault::{Appender, CellParts, operator_key_hash};

use crate::arguments::JournalKind;
use crate::stub::StubJournal;

/// Name of the log signing key among the cell's secrets, as the product wrote it.
const SIGNING_KEY: &str = "log-signing-key";

#[derive(Debug)]
struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the composition root of this program")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let micros = since.map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX));
        Timestamp::from_micros(micros)
    }
}

/// Serves until the process is killed.
///
/// # Errors
/// The directory is not a vault's, or the cell does not start.
pub(crate) async fn serve(data: &Path, journal: JournalKind) -> anyhow::Result<()> {
    let parts = parts(data).await?;
    let appender: Arc<Appender> = match journal {
        JournalKind::Store => Arc::clone(&parts.data) as _,
        JournalKind::Stub => Arc::new(StubJournal::new(Arc::clone(&parts.data))),
    };
    let cell = leadvault_vault::start_with(parts, appender).await;
    let cell = cell.map_err(|e| anyhow::anyhow!("start: {e:?}"))?;
    let router = leadvault_api::router(cell, ApiSettings::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("listen")?;
    let address = listener.local_addr()?;
    println!("{}", serde_json::json!({ "ready": true, "address": format!("http://{address}") }));
    axum::serve(listener, router).await.context("the server ended")
}

async fn parts(dir: &Path) -> anyhow::Result<CellParts> {
    let config: toml::Table = std::fs::read_to_string(dir.join("leadvault.toml"))?.parse()?;
    let text = |key: &str| config.get(key).and_then(toml::Value::as_str).context("configuration");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let root: Arc<dyn RootKey> = Arc::new(FileRoot::open(&dir.join("root.key"))?);
    let slot: Arc<dyn Slot> = Arc::new(FileSlots::open(&dir.join("slots"), true)?);
    let options = StoreOptions::default();
    let data = Arc::new(DataStore::open(&dir.join("data.db"), options).await?);
    let key_store = Arc::new(KeyStore::open(&dir.join("keys.db"), options).await?);
    let services = KeyServices::new(
        Arc::clone(&root),
        Arc::clone(&slot),
        Arc::clone(&key_store) as _,
        Arc::clone(&clock),
        Arc::clone(&entropy),
    )
    .with_control(Arc::clone(&data) as _);
    let secrets = key_store.list_cell_secrets(SIGNING_KEY).await?;
    let row = secrets.last().context("the vault was never started")?;
    let seed = root.unwrap(&WrapContext::log_signing_key(row.generation), &row.wrapped).await?;
    let operator_key = std::fs::read_to_string(dir.join("operator.key"))?;
    Ok(CellParts {
        endpoints: std::collections::HashMap::new(),
        region: text("region")?.parse()?,
        country: text("country")?.parse()?,
        data,
        key_store,
        services,
        root,
        slot,
        log_keys: Arc::new(LogKeys::new(text("host")?, SigningKey::from_seed(&seed))?),
        log_files: LogFiles::new(dir.join("log")),
        files_dir: dir.join("files"),
        operator_key_hash: operator_key_hash(&operator_key),
        durability: vec!["accept-total-loss".to_owned()],
        node: None,
        open_jobs_per_tenant: 16,
        file_bounds: leadvault_vault::files::FileBounds::default(),
        clock,
        entropy,
        observer: Arc::new(Unobserved),
        fail_point: Arc::new(|_| {}),
    })
}
