//! PostgreSQL 15 or later: a pool that reads and one that writes.
//!
//! Every connection is of a role that owns nothing, is no superuser and cannot bypass row-level security; a
//! connection of another kind is refused. A transaction names the tenants it is about as it begins
//! (`lv.tenants`, local to it), and the policies of the schema hold every statement of it to them.
//!
//! A writing transaction takes an advisory lock for each of its tenants, in ascending order: what a write
//! reads of its tenant no other writer changes before it commits. Where a log ends is behind a lock of its own,
//! which is held from the first look at the end to the commit: the entries of reads take that one alone, so they
//! wait for no slice of an import. Reads take none.

use std::fmt::Write as _;
use std::str::FromStr as _;
use std::time::Duration;

use leadvault_domain::{TenantId, TenantNo};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Postgres};

use crate::engine::connection::{Connection, Held, Reader};
use crate::engine::pool_gauge::PoolGauge;
use crate::engine::query::query;
use crate::engine::reach::Reach;
use crate::error::{Result, StoreError};
use crate::statement::{NONE, statements};

statements! {
    /// The last migration that ran.
    SCHEMA = NONE, postgres: "SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations";
    /// Whether row-level security holds for this role, and whether it is the application's.
    ROLE = NONE, postgres: "SELECT (r.rolsuper OR r.rolbypassrls)::int AS is_free, \
            pg_has_role('lv_app', 'USAGE')::int AS is_app FROM pg_roles r WHERE r.rolname = current_user";
    ANSWERS = NONE, postgres: "SELECT 1::bigint";
}

/// What a transaction of the cell runs as: it sees states, numbers and leases of every tenant, and nothing
/// that is sealed.
const CELL_ROLE: &str = "lv_cell";
/// Longest wait for a lock: a slice of an import holds the one of its tenant for a fraction of a second.
const LOCK_TIMEOUT: &str = "10s";
/// Longest that a transaction may stand still; its node is taken for dead, and its locks are free.
const IDLE_TIMEOUT: &str = "30s";
/// Longest wait for a connection of the pool.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// More than the number of statements of this crate: none is ever prepared twice by one connection.
const STATEMENT_CACHE: usize = 512;
/// Class of the advisory locks that writing transactions take, apart from those of others in the database.
const WRITE_LOCK: i32 = 0x4c56_0001;
/// Class of the locks of the logs' ends; `journal` takes the same one later in a transaction.
pub(crate) const LOG_LOCK: i32 = 0x4c56_0002;

/// Statements run as they are written: tables in their order, each by an index, planned once for a connection.
/// Left to itself the planner goes by statistics, which are missing or old exactly while a large import runs:
/// it then reads a dataset for each row of a slice. A short statement also takes longer to plan than to run.
const PLANNING: [(&str, &str); 8] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("join_collapse_limit", "1"),
    ("from_collapse_limit", "1"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_material", "off"),
    ("jit", "off"),
];

/// How a database is opened.
#[derive(Debug, Clone, Copy)]
pub struct PostgresOptions {
    /// Connections that read.
    pub readers: u32,
    /// Connections that write.
    pub writers: u32,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { readers: 16, writers: 8 }
    }
}

/// An open database.
#[derive(Debug)]
pub(crate) struct PostgresEngine {
    readers: PgPool,
    writers: PgPool,
}

impl PostgresEngine {
    /// Opens the database at `url`, whose schema must be the one this program knows.
    ///
    /// # Errors
    /// [`StoreError::Address`] for a URL that is none; [`StoreError::Role`] for a role that row-level security
    /// does not hold; [`StoreError::SchemaNewer`] and [`StoreError::SchemaOlder`].
    pub(crate) async fn open(
        url: &str,
        migrator: &'static Migrator,
        settings: PostgresOptions,
    ) -> Result<Self> {
        let options = options(url)?;
        let readers = pool(settings.readers).connect_with(options.clone()).await?;
        let writers = pool(settings.writers).connect_with(options).await?;
        let engine = Self { readers, writers };
        engine.check_role().await?;
        engine.check_schema(migrator).await?;
        Ok(engine)
    }

