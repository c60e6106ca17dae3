//! Why the store did not do it. Facts only: no text of the engine, which may quote a statement's values.

use sqlx::postgres::PgDatabaseError;

/// The one error of this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Nothing can be written: full, read-only, or an I/O error. Nothing was changed, or the outcome of the
    /// last transaction is unknown.
    #[error("the store cannot be written")]
    Unwritable,
    /// Locked by another process beyond the limit, or not to be opened.
    #[error("the store is not available")]
    Unavailable,
    /// A newer version of the program has been here.
    #[error("the schema has version {found}, this program knows {known}")]
    SchemaNewer {
        /// A migration that ran and is unknown here.
        found: i64,
        /// The last migration known here.
        known: i64,
    },
    /// The schema must be brought up first, by the owner of the tables (PostgreSQL).
    #[error("the schema has version {found}, this program needs {known}")]
    SchemaOlder {
        /// The last migration that ran.
        found: i64,
        /// The last migration known here.
        known: i64,
    },
    /// A role that row-level security does not hold, or that is not a member of `lv_app` (PostgreSQL).
    #[error(
        "the role of the connection must be a member of lv_app, and neither a superuser nor BYPASSRLS"
    )]
    Role,
    /// The address of a database is none.
    #[error("not the URL of a database")]
    Address,
    /// A migration that ran differs from the one of the same number here.
    #[error("migration {version} is not the one that ran")]
    SchemaDiffers {
        /// Its number.
        version: i64,
    },
    /// A stored value cannot be decoded.
    #[error("{table}.{column} cannot be decoded")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// A row that must be there is not: a write that must change one row changed none.
    #[error("a row of {table} is missing")]
    Missing {
        /// The table.
        table: &'static str,
    },
    /// A row that must be new is there.
    #[error("a row of {table} exists")]
    Exists {
        /// The table.
        table: &'static str,
    },
    /// A file that may never change would have got other bytes.
    #[error("an immutable file differs")]
    FileDiffers,
    /// A copy of a table is not what it was copied from.
    #[error("{table} differs from what it was copied from")]
    Differs {
        /// The table.
        table: &'static str,
    },
    /// A number does not fit its column, or a slice is above its bound.
    #[error("a number is out of its range")]
    OutOfRange,
    /// The engine refused a statement.
    #[error("the database refused a statement ({code})")]
    Database {
        /// What the engine calls it.
        code: EngineCode,
    },
}

/// What an engine calls a failure: a number or five characters, never a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineCode {
    /// The extended result code of SQLite.
    Sqlite(i32),
    /// The SQLSTATE of PostgreSQL.
    Postgres([u8; 5]),
    /// The driver refused it before an engine saw it.
    Driver,
}

impl std::fmt::Display for EngineCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(code) => write!(f, "sqlite {code}"),
            Self::Postgres(state) => write!(f, "SQLSTATE {}", state.escape_ascii()),
            Self::Driver => f.write_str("driver"),
        }
    }
}

/// What fallible functions of this crate return.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

impl StoreError {
    /// A stable word for logs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unwritable => "store_unwritable",
            Self::Unavailable => "store_unavailable",
            Self::SchemaNewer { .. } => "schema_newer",
            Self::SchemaOlder { .. } => "schema_older",
            Self::Role => "store_role",
            Self::Address => "store_address",
            Self::SchemaDiffers { .. } => "schema_differs",
            Self::Inconsistent { .. } => "store_inconsistent",
            Self::Missing { .. } => "store_row_missing",
            Self::Exists { .. } => "store_row_exists",
            Self::FileDiffers => "store_file_differs",
            Self::Differs { .. } => "store_copy_differs",
            Self::OutOfRange => "store_out_of_range",
            Self::Database { .. } => "store_statement",
        }
    }

    /// Whether the store as a whole is the trouble, so that every other write would fail as well.
    pub const fn is_outage(self) -> bool {
        matches!(self, Self::Unwritable | Self::Unavailable)
    }
}

// Primary result codes of SQLite (https://www.sqlite.org/rescode.html).
const SQLITE_BUSY: i32 = 5;
const SQLITE_LOCKED: i32 = 6;
const SQLITE_READONLY: i32 = 8;
const SQLITE_IOERR: i32 = 10;
const SQLITE_CORRUPT: i32 = 11;
const SQLITE_FULL: i32 = 13;
const SQLITE_CANTOPEN: i32 = 14;
const SQLITE_NOTADB: i32 = 26;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(inner) => match engine_code(inner.as_ref()) {
                EngineCode::Sqlite(code) => of_sqlite(code),
                EngineCode::Postgres(state) => of_postgres(state),
                EngineCode::Driver => Self::Database { code: EngineCode::Driver },
            },
            sqlx::Error::RowNotFound => Self::Missing { table: "?" },
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed
            | sqlx::Error::InvalidSavePointStatement => Self::Unavailable,
            _ => Self::Database { code: EngineCode::Driver },
        }
    }
}

/// SQLite says a number, PostgreSQL five characters.
fn engine_code(error: &dyn sqlx::error::DatabaseError) -> EngineCode {
    let Some(code) = error.code() else { return EngineCode::Driver };
    if error.try_downcast_ref::<PgDatabaseError>().is_some() {
        let state: Result<[u8; 5], _> = code.as_bytes().try_into();
        return state.map_or(EngineCode::Driver, EngineCode::Postgres);
    }
    code.parse().map_or(EngineCode::Driver, EngineCode::Sqlite)
}

const fn of_sqlite(code: i32) -> StoreError {
    match code & 0xff {
        SQLITE_READONLY | SQLITE_IOERR | SQLITE_FULL => StoreError::Unwritable,
        SQLITE_BUSY | SQLITE_LOCKED | SQLITE_CANTOPEN | SQLITE_CORRUPT | SQLITE_NOTADB => {
            StoreError::Unavailable
        }
        _ => StoreError::Database { code: EngineCode::Sqlite(code) },
    }
}

/// Classes and codes of <https://www.postgresql.org/docs/15/errcodes-appendix.html>.
fn of_postgres(state: [u8; 5]) -> StoreError {
    match &state {
        // disk_full, io_error, read_only_sql_transaction
        b"53100" | b"58030" | b"25006" => return StoreError::Unwritable,
        // admin_shutdown, crash_shutdown, cannot_connect_now
        b"57P01" | b"57P02" | b"57P03" => return StoreError::Unavailable,
        _ => {}
    }
    let [first, second, ..] = state;
    match &[first, second] {
        // connections, authentication, no such database, resources, the system, damaged data
        b"08" | b"28" | b"3D" | b"53" | b"58" | b"XX" => StoreError::Unavailable,
        _ => StoreError::Database { code: EngineCode::Postgres(state) },
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        use sqlx::migrate::MigrateError as M;
        match error {
            M::VersionMissing(found) | M::VersionTooNew(found, _) => {
                Self::SchemaNewer { found, known: 0 }
            }
            M::VersionMismatch(version) | M::Dirty(version) => Self::SchemaDiffers { version },
            M::Execute(error) | M::ExecuteMigration(error, _) => error.into(),
            _ => Self::Database { code: EngineCode::Driver },
        }
    }
}

/// Whether the engine found no space.
pub(crate) fn is_full(error: &sqlx::Error) -> bool {
    match error.as_database_error().map(engine_code) {
        Some(EngineCode::Sqlite(code)) => code & 0xff == SQLITE_FULL,
        Some(EngineCode::Postgres(state)) => &state == b"53100",
        _ => false,
    }
}
