//! The key that signs the logs: made at the first start, wrapped by the root, kept in the key store; and
//! `leadvault log rotate-key`, which puts another in its place.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use leadvault_crypto::{SecretKey, SigningKey, SystemEntropy};
use leadvault_domain::{Clock as _, Timestamp, Unobserved};
use leadvault_keys::{RootError, RootKey, WrapContext};
use leadvault_ledger::LogKeys;
use leadvault_store::{CellSecretRow, KeyStore};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::clock::SystemClock;
use crate::config::Config;
use crate::data_lock::DataLock;
use crate::exit::{Done, Stop};
use crate::output::{self, print_json};
use crate::{serve, stores, telemetry};

/// Name of the log signing key among the cell's secrets.
pub(crate) const CURRENT: &str = "log-signing-key";
/// The copy of the wraps in the mirror directory.
const MIRRORED: &str = "log-signing-key.json";
/// The one that a rotation has announced and not put in its place yet.
const NEXT: &str = "log-signing-key-next";

/// The signing keys as the key store has them; the first is made here. A mirror gets a copy of the wraps.
///
/// # Errors
/// 2 for a host that no log can carry; 3 where the key store is empty and the mirror is not; 4 where root or store do not answer.
pub(crate) async fn open(
    config: &Config,
    root: &dyn RootKey,
    key_store: &KeyStore,
    now: Timestamp,
) -> Result<LogKeys, Stop> {
    let host = config.host.as_str();
    let mut rows = key_store.list_cell_secrets(CURRENT).await.map_err(stores::store_error)?;
    if rows.is_empty() {
        refuse_if_mirrored(config)?;
        let row = make(root, 1, now).await?;
        key_store.insert_cell_secret(CURRENT, &row).await.map_err(stores::store_error)?;
        rows.push(row);
    }
    mirror(config, &rows)?;
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
pub(crate) fn rotate(config: &Path) -> Done {
    let config = Config::read(config)?;
    let _alone = DataLock::exclusive(&config.data)?;
    telemetry::start_lines(None, None);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("runtime")
        .map_err(Stop::Again)?;
    let key = runtime.block_on(rotated(&config))?;
    say!("the key before signs beside it for 30 days; publish the new verifier keys");
    print_json(&json!({ "ok": true, "key": key }))
}

async fn rotated(config: &Config) -> Result<String, Stop> {
    let parts = serve::parts(config, Arc::new(Unobserved)).await?;
    let (root, key_store) = (parts.root.clone(), parts.key_store.clone());
    let rows = key_store.list_cell_secrets(CURRENT).await.map_err(stores::store_error)?;
    let current = rows.last().context("log signing key").map_err(Stop::Again)?.generation;
    let generation = current.checked_add(1).context("log signing key").map_err(Stop::Again)?;
    let announced = key_store.list_cell_secrets(NEXT).await.map_err(stores::store_error)?;
    let row = match announced.into_iter().find(|row| row.generation == generation) {
        Some(row) => row,
        None => {
            let row = make(root.as_ref(), generation, SystemClock.now()).await?;
            key_store.insert_cell_secret(NEXT, &row).await.map_err(stores::store_error)?;
            row
        }
    };
    let key = unwrap(root.as_ref(), &row).await?;
    let text = LogKeys::key_text(&key.verifying_key());
    let cell = leadvault_vault::start(parts).await.map_err(serve::start_error)?;
    let done = leadvault_vault::log_key::rotate(&cell, key).await;
    done.map_err(|refusal| Stop::Again(anyhow::anyhow!("rotation: {}", refusal.fault)))?;
    let row = CellSecretRow { created_at: SystemClock.now(), ..row };
    key_store.insert_cell_secret(CURRENT, &row).await.map_err(stores::store_error)?;
    // Whoever is before the one before has not signed for a whole rotation.
    key_store.delete_cell_secrets(CURRENT, current).await.map_err(stores::store_error)?;
    let spent = generation.saturating_add(1);
    key_store.delete_cell_secrets(NEXT, spent).await.map_err(stores::store_error)?;
    let rows = key_store.list_cell_secrets(CURRENT).await.map_err(stores::store_error)?;
    mirror(config, &rows)?;
    Ok(text)
}

/// A wrapped key in the mirror. Only the root opens it.
#[derive(Debug, Serialize, Deserialize)]
struct Mirrored {
    generation: u32,
    wrapped: String,
    created_at: Timestamp,
}

/// Copies the wraps to the mirror, where there is one: without them a rebuilt key store could sign no log.
fn mirror(config: &Config, rows: &[CellSecretRow]) -> Result<(), Stop> {
    let Some(dir) = &config.durability.mirror else { return Ok(()) };
    let keys: Vec<Mirrored> = rows
        .iter()
        .map(|row| Mirrored {
            generation: row.generation,
            wrapped: hex::encode(&row.wrapped),
            created_at: row.created_at,
        })
        .collect();
    let text = serde_json::to_vec(&keys).context("log signing key").map_err(Stop::Again)?;
    let path = dir.join(MIRRORED);
    if std::fs::read(&path).is_ok_and(|present| present == text) {
        return Ok(());
    }
    output::write_whole(&path, &text).context("the mirror directory").map_err(Stop::Again)
}

/// A key store without a signing key beside a mirror that has one was lost or put back empty. Another key
/// could not go on with any log, and would take the mirrored one's place.
fn refuse_if_mirrored(config: &Config) -> Result<(), Stop> {
    match &config.durability.mirror {
        Some(dir) if dir.join(MIRRORED).exists() => Err(Stop::Refused {
            code: "key_store_behind_slot",
            detail: format!(
                "the key store is empty and its mirror is not; leadvault keys restore --mirror {}",
                dir.display()
            ),
        }),
        _ => Ok(()),
    }
}

/// Puts the wraps of the mirror into the key store, in the place of any that are there.
///
/// # Errors
/// 4 where the mirror has none, or the store does not answer.
pub(crate) async fn restore(mirror: &Path, key_store: &KeyStore) -> Done {
    let text = std::fs::read(mirror.join(MIRRORED)).context("the mirror's log signing key");
    let text = text.map_err(Stop::Again)?;
    let keys: Vec<Mirrored> = serde_json::from_slice(&text)
        .context("the mirror's log signing key")
        .map_err(Stop::Again)?;
    key_store.delete_cell_secrets(CURRENT, u32::MAX).await.map_err(stores::store_error)?;
    for key in keys {
        let wrapped = hex::decode(&key.wrapped).context("the mirror's log signing key");
        let wrapped = wrapped.map_err(Stop::Again)?;
        let row = CellSecretRow { generation: key.generation, wrapped, created_at: key.created_at };
        key_store.insert_cell_secret(CURRENT, &row).await.map_err(stores::store_error)?;
    }
    Ok(())
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