    async fn check_role(&self) -> Result<()> {
        let mut connection = self.readers.acquire().await?;
        let row = query(ROLE).fetch_one(&mut Connection::Postgres(&mut connection)).await;
        let row = row.map_err(|error| if error.is_outage() { error } else { StoreError::Role })?;
        let flag = |column| row.get::<i64>(column).map_err(|_| StoreError::Role);
        if flag("is_free")? != 0 || flag("is_app")? == 0 {
            return Err(StoreError::Role);
        }
        Ok(())
    }

    async fn check_schema(&self, migrator: &Migrator) -> Result<()> {
        let known = migrator.iter().map(|m| m.version).max().unwrap_or(0);
        let mut connection = self.readers.acquire().await?;
        let found: i64 = query(SCHEMA).scalar(&mut Connection::Postgres(&mut connection)).await?;
        match found {
            _ if found > known => Err(StoreError::SchemaNewer { found, known }),
            _ if found < known => Err(StoreError::SchemaOlder { found, known }),
            _ => Ok(()),
        }
    }

    /// A reading transaction: each statement of it sees everything committed before it.
    pub(crate) async fn reader(&self, reach: &Reach) -> Result<Reader> {
        self.read(begin("BEGIN READ ONLY", reach, None)?).await
    }

    /// A reading transaction: everything in it is read as of its first statement.
    pub(crate) async fn snapshot(&self, reach: &Reach) -> Result<Reader> {
        const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        self.read(begin(BEGIN, reach, None)?).await
    }

    /// Nothing has happened before `BEGIN` answers: a connection that the server has cut meanwhile is put away,
    /// and the next one tried. After a restart of the server they are all of that kind.
    async fn read(&self, begin: String) -> Result<Reader> {
        let mut left = self.readers.size();
        loop {
            match self.readers.begin_with(AssertSqlSafe(begin.clone())).await {
                Ok(transaction) => return Ok(Reader::Postgres(transaction)),
                Err(error) if left > 0 && is_cut(&error) => left -= 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A connection for a writing transaction, which takes the locks of its reach as it begins.
    pub(crate) async fn writer(&self, reach: &Reach) -> Result<Held<'_>> {
        let begin = begin("BEGIN", reach, Some(WRITE_LOCK))?;
        Ok(Held::Postgres(PostgresHeld { pool: self.writers.clone(), begin }))
    }

    /// A connection for entries alone, whose transaction takes the locks of the logs' ends as it begins.
    pub(crate) async fn appender(&self, reach: &Reach) -> Result<Held<'_>> {
        let begin = begin("BEGIN", reach, Some(LOG_LOCK))?;
        Ok(Held::Postgres(PostgresHeld { pool: self.writers.clone(), begin }))
    }

    /// Hears what others say on a channel.
    pub(crate) async fn listen(&self, channel: &'static str) -> Result<PgListener> {
        let mut listener = PgListener::connect_with(&self.readers).await?;
        listener.listen(channel).await?;
        Ok(listener)
    }

    /// Whether the database answers.
    pub(crate) async fn answers(&self) -> Result<bool> {
        let mut connection = self.readers.acquire().await?;
        let one: i64 = query(ANSWERS).scalar(&mut Connection::Postgres(&mut connection)).await?;
        Ok(one == 1)
    }

    /// What both pools hold now.
    pub(crate) fn pools(&self) -> Vec<PoolGauge> {
        vec![PoolGauge::of("readers", &self.readers), PoolGauge::of("writers", &self.writers)]
    }

    /// Closes every connection.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writers.close().await;
    }
}

/// A writing transaction to be.
#[derive(Debug)]
pub(crate) struct PostgresHeld {
    pool: PgPool,
    begin: String,
}

