//! SQLite: a single writing connection, a few reading ones, and the ballast beside the file.
//!
//! What it guarantees: a committed transaction is on the disk (`synchronous = FULL`), every write begins
//! with `BEGIN IMMEDIATE` and therefore never meets a conflict halfway, and writers are served in the order
//! in which they came. Each of the journal's two lanes has one transaction in flight, so a commit of reads
//! waits for at most one slice of an import.
//!
//! What it is not: a place for SQL about rows. The pragmas below are its only statements.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool,
    SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::{Mutex, MutexGuard};

use crate::ballast::Ballast;
use crate::cells::Cells;
use crate::disk::blocking;
use crate::engine::connection::{Connection, Held, Reader};
use crate::engine::pool_gauge::PoolGauge;
use crate::engine::query::query;
use crate::error::{Result, StoreError};
use crate::statement::{NONE, Sql, statements};

/// How long a connection waits for a lock that another process holds (`doctor`, a backup).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The log file is cut to this after a checkpoint, so that one large import does not keep its size.
const JOURNAL_BYTES_MAX: &str = "67108864";
/// Page cache of the writer, negative = KiB: holds the upper levels of every index of 5M leads.
const WRITER_CACHE: &str = "-32768";
/// Page cache of each reader, negative = KiB: the upper levels of the tables of 1M leads. What is below comes
/// from the cache of the operating system, which the memory of the process does not count.
const READER_CACHE: &str = "-4096";
/// Pages in the write-ahead log before a commit copies them back, which holds its writer for a quarter of a
/// second. Where a keeper runs it comes first, so that this is met only if it cannot keep up.
const CHECKPOINT_PAGES: &str = "40000";
/// Pages in the write-ahead log before the keeper copies them back: 48 MiB, so that a page that many
/// transactions touch is copied once.
const CHECKPOINT_BEHIND_PAGES: i64 = 12_000;
/// Pages that may be copied back while writers wait: a few milliseconds.
const CHECKPOINT_HELD_PAGES: i64 = 1_000;
/// Rounds of copying beside the writers, each shorter than the one before, until that few are left.
const CHECKPOINT_ROUNDS: usize = 4;
/// More than the number of statements of this crate: none is ever prepared twice by one connection.
const STATEMENT_CACHE: usize = 512;
statements! {
    /// Moves the write-ahead log into the database and cuts it to nothing.
    CHECKPOINT = "PRAGMA wal_checkpoint(TRUNCATE)", postgres: NONE;
    /// The last migration that ran.
    SCHEMA = "SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations", postgres: NONE;
    /// Says `ok`, or the first thing that is wrong.
    QUICK_CHECK = "PRAGMA quick_check(1)", postgres: NONE;
    /// Copies what it can without waiting for anybody.
    CHECKPOINT_BESIDE = "PRAGMA wal_checkpoint(PASSIVE)", postgres: NONE;
    /// Copies nothing, and says how much there is.
    CHECKPOINT_SIZE = "PRAGMA wal_checkpoint(NOOP)", postgres: NONE;
    /// Gives at most 1,000 free pages back, so that the call stays short.
    RECLAIM = "PRAGMA incremental_vacuum(1000)", postgres: NONE;
}

/// How a store is opened.
#[derive(Debug, Clone, Copy)]
pub struct StoreOptions {
    /// Size of the ballast file; 0 = none.
    pub ballast_bytes: u64,
    /// Reading connections.
    pub readers: u32,
    /// The database may not grow beyond this many pages of 4 KiB; `None` = no limit.
    pub pages_max: Option<u32>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        // 64 MiB: protocols.md 1.2. Four readers: two cores, and SQLite's reads hardly wait.
        Self { ballast_bytes: 64 << 20, readers: 4, pages_max: None }
    }
}

/// An open file.
#[derive(Debug)]
pub(crate) struct SqliteEngine {
    writer: Mutex<Option<SqliteConnection>>,
    readers: SqlitePool,
    options: SqliteConnectOptions,
    /// Moves the write-ahead log beside the writer; opened when it is first needed.
    copier: Mutex<Option<SqliteConnection>>,
    suspect: AtomicBool,
    ballast: Arc<Ballast>,
}

impl SqliteEngine {
    /// Opens or makes the database at `path` and brings its schema up.
    pub(crate) async fn open(
        path: &Path,
        migrator: &'static Migrator,
        settings: StoreOptions,
    ) -> Result<Self> {
        let options = writing(path, settings);
        let mut writer = options.connect().await?;
        migrate(migrator, &mut writer).await?;
        let readers = SqlitePoolOptions::new()
            .min_connections(1)
            .max_connections(settings.readers.max(1))
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(reading(path))
            .await?;
        let ballast = Arc::new(Ballast::open(path, settings.ballast_bytes));
        Ok(Self {
            writer: Mutex::new(Some(writer)),
            readers,
            options,
            copier: Mutex::new(None),
            suspect: AtomicBool::new(false),
            ballast,
        })
    }

