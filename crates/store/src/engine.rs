//! A database: SQLite in one file, or PostgreSQL. What is above it says neither name.
//!
//! Both keep what a committed transaction says (`synchronous = FULL`, `synchronous_commit = on`), and both let
//! one writer at a time at the rows of a tenant: SQLite by its write lock, PostgreSQL by an advisory lock
//! of the tenant that a writing transaction takes as it begins.
//!
//! - [`query`]: a statement with its values; [`row`]: what comes back.
//! - [`connection`]: what statements run on; [`reach`]: whose rows they may touch.

use std::future::Future;

use crate::error::Result;

pub(crate) mod connection;
mod pool_gauge;
pub(crate) mod postgres;
pub(crate) mod query;
pub(crate) mod reach;
pub(crate) mod row;
pub(crate) mod sqlite;

pub(crate) use connection::{Connection, Held, Reader};
pub use pool_gauge::PoolGauge;
pub(crate) use postgres::PostgresEngine;
pub use postgres::PostgresOptions;
pub(crate) use query::{Query, query};
pub(crate) use reach::Reach;
pub(crate) use row::Row;
pub(crate) use sqlite::SqliteEngine;
pub use sqlite::StoreOptions;

/// An open database.
#[derive(Debug)]
pub(crate) enum Engine {
    Sqlite(Box<SqliteEngine>),
    Postgres(PostgresEngine),
}

impl Engine {
    /// A reading connection. It sees everything committed before the call.
    pub(crate) async fn reader(&self, reach: impl Into<Reach>) -> Result<Reader> {
        match self {
            Self::Sqlite(sqlite) => sqlite.reader().await,
            Self::Postgres(postgres) => postgres.reader(&reach.into()).await,
        }
    }

    /// A reading transaction: everything in it is read as of its first statement.
    pub(crate) async fn snapshot(&self, reach: impl Into<Reach>) -> Result<Reader> {
        match self {
            Self::Sqlite(sqlite) => sqlite.snapshot().await,
            Self::Postgres(postgres) => postgres.snapshot(&reach.into()).await,
        }
    }

    /// The one row that answers a question, decoded.
    pub(crate) async fn find<T>(
        &self,
        reach: impl Into<Reach>,
        question: Query,
        decode: fn(&Row) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut reader = self.reader(reach).await?;
        let row = question.fetch_optional(&mut reader.connection()).await?;
        row.as_ref().map(decode).transpose()
    }

    /// The rows that answer a question, decoded, in its order.
    pub(crate) async fn list<T>(
        &self,
        reach: impl Into<Reach>,
        question: Query,
        decode: fn(&Row) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut reader = self.reader(reach).await?;
        let rows = question.fetch_all(&mut reader.connection()).await?;
        rows.iter().map(decode).collect()
    }

    /// A connection for a writing transaction. Where another holds the write lock of the reach it waits, at
    /// the latest when the transaction begins, and is served in the order in which it came.
    pub(crate) async fn writer(&self, reach: impl Into<Reach>) -> Result<Held<'_>> {
        match self {
            Self::Sqlite(sqlite) => sqlite.writer().await,
            Self::Postgres(postgres) => postgres.writer(&reach.into()).await,
        }
    }

    /// A connection for a transaction that writes entries and no rows.
    pub(crate) async fn appender(&self, reach: impl Into<Reach>) -> Result<Held<'_>> {
        match self {
            Self::Sqlite(sqlite) => sqlite.writer().await,
            Self::Postgres(postgres) => postgres.appender(&reach.into()).await,
        }
    }

    /// Runs a writing transaction; if the disk is full and there is a ballast, once more in its space.
    pub(crate) async fn write<T, F, Fut>(&self, mut attempt: F) -> Result<T>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        match self {
            Self::Sqlite(sqlite) => sqlite.write(attempt).await,
            Self::Postgres(_) => attempt().await,
        }
    }

    /// The next writer gets a new connection: the state of the present one is not known.
    pub(crate) fn suspect(&self) {
        // A pool looks at each connection that comes back, and keeps none that does not answer.
        if let Self::Sqlite(sqlite) = self {
            sqlite.suspect();
        }
    }

    /// Gives the ballast's space back; `false` if there was none.
    pub(crate) fn release_ballast(&self) -> bool {
        match self {
            Self::Sqlite(sqlite) => sqlite.release_ballast(),
            Self::Postgres(_) => false,
        }
    }

    /// Whether what is needed for an erasure on a full disk is in place. PostgreSQL keeps its own files.
    pub(crate) fn has_ballast(&self) -> bool {
        match self {
            Self::Sqlite(sqlite) => sqlite.has_ballast(),
            Self::Postgres(_) => true,
        }
    }

    /// Makes the ballast again where it was given up and there is room.
    pub(crate) async fn fill_ballast(&self) {
        if let Self::Sqlite(sqlite) = self {
            sqlite.fill_ballast().await;
        }
    }

    /// Moves the write-ahead log into the database, so that deleted rows are in no file any more. Returns
    /// whether that could be done; PostgreSQL does it by itself.
    pub(crate) async fn checkpoint(&self) -> Result<bool> {
        match self {
            Self::Sqlite(sqlite) => sqlite.checkpoint().await,
            Self::Postgres(_) => Ok(true),
        }
    }

    /// Moves a long write-ahead log into the database beside the writers; PostgreSQL does it by itself.
    pub(crate) async fn checkpoint_behind(&self) -> Result<()> {
        match self {
            Self::Sqlite(sqlite) => sqlite.checkpoint_behind().await,
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Whether the database holds together, as far as it says itself.
    pub(crate) async fn is_sound(&self) -> Result<bool> {
        match self {
            Self::Sqlite(sqlite) => sqlite.is_sound().await,
            Self::Postgres(postgres) => postgres.answers().await,
        }
    }

    /// What its pools of connections hold now.
    pub(crate) fn pools(&self) -> Vec<PoolGauge> {
        match self {
            Self::Sqlite(sqlite) => sqlite.pools(),
            Self::Postgres(postgres) => postgres.pools(),
        }
    }

    /// Closes every connection.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(sqlite) => sqlite.close().await,
            Self::Postgres(postgres) => postgres.close().await,
        }
    }
}