impl PostgresHeld {
    /// Takes a connection and begins, with another one where the server has cut it meanwhile.
    pub(crate) async fn begin(&self) -> Result<sqlx::Transaction<'static, Postgres>> {
        let mut left = self.pool.size();
        loop {
            match self.pool.begin_with(AssertSqlSafe(self.begin.clone())).await {
                Ok(transaction) => return Ok(transaction),
                Err(error) if left > 0 && is_cut(&error) => left -= 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Whether a connection turned out to be dead.
fn is_cut(error: &sqlx::Error) -> bool {
    let is_shutdown = |e: &dyn sqlx::error::DatabaseError| e.code().is_some_and(|c| c == "57P01");
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::Protocol(_))
        || error.as_database_error().is_some_and(is_shutdown)
}

/// Brings the schema of the database at `url` up, as the owner of its tables.
///
/// # Errors
/// [`StoreError::SchemaNewer`] if a newer program has been here; else what the engine says.
pub(crate) async fn migrate(url: &str, migrator: &'static Migrator) -> Result<()> {
    let known = migrator.iter().map(|m| m.version).max().unwrap_or(0);
    let mut connection = options(url)?.connect().await?;
    migrator.run(&mut connection).await.map_err(|error| match StoreError::from(error) {
        StoreError::SchemaNewer { found, .. } => StoreError::SchemaNewer { found, known },
        other => other,
    })?;
    connection.close().await?;
    Ok(())
}

fn options(url: &str) -> Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(url).map_err(|_| StoreError::Address)?;
    Ok(options
        .application_name("leadvault")
        .statement_cache_capacity(STATEMENT_CACHE)
        .options(PLANNING)
        .options([
            ("synchronous_commit", "on"),
            ("default_transaction_isolation", "read committed"),
            ("row_security", "on"),
            ("search_path", "public"),
            ("lock_timeout", LOCK_TIMEOUT),
            ("idle_in_transaction_session_timeout", IDLE_TIMEOUT),
        ])
        // Statements are static and values are nobody's business: the driver logs nothing.
        .disable_statement_logging())
}

fn pool(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .min_connections(1)
        .max_connections(connections.max(1))
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A broken connection is told by its first statement; asking before each costs a quarter of the reads.
        .test_before_acquire(false)
}

/// How a transaction begins: one message, one round trip. Nothing in it comes from outside but numbers and
/// hexadecimal digits.
fn begin(statement: &str, reach: &Reach, lock: Option<i32>) -> Result<String> {
    let mut text = statement.to_owned();
    let written = match reach {
        Reach::Tenants(tenants) => begin_tenants(&mut text, tenants, lock),
        Reach::Keys(tenants) => begin_keys(&mut text, tenants, lock.is_some()),
        Reach::Cell => write!(text, "; SET LOCAL ROLE {CELL_ROLE}"),
        Reach::Nobody => Ok(()),
    };
    written.map(|()| text).map_err(|_| StoreError::OutOfRange)
}

fn begin_tenants(text: &mut String, tenants: &[TenantNo], lock: Option<i32>) -> std::fmt::Result {
    text.push_str("; SELECT set_config('lv.tenants', '");
    for (i, tenant) in tenants.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        write!(text, "{comma}{}", tenant.0)?;
    }
    text.push_str("', true)");
    if let Some(class) = lock {
        for tenant in tenants {
            write!(text, "; SELECT pg_advisory_xact_lock({class}, {})", tenant.0.cast_signed())?;
        }
    }
    Ok(())
}