    /// Opens the database at `path` for reading alone; both kinds of connections refuse to write.
    pub(crate) async fn look(path: &Path, migrator: &'static Migrator) -> Result<Self> {
        let readers =
            SqlitePoolOptions::new().max_connections(1).connect_with(reading(path)).await?;
        let found: i64 = sqlx::query_scalar(SCHEMA.sqlite).fetch_one(&readers).await?;
        let known = migrator.iter().map(|m| m.version).max().unwrap_or(0);
        if found > known {
            return Err(StoreError::SchemaNewer { found, known });
        }
        Ok(Self {
            writer: Mutex::new(None),
            readers,
            options: reading(path),
            copier: Mutex::new(None),
            suspect: AtomicBool::new(false),
            ballast: Arc::new(Ballast::open(path, 0)),
        })
    }

    /// A reading connection. It sees everything committed before the call.
    pub(crate) async fn reader(&self) -> Result<Reader> {
        Ok(Reader::Sqlite(self.readers.acquire().await?))
    }

    /// A reading transaction: everything in it is read as of its first statement.
    pub(crate) async fn snapshot(&self) -> Result<Reader> {
        Ok(Reader::SqliteSnapshot(self.readers.begin().await?))
    }

    /// The writing connection, in order of arrival. After an outage it is a new one: the state of the old
    /// one's last transaction is not known.
    pub(crate) async fn writer(&self) -> Result<Held<'_>> {
        let mut guard = self.writer.lock().await;
        if self.suspect.swap(false, Ordering::AcqRel) {
            *guard = None;
        }
        if guard.is_none() {
            *guard = Some(self.options.connect().await?);
        }
        let held = MutexGuard::try_map(guard, Option::as_mut);
        held.map(Held::Sqlite).map_err(|_| StoreError::Unavailable)
    }

    /// Runs a writing transaction; if the disk is full, releases the ballast and runs it once more.
    pub(crate) async fn write<T, F, Fut>(&self, mut attempt: F) -> Result<T>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let first = attempt().await;
        let Err(error) = first else { return first };
        if !error.is_outage() {
            return first;
        }
        self.suspect();
        if error != StoreError::Unwritable || !self.ballast.release() {
            return first;
        }
        let second = attempt().await;
        if second.as_ref().is_err_and(|e| e.is_outage()) {
            self.suspect();
        }
        second
    }

    /// The next writer gets a new connection: the state of the present one is not known.
    pub(crate) fn suspect(&self) {
        self.suspect.store(true, Ordering::Release);
    }

    /// Gives the ballast's space back; `false` if there was none.
    pub(crate) fn release_ballast(&self) -> bool {
        self.ballast.release()
    }

    /// Moves the write-ahead log into the database, cuts it, gives free pages back and makes the ballast
    /// again. Returns whether the log could be cut; a reader in its way is not an error.
    pub(crate) async fn checkpoint(&self) -> Result<bool> {
        // While the copier is at work the log cannot be cut.
        let _copier = self.copier.lock().await;
        let mut held = self.writer().await?;
        let Held::Sqlite(writer) = &mut held else { return Ok(false) };
        let connection = &mut Connection::Sqlite(writer);
        query(RECLAIM).execute(connection).await?;
        let (busy, _) = log_state(connection, CHECKPOINT).await?;
        drop(held);
        self.ballast.fill();
        Ok(busy == 0)
    }

    /// Whether the database holds together.
    pub(crate) async fn is_sound(&self) -> Result<bool> {
        let mut reader = self.reader().await?;
        let found: String = query(QUICK_CHECK).scalar(&mut reader.connection()).await?;
        Ok(found == "ok")
    }

    /// Makes the ballast again where it was given up and there is room.
    pub(crate) async fn fill_ballast(&self) {
        let ballast = Arc::clone(&self.ballast);
        // Without it the next look tries again.
        let refill = move || {
            ballast.refill();
            Ok(())
        };
        let _ = blocking(refill).await;
    }

    /// Moves a long write-ahead log into the database beside the writers, and makes them wait only for the
    /// last few pages, after which the log begins anew.
    pub(crate) async fn checkpoint_behind(&self) -> Result<()> {
        let mut copier = self.copier.lock().await;
        if copier.is_none() {
            *copier = Some(self.options.connect().await?);
        }
        let Some(connection) = copier.as_mut() else { return Ok(()) };
        let connection = &mut Connection::Sqlite(connection);
        let (pages, mut left) = log_pages(connection).await?;
        if pages < CHECKPOINT_BEHIND_PAGES {
            return Ok(());
        }
        for _ in 0..CHECKPOINT_ROUNDS {
            if left <= CHECKPOINT_HELD_PAGES {
                break;
            }
            query(CHECKPOINT_BESIDE).execute(connection).await?;
            (_, left) = log_pages(connection).await?;
        }
        let _held = self.writer().await?;
        query(CHECKPOINT_BESIDE).execute(connection).await?;
        Ok(())
    }

    /// What the readers hold now, and whether the one writer is in use.
    pub(crate) fn pools(&self) -> Vec<PoolGauge> {
        let used = u64::from(self.writer.try_lock().is_err());
        let writer = PoolGauge { name: "writers", used, idle: 1 - used, max: 1 };
        vec![PoolGauge::of("readers", &self.readers), writer]
    }

    /// Whether the ballast is in place; without it a full disk also stops erasures.
    pub(crate) fn has_ballast(&self) -> bool {
        self.ballast.is_filled()
    }

    /// Closes every connection; the last one out moves the log into the database.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        let copier = self.copier.lock().await.take();
        if let Some(copier) = copier
            && copier.close().await.is_err()
        {
            tracing::warn!("a database was not closed cleanly");
        }
        if let Some(mut writer) = self.writer.lock().await.take() {
            // The last one out would do it too, and not say whether it could.
            let cut = log_state(&mut Connection::Sqlite(&mut writer), CHECKPOINT).await;
            if !matches!(cut, Ok((0, _))) || writer.close().await.is_err() {
                tracing::warn!("a database was not closed cleanly");
            }
        }
    }
}

