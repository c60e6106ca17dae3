//! A connection of either engine, held for reading or for one writing transaction.

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Postgres, Sqlite};
use tokio::sync::MappedMutexGuard;

use crate::engine::postgres::PostgresHeld;
use crate::error::{Result, StoreError, is_full};

/// What statements run on.
pub(crate) enum Connection<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

/// A connection that reads. On PostgreSQL always a transaction, for its reach is set for that long; nobody
/// waits for its end.
pub(crate) enum Reader {
    Sqlite(PoolConnection<Sqlite>),
    SqliteSnapshot(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

impl Reader {
    /// To run statements on.
    pub(crate) fn connection(&mut self) -> Connection<'_> {
        match self {
            Self::Sqlite(connection) => Connection::Sqlite(connection),
            Self::SqliteSnapshot(transaction) => Connection::Sqlite(transaction),
            Self::Postgres(transaction) => Connection::Postgres(transaction),
        }
    }

    /// Ends it now and not some time after it is dropped.
    pub(crate) async fn end(self) -> Result<()> {
        match self {
            Self::Sqlite(_) => {}
            Self::SqliteSnapshot(transaction) => transaction.rollback().await?,
            Self::Postgres(transaction) => transaction.rollback().await?,
        }
        Ok(())
    }
}

/// A connection for one writing transaction after another.
pub(crate) enum Held<'e> {
    /// The only one there is.
    Sqlite(MappedMutexGuard<'e, SqliteConnection>),
    /// One of the pool, taken as its transaction begins.
    Postgres(PostgresHeld),
}

/// Takes the write lock at once: a transaction that begins by reading could lose it later.
const BEGIN_IMMEDIATE: &str = "BEGIN IMMEDIATE";

impl Held<'_> {
    /// Begins a writing transaction. Dropping it without `commit` rolls it back.
    pub(crate) async fn begin(&mut self) -> Result<Transaction<'_>> {
        match self {
            Self::Sqlite(connection) => {
                Ok(Transaction::Sqlite(connection.begin_with(BEGIN_IMMEDIATE).await?))
            }
            Self::Postgres(held) => Ok(Transaction::Postgres(held.begin().await?)),
        }
    }
}

/// A writing transaction.
pub(crate) enum Transaction<'h> {
    Sqlite(sqlx::Transaction<'h, Sqlite>),
    Postgres(sqlx::Transaction<'h, Postgres>),
}

/// Why a commit is not known to have happened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CommitError {
    error: StoreError,
    /// There was no space: most probably nothing was committed.
    pub(crate) is_full: bool,
}

impl From<CommitError> for StoreError {
    fn from(failed: CommitError) -> Self {
        failed.error
    }
}

impl Transaction<'_> {
    /// To run statements on.
    pub(crate) fn connection(&mut self) -> Connection<'_> {
        match self {
            Self::Sqlite(transaction) => Connection::Sqlite(transaction),
            Self::Postgres(transaction) => Connection::Postgres(transaction),
        }
    }

    /// Makes it durable.
    pub(crate) async fn commit(self) -> Result<(), CommitError> {
        let done = match self {
            Self::Sqlite(transaction) => transaction.commit().await,
            Self::Postgres(transaction) => transaction.commit().await,
        };
        done.map_err(|error| CommitError { is_full: is_full(&error), error: error.into() })
    }

    /// Undoes it.
    pub(crate) async fn rollback(self) -> Result<()> {
        match self {
            Self::Sqlite(transaction) => transaction.rollback().await?,
            Self::Postgres(transaction) => transaction.rollback().await?,
        }
        Ok(())
    }
}