fn begin_keys(text: &mut String, tenants: &[TenantId], locks: bool) -> std::fmt::Result {
    text.push_str("; SELECT set_config('lv.tenants', '");
    for (i, tenant) in tenants.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        write!(text, "{comma}{}", tenant.uuid().simple())?;
    }
    text.push_str("', true)");
    // A change of many tenants at once is no decision: what nodes say of themselves.
    if let ([tenant], true) = (tenants, locks) {
        // The low half is random.
        let (_, low) = tenant.uuid().as_u64_pair();
        write!(text, "; SELECT pg_advisory_xact_lock({})", low.cast_signed())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use leadvault_test_postgres::{APP, Databases, OWNER, psql};

    use super::*;
    use crate::statement::Sql;
    use crate::{DataStore, TenantScope};

    const SETTING: Sql = Sql {
        sqlite: NONE,
        postgres: "SELECT COALESCE(current_setting('lv.tenants', true), '') || current_user",
    };

    async fn setting(engine: &PostgresEngine, reach: &Reach) -> String {
        let mut reader = engine.reader(reach).await.unwrap();
        query(SETTING).scalar(&mut reader.connection()).await.unwrap()
    }

    #[tokio::test]
    async fn a_connection_that_comes_back_to_the_pool_carries_no_tenant() {
        static NOTHING: Migrator = sqlx::migrate!("../../migrations/postgres/data");
        let databases = Databases::empty();
        DataStore::migrate_postgres(&databases.data_url(OWNER)).await.unwrap();
        databases.make_login();
        let one = PostgresOptions { readers: 1, writers: 1 };
        let engine = PostgresEngine::open(&databases.data_url(APP), &NOTHING, one).await.unwrap();
        let tenant = Reach::from(TenantScope(TenantNo(7)));
        assert_eq!(setting(&engine, &tenant).await, format!("7{APP}"), "control: it is set");
        assert_eq!(setting(&engine, &Reach::Cell).await, CELL_ROLE);
        assert_eq!(setting(&engine, &Reach::Nobody).await, APP, "nothing is left of either");
        // A transaction that is dropped half-way, and one that met an error.
        let mut held = engine.writer(&tenant).await.unwrap();
        drop(held.begin().await.unwrap());
        let mut transaction = held.begin().await.unwrap();
        let refused = Sql { sqlite: NONE, postgres: "SELECT 1 / 0" };
        assert!(query(refused).execute(&mut transaction.connection()).await.is_err());
        drop(transaction);
        let mut nobody = engine.writer(&Reach::Nobody).await.unwrap();
        let mut transaction = nobody.begin().await.unwrap();
        let left: String = query(SETTING).scalar(&mut transaction.connection()).await.unwrap();
        assert_eq!(left, APP);
    }

    #[tokio::test]
    async fn connections_that_the_server_has_cut_are_replaced() {
        let databases = Databases::empty();
        DataStore::migrate_postgres(&databases.data_url(OWNER)).await.unwrap();
        databases.make_login();
        let (few, files) = (PostgresOptions { readers: 3, writers: 2 }, std::path::Path::new(""));
        let data = DataStore::open_postgres(&databases.data_url(APP), files, few).await.unwrap();
        // Every connection there may be has been used.
        let held = futures::future::join_all((0..3).map(|_| data.engine().reader(Reach::Nobody)));
        drop(held.await);
        data.reserve_tenant_no().await.unwrap();
        psql(
            &databases.data_url(OWNER),
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'vault'",
        );
        assert_eq!(data.list_tenants().await, Ok(Vec::new()));
        data.reserve_tenant_no().await.unwrap();
    }

    #[test]
    fn a_transaction_begins_with_one_message_and_locks_in_order() {
        let tenants = Reach::Tenants(vec![TenantNo(3), TenantNo(9)]);
        let reading = begin("BEGIN READ ONLY", &tenants, None).unwrap();
        assert_eq!(reading, "BEGIN READ ONLY; SELECT set_config('lv.tenants', '3,9', true)");
        let writing = begin("BEGIN", &tenants, Some(WRITE_LOCK)).unwrap();
        let (three, nine) = (writing.find(", 3)"), writing.find(", 9)"));
        assert!(three.is_some() && three < nine, "{writing}");
    }
}
