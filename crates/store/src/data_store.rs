//! The data store of a cell: `data.db`.

use std::path::{Path, PathBuf};

use leadvault_keys::FailPoint;
use sqlx::migrate::Migrator;

use crate::engine::{Engine, StoreOptions};
use crate::error::Result;
use crate::fail_point::Steps;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite/data");

/// Rows of tenants, and the journal. Sees sealed bytes, tags and numbers; never a key, never plaintext.
#[derive(Debug)]
pub struct DataStore {
    engine: Engine,
    files: PathBuf,
    steps: Steps,
}

impl DataStore {
    /// Opens or makes the data store at `path`; sealed objects go to `files/` beside it.
    ///
    /// # Errors
    /// [`crate::StoreError::SchemaNewer`] if a newer program has been here; else what the engine says.
    pub async fn open(path: &Path, options: StoreOptions) -> Result<Self> {
        let engine = Engine::open(path, &MIGRATIONS, options).await?;
        Ok(Self { engine, files: path.with_file_name("files"), steps: Steps::default() })
    }

    /// With a listener at each step `commit.…` of [`crate::fail_point::FAIL_POINTS`].
    #[must_use]
    pub fn with_fail_points(mut self, fail_point: FailPoint) -> Self {
        self.steps = Steps::new(fail_point);
        self
    }

    /// Moves the write-ahead log into the database and makes the ballast again. Returns whether the log
    /// could be cut.
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
        let engine = Engine::look(path, &MIGRATIONS).await?;
        Ok(Self { engine, files: path.with_file_name("files"), steps: Steps::default() })
    }

    /// Whether every page of the database and every index holds together.
    ///
    /// # Errors
    /// [`crate::StoreError`] where it cannot even be read.
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

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn steps(&self) -> &Steps {
        &self.steps
    }

    pub(crate) fn files(&self) -> &Path {
        &self.files
    }
}
