//! `leadvault move-store`: an embedded vault grows up. Its rows go into two databases of PostgreSQL, ciphertext as it is;
//! slots, logs, files and keys stay where they are.
//!
//! The service is stopped meanwhile. At the end the configuration names the databases, and the two files are set aside
//! under other names, so that no start takes them for the present ones. Cut off at any point, the command goes on
//! when it is run again.

use std::path::Path;

use anyhow::Context as _;
use leadvault_domain::TenantId;
use leadvault_store::{DataStore, KeyStore, MovedTable, PostgresOptions, StoreOptions};
use serde_json::json;

use crate::config::{Config, PostgresConfig};
use crate::data_lock::DataLock;
use crate::exit::{Done, Stop};
use crate::output::{print_json, write_whole};
use crate::{secret_file, stores, telemetry};

/// The embedded stores, and what they are called afterwards.
const FILES: [(&str, &str); 2] =
    [("data.db", "data.db.moved-to-postgres"), ("keys.db", "keys.db.moved-to-postgres")];

/// Runs the command.
///
/// # Errors
/// 2 while the service runs, for a vault that is in PostgreSQL already, and for URL files or roles that cannot be used;
/// 3 for a schema of a newer program; 4 when it could not finish.
pub(crate) fn run(config_file: &Path, data_url_file: &Path, keys_url_file: &Path) -> Done {
    let config = Config::read(config_file)?;
    telemetry::start_lines(None, None);
    let _alone = DataLock::exclusive(&config.data)?;
    if config.postgres.is_some() {
        set_aside(&config.data)?;
        return Err(Stop::Usage(anyhow::anyhow!("the vault is in PostgreSQL already")));
    }
    let place = |name: &'static str, path: &Path| path.canonicalize().context(name);
    let urls = PostgresConfig::new(
        place("--data-url-file", data_url_file)?,
        place("--keys-url-file", keys_url_file)?,
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("runtime")
        .map_err(Stop::Again)?;
    let (tenants, rows) = runtime.block_on(copy(&config, &urls))?;
    name_databases(config_file, &urls)?;
    set_aside(&config.data)?;
    print_json(&json!({ "ok": true, "tenants": tenants, "rows": rows }))
}

/// Copies both stores; how many tenants and rows there are.
async fn copy(config: &Config, urls: &PostgresConfig) -> Result<(usize, u64), Stop> {
    let options = StoreOptions { ballast_bytes: 0, ..StoreOptions::default() };
    let path = |name: &str| config.data.join(name);
    if !path("data.db").exists() || !path("keys.db").exists() {
        return Err(Stop::Usage(anyhow::anyhow!("the vault has no embedded stores")));
    }
    let data = DataStore::open(&path("data.db"), options).await.map_err(stores::store_error)?;
    let keys = KeyStore::open(&path("keys.db"), options).await.map_err(stores::store_error)?;
    let few = PostgresOptions { readers: 2, writers: 2 };
    let url = secret_file::read("--data-url-file", &urls.data_url_file)?;
    let new_data = DataStore::open_postgres(url.expose(), &path("files"), few).await;
    let new_data = new_data.map_err(|error| stores::failed(error, "--data-url-file"))?;
    let url = secret_file::read("--keys-url-file", &urls.keys_url_file)?;
    let new_keys = KeyStore::open_postgres(url.expose(), few).await;
    let new_keys = new_keys.map_err(|error| stores::failed(error, "--keys-url-file"))?;

    let mut rows = 0;
    let mut note = |of: &str, moved: MovedTable| {
        rows += moved.rows;
        if moved.rows > 0 {
            say!("{of}: {} rows of {} copied and compared", moved.rows, moved.table);
        }
    };
    let tenants = data.list_tenants().await.map_err(stores::store_error)?;
    let ids: Vec<TenantId> = tenants.iter().map(|tenant| tenant.id).collect();
    let moved = new_keys_first(&keys, &new_keys, &ids, &mut note).await;
    moved.map_err(stores::store_error)?;
    let moved = data.move_into(&new_data, |no, moved| note(&format!("tenant {}", no.0), moved));
    moved.await.map_err(stores::store_error)?;
    data.close().await;
    keys.close().await;
    new_data.close().await;
    new_keys.close().await;
    Ok((tenants.len(), rows))
}

/// Keys before rows: a row without its key would be one more thing to explain.
async fn new_keys_first(
    keys: &KeyStore,
    new_keys: &KeyStore,
    ids: &[TenantId],
    note: &mut (impl FnMut(&str, MovedTable) + Send),
) -> leadvault_store::Result<()> {
    keys.move_into(new_keys, ids, |moved| note("keys", moved)).await
}

/// From here on a start opens the databases.
fn name_databases(config_file: &Path, urls: &PostgresConfig) -> Result<(), Stop> {
    let text = std::fs::read_to_string(config_file).context("the configuration")?;
    let section = toml::to_string(urls).context("configuration")?;
    let text = format!("{}\n\n[postgres]\n{section}", text.trim_end());
    write_whole(config_file, text.as_bytes()).context("the configuration").map_err(Stop::Again)
}

/// Nothing opens the files any more; they may be removed once the databases are backed up.
fn set_aside(data: &Path) -> Result<(), Stop> {
    for (name, aside) in FILES {
        let (from, to) = (data.join(name), data.join(aside));
        if from.exists() {
            std::fs::rename(&from, &to)
                .with_context(|| format!("cannot set {} aside", from.display()))
                .map_err(Stop::Again)?;
        }
    }
    Ok(())
}