/// Runs one of the checkpoints; the first two numbers it says: whether somebody was in its way, and the pages
/// in the write-ahead log.
async fn log_state(connection: &mut Connection<'_>, checkpoint: Sql) -> Result<(i64, i64)> {
    let row = query(checkpoint).fetch_one(connection).await?;
    let cells = Cells::new("wal", &row);
    Ok((cells.value("busy")?, cells.value("log")?))
}

/// Pages in the write-ahead log, and how many of them are not copied yet.
async fn log_pages(connection: &mut Connection<'_>) -> Result<(i64, i64)> {
    let row = query(CHECKPOINT_SIZE).fetch_one(connection).await?;
    let cells = Cells::new("wal", &row);
    let (pages, copied): (i64, i64) = (cells.value("log")?, cells.value("checkpointed")?);
    Ok((pages, pages - copied))
}

/// What both kinds of connections have.
fn common(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(STATEMENT_CACHE)
        .pragma("temp_store", "MEMORY")
        // Statements are static and values are nobody's business: the engine logs nothing.
        .disable_statement_logging()
}

fn reading(path: &Path) -> SqliteConnectOptions {
    common(path).read_only(true).pragma("cache_size", READER_CACHE)
}

fn writing(path: &Path, settings: StoreOptions) -> SqliteConnectOptions {
    let mut options = common(path)
        .create_if_missing(true)
        .page_size(4096)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("secure_delete", "ON")
        .pragma("journal_size_limit", JOURNAL_BYTES_MAX)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("cache_size", WRITER_CACHE);
    if let Some(pages) = settings.pages_max {
        options = options.pragma("max_page_count", pages.to_string());
    }
    options
}

