//! The key store of a cell: `keys.db`, or a database of PostgreSQL that is not the data store's. Replicated, never restored (protocols.md 1.3).
//!
//! Its rows are in [`crate::key_blobs`], [`crate::cell_secret`] and [`crate::log_head`].

use std::path::Path;

use sqlx::migrate::Migrator;

use crate::engine::{
    Engine, PoolGauge, PostgresEngine, PostgresOptions, SqliteEngine, StoreOptions, postgres,
};
use crate::error::Result;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite/keys");
static POSTGRES_MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/postgres/keys");

/// Wrapped and sealed keys. No key lies here that opens without the slot and the root provider.
#[derive(Debug)]
pub struct KeyStore {
    engine: Engine,
}

impl KeyStore {
    /// Opens or makes the key store at `path`.
    ///
    /// # Errors
    /// [`crate::StoreError::SchemaNewer`] if a newer program has been here; else what the engine says.
    pub async fn open(path: &Path, options: StoreOptions) -> Result<Self> {
        Ok(Self {
            engine: Engine::Sqlite(Box::new(SqliteEngine::open(path, &MIGRATIONS, options).await?)),
        })
    }

    /// Opens the key store in the PostgreSQL database at `url`, as a member of `lv_app`.
    ///
    /// # Errors
    /// As [`crate::DataStore::open_postgres`].
    pub async fn open_postgres(url: &str, options: PostgresOptions) -> Result<Self> {
        let engine = PostgresEngine::open(url, &POSTGRES_MIGRATIONS, options).await?;
        Ok(Self { engine: Engine::Postgres(engine) })
    }

    /// Makes the schema in the PostgreSQL database at `url`, or brings it up, as the owner of its tables.
    ///
    /// # Errors
    /// [`crate::StoreError::SchemaNewer`] if a newer program has been there; else what the engine says.
    pub async fn migrate_postgres(url: &str) -> Result<()> {
        postgres::migrate(url, &POSTGRES_MIGRATIONS).await
    }

    /// Moves the write-ahead log into the database, so that deleted blobs are in no file any more, and
    /// makes the ballast again. Returns whether the log could be cut.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn checkpoint(&self) -> Result<bool> {
        self.engine.checkpoint().await
    }

    /// Opens the store at `path` to look at it: nothing is written, no schema is brought up.
    ///
    /// # Errors
    /// [`crate::StoreError::SchemaNewer`] if a newer program has been here; else what the engine says.
    pub async fn look(path: &Path) -> Result<Self> {
        let engine = Engine::Sqlite(Box::new(SqliteEngine::look(path, &MIGRATIONS).await?));
        Ok(Self { engine })
    }

    /// Whether the engine finds the file in order.
    ///
    /// # Errors
    /// [`crate::StoreError`] where it cannot even be asked.
    pub async fn is_sound(&self) -> Result<bool> {
        self.engine.is_sound().await
    }

    /// Whether the space kept for a full disk is in place.
    pub fn has_ballast(&self) -> bool {
        self.engine.has_ballast()
    }

    /// Makes the space kept for a full disk again where it was given up and there is room.
    pub async fn fill_ballast(&self) {
        self.engine.fill_ballast().await;
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.engine.close().await;
    }

    /// What its pools of connections hold now.
    pub fn pools(&self) -> Vec<PoolGauge> {
        self.engine.pools()
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }
}
