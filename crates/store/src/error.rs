//! Why the store did not do it. Facts only: no text of the engine, which may quote a statement's values.

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
    /// A number does not fit its column, or a slice is above its bound.
    #[error("a number is out of its range")]
    OutOfRange,
    /// The engine refused a statement; the number is its own (SQLite: the extended result code).
    #[error("the database refused a statement ({code})")]
    Database {
        /// The engine's number; 0 if it gave none.
        code: i32,
    },
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
            Self::SchemaDiffers { .. } => "schema_differs",
            Self::Inconsistent { .. } => "store_inconsistent",
            Self::Missing { .. } => "store_row_missing",
            Self::Exists { .. } => "store_row_exists",
            Self::FileDiffers => "store_file_differs",
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
            sqlx::Error::Database(inner) => {
                let code: i32 = inner.code().and_then(|c| c.parse().ok()).unwrap_or(0);
                match code & 0xff {
                    SQLITE_READONLY | SQLITE_IOERR | SQLITE_FULL => Self::Unwritable,
                    SQLITE_BUSY | SQLITE_LOCKED | SQLITE_CANTOPEN | SQLITE_CORRUPT
                    | SQLITE_NOTADB => Self::Unavailable,
                    _ => Self::Database { code },
                }
            }
            sqlx::Error::RowNotFound => Self::Missing { table: "?" },
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed
            | sqlx::Error::InvalidSavePointStatement => Self::Unavailable,
            _ => Self::Database { code: 0 },
        }
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
            _ => Self::Database { code: 0 },
        }
    }
}

/// Whether the engine found no space.
pub(crate) fn is_full(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|e| e.code()?.parse::<i32>().ok());
    code.is_some_and(|c| c & 0xff == SQLITE_FULL)
}
