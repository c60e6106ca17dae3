//! A statement with its values, for whichever engine runs it.

use std::borrow::Cow;

use futures::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use sqlx::Executor as _;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Postgres, Sqlite};

use crate::engine::connection::Connection;
use crate::engine::row::{FromCell, Row};
use crate::error::{Result, StoreError};
use crate::statement::Sql;

/// A value of a statement. NULL has a type as well: PostgreSQL asks for it.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// A number.
    Number(Option<i64>),
    /// A word of a closed vocabulary, or other text of ours.
    Text(Option<Cow<'static, str>>),
    /// Sealed bytes, an id, a hash.
    Bytes(Option<Vec<u8>>),
    /// Many numbers: a JSON array on SQLite, `bigint[]` on PostgreSQL.
    Numbers(Vec<i64>),
    /// A number or NULL for each of many rows (PostgreSQL).
    NumberColumn(Vec<Option<i64>>),
    /// Bytes or NULL for each of many rows (PostgreSQL).
    BytesColumn(Vec<Option<Vec<u8>>>),
}

macro_rules! value_from {
    ($($of:ty => $variant:ident, $value:ident -> $inner:expr;)+) => {
        $(impl From<$of> for Value {
            fn from($value: $of) -> Self { Self::$variant($inner) }
        })+
    };
}

value_from! {
    i64 => Number, number -> Some(number);
    Option<i64> => Number, number -> number;
    &'static str => Text, text -> Some(Cow::Borrowed(text));
    Option<&'static str> => Text, text -> text.map(Cow::Borrowed);
    String => Text, text -> Some(Cow::Owned(text));
    Option<String> => Text, text -> text.map(Cow::Owned);
    Vec<u8> => Bytes, bytes -> Some(bytes);
    Option<Vec<u8>> => Bytes, bytes -> bytes;
    Vec<i64> => Numbers, numbers -> numbers;
}

/// A statement of this crate with its values.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    sql: Sql,
    values: Vec<Value>,
}

/// A statement without its values yet.
pub(crate) fn query(sql: Sql) -> Query {
    Query { sql, values: Vec::new() }
}

impl Query {
    /// With the next value.
    #[must_use]
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Runs it; how many rows it changed.
    pub(crate) async fn execute(self, connection: &mut Connection<'_>) -> Result<u64> {
        match connection {
            Connection::Sqlite(c) => Ok(c.execute(self.for_sqlite()).await?.rows_affected()),
            Connection::Postgres(c) => Ok(c.execute(self.for_postgres()).await?.rows_affected()),
        }
    }

    /// The first row, if there is one.
    pub(crate) async fn fetch_optional(
        self,
        connection: &mut Connection<'_>,
    ) -> Result<Option<Row>> {
        match connection {
            Connection::Sqlite(c) => {
                Ok(c.fetch_optional(self.for_sqlite()).await?.map(Row::Sqlite))
            }
            Connection::Postgres(c) => {
                Ok(c.fetch_optional(self.for_postgres()).await?.map(Row::Postgres))
            }
        }
    }

    /// The first row.
    ///
    /// # Errors
    /// [`StoreError::Missing`] without one.
    pub(crate) async fn fetch_one(self, connection: &mut Connection<'_>) -> Result<Row> {
        self.fetch_optional(connection).await?.ok_or(StoreError::Missing { table: "?" })
    }

    /// Every row.
    pub(crate) async fn fetch_all(self, connection: &mut Connection<'_>) -> Result<Vec<Row>> {
        match connection {
            Connection::Sqlite(c) => {
                let rows = c.fetch_all(self.for_sqlite()).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Connection::Postgres(c) => {
                let rows = c.fetch_all(self.for_postgres()).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// Every row, one after the other.
    pub(crate) fn stream<'c>(
        self,
        connection: &'c mut Connection<'_>,
    ) -> BoxStream<'c, Result<Row>> {
        match connection {
            Connection::Sqlite(c) => {
                c.fetch(self.for_sqlite()).map_ok(Row::Sqlite).err_into().boxed()
            }
            Connection::Postgres(c) => {
                c.fetch(self.for_postgres()).map_ok(Row::Postgres).err_into().boxed()
            }
        }
    }

    /// The first column of the first row.
    ///
    /// # Errors
    /// [`StoreError::Missing`] without a row.
    pub(crate) async fn scalar<T>(self, connection: &mut Connection<'_>) -> Result<T>
    where
        T: for<'r> FromCell<'r>,
    {
        self.fetch_one(connection).await?.first()
    }

    /// The first column of the first row, if there is one.
    pub(crate) async fn scalar_optional<T>(
        self,
        connection: &mut Connection<'_>,
    ) -> Result<Option<T>>
    where
        T: for<'r> FromCell<'r>,
    {
        self.fetch_optional(connection).await?.map(|row| row.first()).transpose()
    }

    fn for_sqlite(self) -> sqlx::query::Query<'static, Sqlite, SqliteArguments> {
        self.values.into_iter().fold(sqlx::query(self.sql.sqlite), |query, value| match value {
            Value::Number(number) => query.bind(number),
            Value::Text(text) => query.bind(text.map(Cow::into_owned)),
            Value::Bytes(bytes) => query.bind(bytes),
            Value::Numbers(numbers) => query.bind(json_array(numbers)),
            // No statement of SQLite takes a column: it is the statement that fails.
            Value::NumberColumn(_) | Value::BytesColumn(_) => query,
        })
    }

    fn for_postgres(self) -> sqlx::query::Query<'static, Postgres, PgArguments> {
        self.values.into_iter().fold(sqlx::query(self.sql.postgres), |query, value| match value {
            Value::Number(number) => query.bind(number),
            Value::Text(text) => query.bind(text.map(Cow::into_owned)),
            Value::Bytes(bytes) => query.bind(bytes),
            Value::Numbers(numbers) => query.bind(numbers),
            Value::NumberColumn(numbers) => query.bind(numbers),
            Value::BytesColumn(values) => query.bind(values),
        })
    }
}

/// Numbers as a JSON array.
pub(crate) fn json_array(numbers: impl IntoIterator<Item = i64>) -> String {
    let mut text = String::from("[");
    for (i, number) in numbers.into_iter().enumerate() {
        if i > 0 {
            text.push(',');
        }
        text.push_str(&number.to_string());
    }
    text.push(']');
    text
}
