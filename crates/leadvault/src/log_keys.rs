//! The key that signs the logs: made at the first start, wrapped by the root, kept in the key store; and
//! `leadvault log rotate-key`, which puts another in its place.

use std::path::Path;

use anyhow::Context as _;
use leadvault_crypto::{SecretKey, SigningKey, SystemEntropy};
use leadvault_domain::{Clock as _, Timestamp};
use leadvault_keys::{RootError, RootKey, WrapContext};
use leadvault_ledger::LogKeys;
use leadvault_store::{CellSecretRow, KeyStore};
use serde_json::json;

use crate::clock::SystemClock;
use crate::config::Config;
use crate::data_lock::DataLock;
use crate::exit::{Done, Stop};
use crate::output::print_json;
use crate::serve;

/// Name of the log signing key among the cell's secrets.
const CURRENT: &str = "log-signing-key";
/// The one that a rotation has announced and not put in its place yet.
const NEXT: &str = "log-signing-key-next";

/// The signing keys as the key store has them; the first is made here.
///
/// # Errors
/// 2 for a host that no log can carry; 4 where root or store do not answer.
pub(crate) async fn open(
    host: &str,
    root: &dyn RootKey,
    key_store: &KeyStore,
    now: Timestamp,
) -> Result<LogKeys, Stop> {
    let mut rows = key_store.list_cell_secrets(CURRENT).await.map_err(serve::store_error)?;
    if rows.is_empty() {
        let row = make(root, 1, now).await?;
        key_store.insert_cell_secret(CURRENT, &row).await.map_err(serve::store_error)?;
        rows.push(row);
    }
    let current = rows.pop().context("log signing key").map_err(Stop::Again)?;
    let key = unwrap(root, &current).await?;
    // Whether the one before still signs is a matter of its age; the keys decide that.
    let keys = match rows.pop() {
        Some(row) => LogKeys::rotated(host, key, unwrap(root, &row).await?, current.created_at),
        None => LogKeys::new(host, key),
    };
    keys.map_err(|_| Stop::Usage(anyhow::anyhow!("host: not a name a log can carry")))
}

/// Runs `log rotate-key`.
///
/// # Errors
/// 2 while the service runs; 3 as `serve`; 4 where it could not finish: run again, it goes on.
#[expect(clippy::print_stderr, reason = "stderr speaks to people")]
pub(crate) fn rotate(config: &Path) -> Done {
    let config = Config::read(config)?;
    let _alone = DataLock::exclusive(&config.data)?;
    serve::start_tracing();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("runtime")
        .map_err(Stop::Again)?;
    let key = runtime.block_on(rotated(&config))?;
    eprintln!("the key before signs beside it for 30 days; publish the new verifier keys");
    print_json(&json!({ "ok": true, "key": key }))
}

async fn rotated(config: &Config) -> Result<String, Stop> {
    let parts = serve::parts(config).await?;
    let (root, key_store) = (parts.root.clone(), parts.key_store.clone());
    let rows = key_store.list_cell_secrets(CURRENT).await.map_err(serve::store_error)?;
    let current = rows.last().context("log signing key").map_err(Stop::Again)?.generation;
    let generation = current.checked_add(1).context("log signing key").map_err(Stop::Again)?;
    let announced = key_store.list_cell_secrets(NEXT).await.map_err(serve::store_error)?;
    let row = match announced.into_iter().find(|row| row.generation == generation) {
        Some(row) => row,
        None => {
            let row = make(root.as_ref(), generation, SystemClock.now()).await?;
            key_store.insert_cell_secret(NEXT, &row).await.map_err(serve::store_error)?;
            row
        }
    };
    let key = unwrap(root.as_ref(), &row).await?;
    let text = LogKeys::key_text(&key.verifying_key());
    let cell = leadvault_vault::start(parts).await.map_err(serve::start_error)?;
    let done = leadvault_vault::log_key::rotate(&cell, key).await;
    done.map_err(|refusal| Stop::Again(anyhow::anyhow!("rotation: {}", refusal.fault)))?;
    let row = CellSecretRow { created_at: SystemClock.now(), ..row };
    key_store.insert_cell_secret(CURRENT, &row).await.map_err(serve::store_error)?;
    // Whoever is before the one before has not signed for a whole rotation.
    key_store.delete_cell_secrets(CURRENT, current).await.map_err(serve::store_error)?;
    let spent = generation.saturating_add(1);
    key_store.delete_cell_secrets(NEXT, spent).await.map_err(serve::store_error)?;
    Ok(text)
}

async fn make(root: &dyn RootKey, generation: u32, now: Timestamp) -> Result<CellSecretRow, Stop> {
    let seed = SecretKey::make(&SystemEntropy).context("randomness")?;
    let context = WrapContext::log_signing_key(generation);
    let wrapped = root.wrap(&context, &seed).await.map_err(closed)?;
    Ok(CellSecretRow { generation, wrapped, created_at: now })
}

async fn unwrap(root: &dyn RootKey, row: &CellSecretRow) -> Result<SigningKey, Stop> {
    let context = WrapContext::log_signing_key(row.generation);
    let seed = root.unwrap(&context, &row.wrapped).await.map_err(closed)?;
    Ok(SigningKey::from_seed(&seed))
}

fn closed(error: RootError) -> Stop {
    Stop::Again(anyhow::Error::new(error).context("log signing key"))
}
