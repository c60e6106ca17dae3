//! The data store of a cell: `data.db`, or a database of PostgreSQL.

use std::path::Path;
use std::sync::Arc;

use leadvault_keys::FailPoint;
use sqlx::migrate::Migrator;

use crate::engine::{
    Engine, PoolGauge, PostgresEngine, PostgresOptions, SqliteEngine, StoreOptions, postgres,
};
use crate::error::Result;
use crate::fail_point::Steps;
use crate::keeper::{Keeper, Step, merge_next};
use crate::objects::Objects;
use crate::stage::StageCache;
use crate::together::Together;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite/data");
static POSTGRES_MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/postgres/data");

/// Rows of tenants, and the journal. Sees sealed bytes, tags and numbers; never a key, never plaintext.
#[derive(Debug)]
pub struct DataStore {
    engine: Arc<Engine>,
    stage: Arc<StageCache>,
    keeper: Keeper,
    /// Where a round trip costs more than what it asks for; SQLite answers each by itself.
    together: Option<Together>,
    objects: Objects,
    steps: Steps,
}

impl DataStore {
    /// Opens or makes the data store at `path`; sealed objects go to `files/` beside it. Runs on the
    /// current tokio runtime, where it keeps a task.
    ///
    /// # Errors
    /// [`crate::StoreError::SchemaNewer`] if a newer program has been here; else what the engine says.
    pub async fn open(path: &Path, options: StoreOptions) -> Result<Self> {
        let engine = Arc::new(Engine::Sqlite(Box::new(
            SqliteEngine::open(path, &MIGRATIONS, options).await?,
        )));
        let stage = Arc::new(StageCache::default());
        let keeper = Keeper::start(Arc::clone(&engine), Arc::clone(&stage));
        Ok(Self {
            engine,
            stage,
            keeper,
            together: None,
            objects: Objects::in_dir(path.with_file_name("files")),
            steps: Steps::default(),
        })
    }

    /// Opens the data store in the PostgreSQL database at `url`, as a member of `lv_app`; sealed objects go
    /// to `files`.
    ///
    /// # Errors
    /// [`crate::StoreError::Address`], [`crate::StoreError::Role`]; [`crate::StoreError::SchemaOlder`] before
    /// [`DataStore::migrate_postgres`], [`crate::StoreError::SchemaNewer`] if a newer program has been there.
    pub async fn open_postgres(url: &str, files: &Path, options: PostgresOptions) -> Result<Self> {
        let engine = PostgresEngine::open(url, &POSTGRES_MIGRATIONS, options).await?;
        let engine = Arc::new(Engine::Postgres(engine));
        Ok(Self {
            together: Some(Together::start(&engine)),
            engine,
            stage: Arc::default(),
            keeper: Keeper::idle(),
            objects: Objects::in_dir(files),
            steps: Steps::default(),
        })
    }

    /// Makes the schema in the PostgreSQL database at `url`, or brings it up, as the owner of its tables.
    ///
    /// # Errors
    /// [`crate::StoreError::SchemaNewer`] if a newer program has been there; else what the engine says.
    pub async fn migrate_postgres(url: &str) -> Result<()> {
        postgres::migrate(url, &POSTGRES_MIGRATIONS).await
    }

    /// With a listener at each step `commit.…` of [`crate::fail_point::FAIL_POINTS`].
    #[must_use]
    pub fn with_fail_points(mut self, fail_point: FailPoint) -> Self {
        self.steps = Steps::new(fail_point);
        self
    }

    /// With its sealed objects elsewhere than in a directory beside it.
    #[must_use]
    pub fn with_objects(mut self, objects: Objects) -> Self {
        self.objects = objects;
        self
    }

    /// With nothing done behind the callers: staged tags stay where they are until
    /// [`DataStore::merge_staged`] is called. For tests that go step by step.
    #[must_use]
    pub fn without_keeper(mut self) -> Self {
        self.keeper = Keeper::idle();
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
        let engine =
            Arc::new(Engine::Sqlite(Box::new(SqliteEngine::look(path, &MIGRATIONS).await?)));
        let (stage, keeper) = (Arc::default(), Keeper::idle());
        let objects = Objects::in_dir(path.with_file_name("files"));
        Ok(Self { engine, stage, keeper, together: None, objects, steps: Steps::default() })
    }

    /// Whether every page of the database and every index holds together.
    ///
    /// # Errors
    /// [`crate::StoreError`] where it cannot even be read.
    pub async fn is_sound(&self) -> Result<bool> {
        self.engine.is_sound().await
    }

    /// Moves at most `rows` staged tags of a tenant into their tables, as the keeper does by itself; returns
    /// whether anything was left to do before. For whoever wants it done now: call it until it is false.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn merge_staged(&self, rows: usize) -> Result<bool> {
        match merge_next(&self.engine, &self.stage, |_| true, |_| rows).await? {
            Step::Merged => Ok(true),
            Step::Failed(_, error) => Err(error),
            Step::Nothing(_) => Ok(false),
        }
    }

    /// Whether the space kept for a full disk is in place.
    pub fn has_ballast(&self) -> bool {
        self.engine.has_ballast()
    }

    /// Makes the space kept for a full disk again where it was given up and there is room.
    pub async fn fill_ballast(&self) {
        self.engine.fill_ballast().await;
    }

    /// Rows of one slice of an import: what its transaction keeps others waiting for. On SQLite that is everybody, for
    /// about ten milliseconds; on PostgreSQL the writers of its tenant alone.
    pub fn slice_rows(&self) -> usize {
        match self.engine.as_ref() {
            Engine::Sqlite(_) => 256,
            Engine::Postgres(_) => 1_024,
        }
    }

    /// Closes every connection. The database is one file then, unless another process has it open.
    pub async fn close(&self) {
        self.keeper.end().await;
        self.engine.close().await;
    }

    /// What its pools of connections hold now.
    pub fn pools(&self) -> Vec<PoolGauge> {
        self.engine.pools()
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn together(&self) -> Option<&Together> {
        self.together.as_ref()
    }

    pub(crate) fn steps(&self) -> &Steps {
        &self.steps
    }

    pub(crate) fn stage(&self) -> &StageCache {
        &self.stage
    }

    pub(crate) fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// Where its sealed objects lie.
    pub const fn objects(&self) -> &Objects {
        &self.objects
    }
}
