//! The stores of a cell as the configuration names them: two files, or two databases of PostgreSQL. And `leadvault
//! migrate`, which makes the schema of the latter.

use std::path::Path;

use anyhow::Context as _;
use leadvault_store::{
    Bucket, DataStore, KeyStore, Objects, PostgresOptions, StoreError, StoreOptions,
};
use serde_json::json;

use crate::config::{Config, ObjectsConfig, PostgresConfig};
use crate::exit::{Done, Stop};
use crate::output::print_json;
use crate::secret_file;

/// Opens the data store.
///
/// # Errors
/// 2 for a URL file or a role that cannot be used; 3 for a schema of a newer program; 4 where the engine does not
/// answer.
pub(crate) async fn data(config: &Config) -> Result<DataStore, Stop> {
    let opened = match &config.postgres {
        None => DataStore::open(&config.data.join("data.db"), StoreOptions::default()).await,
        Some(postgres) => {
            let url = secret_file::read("postgres.data_url_file", &postgres.data_url_file)?;
            let files = config.data.join("files");
            DataStore::open_postgres(url.expose(), &files, options(postgres)).await
        }
    };
    let store = opened.map_err(|error| failed(error, "postgres.data_url_file"))?;
    match &config.objects {
        None => Ok(store),
        Some(objects) => Ok(store.with_objects(bucket(objects)?)),
    }
}

/// The bucket of sealed objects. Nothing is asked of it yet.
///
/// # Errors
/// 2 for a secret that cannot be used and for an endpoint that is none.
pub(crate) fn bucket(config: &ObjectsConfig) -> Result<Objects, Stop> {
    let secret_key = secret_file::read("objects.secret_key_file", &config.secret_key_file)?;
    let bucket = Bucket {
        endpoint: config.endpoint.clone(),
        name: config.bucket.clone(),
        region: config.region.clone(),
        access_key_id: config.access_key_id.clone(),
        secret_key,
    };
    Objects::in_bucket(&bucket).map_err(|error| failed(error, "objects.endpoint"))
}

/// Opens the key store.
///
/// # Errors
/// As [`data`].
pub(crate) async fn keys(config: &Config) -> Result<KeyStore, Stop> {
    let opened = match &config.postgres {
        None => KeyStore::open(&config.data.join("keys.db"), StoreOptions::default()).await,
        Some(postgres) => {
            let url = secret_file::read("postgres.keys_url_file", &postgres.keys_url_file)?;
            KeyStore::open_postgres(url.expose(), options(postgres)).await
        }
    };
    opened.map_err(|error| failed(error, "postgres.keys_url_file"))
}

fn options(postgres: &PostgresConfig) -> PostgresOptions {
    PostgresOptions { readers: postgres.readers, writers: postgres.writers }
}

/// A store that does not answer.
pub(crate) fn store_error(error: StoreError) -> Stop {
    failed(error, "the store")
}

/// A store that does not open; `place` is where its URL came from.
pub(crate) fn failed(error: StoreError, place: &'static str) -> Stop {
    match error {
        StoreError::SchemaNewer { .. } | StoreError::SchemaDiffers { .. } => {
            Stop::Refused { code: "schema_newer", detail: error.to_string() }
        }
        StoreError::SchemaOlder { .. } => Stop::Usage(
            anyhow::Error::new(error)
                .context("run `leadvault migrate` as the owner of the tables first")
                .context(place),
        ),
        StoreError::Role | StoreError::Address => {
            Stop::Usage(anyhow::Error::new(error).context(place))
        }
        other => Stop::Again(anyhow::Error::new(other).context("the store")),
    }
}

/// Runs `migrate`: makes the schema of both databases, or brings it up.
///
/// # Errors
/// 2 for a file that is no secret or holds no URL; 3 where a newer program has been there; 4 where a database does
/// not answer or refuses.
pub(crate) fn migrate(data: &Path, keys: &Path) -> Done {
    let data_url = secret_file::read("--data-url-file", data)?;
    let keys_url = secret_file::read("--keys-url-file", keys)?;
    if data_url.expose() == keys_url.expose() {
        return Err(Stop::Usage(anyhow::anyhow!(
            "--keys-url-file: the key store needs a database of its own: it is never restored"
        )));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("runtime")
        .map_err(Stop::Again)?;
    runtime.block_on(async {
        let made = DataStore::migrate_postgres(data_url.expose()).await;
        made.map_err(|error| failed(error, "--data-url-file"))?;
        let made = KeyStore::migrate_postgres(keys_url.expose()).await;
        made.map_err(|error| failed(error, "--keys-url-file"))
    })?;
    say!("now make the login of the service a member of lv_app: GRANT lv_app TO <login>");
    print_json(&json!({ "ok": true }))
}