async fn migrate(migrator: &'static Migrator, connection: &mut SqliteConnection) -> Result<()> {
    let known = migrator.iter().map(|m| m.version).max().unwrap_or(0);
    migrator.run(&mut *connection).await.map_err(|error| match StoreError::from(error) {
        StoreError::SchemaNewer { found, .. } => StoreError::SchemaNewer { found, known },
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use sqlx::sqlite::SqliteRow;
    use sqlx::{AssertSqlSafe, Row as _};

    use super::*;
    use crate::DataStore;
    use crate::engine::Engine;

    const SMALL: StoreOptions = StoreOptions { ballast_bytes: 4_096, readers: 2, pages_max: None };

    async fn open() -> (tempfile::TempDir, DataStore) {
        let dir = tempfile::tempdir().unwrap();
        let data = DataStore::open(&dir.path().join("data.db"), SMALL).await.unwrap();
        (dir, data)
    }

    /// The engine below the store, to look at what it was told.
    fn sqlite(data: &DataStore) -> &SqliteEngine {
        let Engine::Sqlite(engine) = data.engine() else { panic!("a file") };
        engine
    }

    fn of<'h>(held: &'h mut Held<'_>) -> Connection<'h> {
        let Held::Sqlite(connection) = held else { panic!("a file") };
        Connection::Sqlite(connection)
    }

    /// Runs a statement that is no constant.
    async fn run(connection: Connection<'_>, sql: &str) -> Result<Vec<SqliteRow>> {
        let Connection::Sqlite(connection) = connection else { panic!("a file") };
        Ok(sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(connection).await?)
    }

    async fn pragma(connection: Connection<'_>, name: &str) -> String {
        let sql = format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}");
        run(connection, &sql).await.unwrap().first().unwrap().get(0)
    }

    #[tokio::test]
    async fn the_writer_is_durable_and_wipes_what_it_deletes() {
        let (_dir, data) = open().await;
        let mut held = sqlite(&data).writer().await.unwrap();
        let expected = [
            ("journal_mode", "wal"),
            ("synchronous", "2"),
            ("foreign_keys", "1"),
            ("secure_delete", "1"),
            ("temp_store", "2"),
            ("auto_vacuum", "2"),
            ("journal_size_limit", JOURNAL_BYTES_MAX),
        ];
        for (name, value) in expected {
            assert_eq!(pragma(of(&mut held), name).await, value, "{name}");
        }
    }

    #[tokio::test]
    async fn a_reading_connection_cannot_write() {
        let (_dir, data) = open().await;
        let mut reader = sqlite(&data).reader().await.unwrap();
        let refused = run(reader.connection(), "DELETE FROM cell_counter").await;
        assert_eq!(refused.err(), Some(StoreError::Unwritable));
        data.reserve_tenant_no().await.unwrap();
    }

    #[tokio::test]
    async fn a_newer_schema_is_refused_and_a_changed_migration_too() {
        let (dir, data) = open().await;
        let mut held = sqlite(&data).writer().await.unwrap();
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
                     execution_time) VALUES (9999, 'later', 1, x'00', 0)";
        run(of(&mut held), newer).await.unwrap();
        drop(held);
        let path = dir.path().join("data.db");
        let refused = DataStore::open(&path, SMALL).await.unwrap_err();
        assert!(
            matches!(refused, StoreError::SchemaNewer { found: 9999, known } if known < 9999),
            "{refused:?}"
        );
        assert_eq!(refused.code(), "schema_newer");

        let mut held = sqlite(&data).writer().await.unwrap();
        for sql in [
            "DELETE FROM _sqlx_migrations WHERE version = 9999",
            "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 2",
        ] {
            run(of(&mut held), sql).await.unwrap();
        }
        drop(held);
        let refused = DataStore::open(&path, SMALL).await.unwrap_err();
        assert_eq!(refused, StoreError::SchemaDiffers { version: 2 });
    }

    #[tokio::test]
    async fn writers_are_served_in_the_order_in_which_they_came() {
        let (_dir, data) = open().await;
        let data = Arc::new(data);
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let held = sqlite(&data).writer().await.unwrap();
        let mut tasks = Vec::new();
        for n in 0..8 {
            let (data, order) = (Arc::clone(&data), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                let _held = sqlite(&data).writer().await.unwrap();
                order.lock().unwrap().push(n);
            }));
            // Lets the task come as far as its place in the queue.
            tokio::task::yield_now().await;
        }
        drop(held);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), (0..8).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn without_space_the_ballast_is_given_up_for_one_more_attempt() {
        let (_dir, data) = open().await;
        let engine = sqlite(&data);
        let runs = AtomicU32::new(0);
        let attempt = |fails: u32| {
            let run = runs.fetch_add(1, Ordering::Relaxed);
            async move { if run < fails { Err(StoreError::Unwritable) } else { Ok(run) } }
        };
        assert_eq!(engine.write(|| attempt(1)).await, Ok(1));
        assert!(!engine.has_ballast());
        runs.store(0, Ordering::Relaxed);
        assert_eq!(engine.write(|| attempt(1)).await, Err(StoreError::Unwritable), "no ballast");
        data.checkpoint().await.unwrap();
        assert!(engine.has_ballast(), "made again");
        runs.store(0, Ordering::Relaxed);
        assert_eq!(engine.write(|| attempt(9)).await, Err(StoreError::Unwritable));
        assert_eq!(runs.load(Ordering::Relaxed), 2);
        // The writer after an outage is a new connection, and works.
        data.reserve_tenant_no().await.unwrap();
    }

    #[tokio::test]
    async fn a_dropped_transaction_leaves_nothing_behind() {
        let (_dir, data) = open().await;
        let first = data.reserve_tenant_no().await.unwrap();
        let mut held = sqlite(&data).writer().await.unwrap();
        let mut transaction = held.begin().await.unwrap();
        run(transaction.connection(), "UPDATE cell_counter SET value = 500").await.unwrap();
        drop(transaction);
        drop(held);
        assert_eq!(data.reserve_tenant_no().await.unwrap().0, first.0 + 1);
    }

    #[tokio::test]
    async fn a_checkpoint_leaves_nothing_in_the_log() {
        let (dir, data) = open().await;
        data.reserve_tenant_no().await.unwrap();
        assert!(data.checkpoint().await.unwrap());
        let log = std::fs::metadata(dir.path().join("data.db-wal")).unwrap();
        assert_eq!(log.len(), 0);
    }
}
