//! A row as one of the engines returns it, and the types its cells are read as.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{ColumnIndex, Row as _, TypeInfo as _, ValueRef as _};

use crate::error::{Result, StoreError};

/// A row of an answer.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// The cell of a column, by name.
    pub(crate) fn get<'r, T: FromCell<'r>>(&'r self, column: &str) -> sqlx::Result<T> {
        T::from_cell(self, column)
    }

    /// The first cell.
    pub(crate) fn first<T: for<'r> FromCell<'r>>(&self) -> Result<T> {
        T::from_cell(self, 0).map_err(|_| StoreError::Inconsistent { table: "?", column: "?" })
    }
}

/// Names a column in a row of either engine.
pub(crate) trait Column: ColumnIndex<SqliteRow> + ColumnIndex<PgRow> {}
impl<I: ColumnIndex<SqliteRow> + ColumnIndex<PgRow>> Column for I {}

/// What a cell can be read as.
pub(crate) trait FromCell<'r>: Sized {
    /// Reads a cell.
    fn from_cell(row: &'r Row, column: impl Column) -> sqlx::Result<Self>;
}

macro_rules! as_the_driver_reads_it {
    ($($of:ty),+) => {
        $(impl<'r> FromCell<'r> for $of {
            fn from_cell(row: &'r Row, column: impl Column) -> sqlx::Result<Self> {
                match row {
                    Row::Sqlite(row) => row.try_get(column),
                    Row::Postgres(row) => row.try_get(column),
                }
            }
        })+
    };
}

as_the_driver_reads_it!(
    String,
    Option<String>,
    Vec<u8>,
    Option<Vec<u8>>,
    &'r str,
    Option<&'r str>,
    &'r [u8],
    Option<&'r [u8]>
);

impl<'r> FromCell<'r> for Option<i64> {
    fn from_cell(row: &'r Row, column: impl Column) -> sqlx::Result<Self> {
        let row = match row {
            Row::Sqlite(row) => return row.try_get(column),
            Row::Postgres(row) => row,
        };
        // PostgreSQL has three widths of numbers, and the driver reads each as its own type only.
        let cell = row.try_get_raw(&column)?;
        match cell.type_info().name() {
            "INT2" => Ok(row.try_get::<Option<i16>, _>(column)?.map(i64::from)),
            "INT4" => Ok(row.try_get::<Option<i32>, _>(column)?.map(i64::from)),
            _ => row.try_get(column),
        }
    }
}

impl<'r> FromCell<'r> for i64 {
    fn from_cell(row: &'r Row, column: impl Column) -> sqlx::Result<Self> {
        Option::<i64>::from_cell(row, column)?.ok_or(sqlx::Error::RowNotFound)
    }
}
