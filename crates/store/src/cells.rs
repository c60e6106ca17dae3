//! Values of a row, decoded. What cannot be decoded is [`StoreError::Inconsistent`], never a panic.
//!
//! Numbers are stored as signed 64-bit integers, ids as 16 bytes, times as microseconds, words as text.

use std::str::FromStr;

use leadvault_domain::Timestamp;

use crate::engine::Row;
use crate::engine::row::FromCell;
use crate::error::{Result, StoreError};

/// A row of `table` as it is read.
#[derive(Clone, Copy)]
pub(crate) struct Cells<'r> {
    table: &'static str,
    row: &'r Row,
}

impl<'r> Cells<'r> {
    /// Reads `row` as one of `table`.
    pub(crate) const fn new(table: &'static str, row: &'r Row) -> Self {
        Self { table, row }
    }

    /// The fault of a column that cannot be decoded.
    pub(crate) const fn bad(&self, column: &'static str) -> StoreError {
        StoreError::Inconsistent { table: self.table, column }
    }

    /// A value of a type the engine knows.
    pub(crate) fn value<T>(&self, column: &'static str) -> Result<T>
    where
        T: FromCell<'r>,
    {
        self.row.get(column).map_err(|_| self.bad(column))
    }

    /// A number that fits `T`.
    pub(crate) fn number<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T> {
        T::try_from(self.value::<i64>(column)?).map_err(|_| self.bad(column))
    }

    /// A number that fits `T`, or NULL.
    pub(crate) fn number_or_null<T: TryFrom<i64>>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>> {
        let stored = self.value::<Option<i64>>(column)?;
        stored.map(|n| T::try_from(n).map_err(|_| self.bad(column))).transpose()
    }

    /// `N` bytes.
    pub(crate) fn bytes<const N: usize>(&self, column: &'static str) -> Result<[u8; N]> {
        self.value::<&[u8]>(column)?.try_into().map_err(|_| self.bad(column))
    }

    /// `N` bytes, or NULL.
    pub(crate) fn bytes_or_null<const N: usize>(
        &self,
        column: &'static str,
    ) -> Result<Option<[u8; N]>> {
        let stored = self.value::<Option<&[u8]>>(column)?;
        stored.map(|b| b.try_into().map_err(|_| self.bad(column))).transpose()
    }

    /// A word of a closed vocabulary.
    pub(crate) fn word<T: FromStr>(&self, column: &'static str) -> Result<T> {
        self.value::<&str>(column)?.parse().map_err(|_| self.bad(column))
    }

    /// A word of a closed vocabulary, or NULL.
    pub(crate) fn word_or_null<T: FromStr>(&self, column: &'static str) -> Result<Option<T>> {
        let stored = self.value::<Option<&str>>(column)?;
        stored.map(|w| w.parse().map_err(|_| self.bad(column))).transpose()
    }

    /// An instant.
    pub(crate) fn time(&self, column: &'static str) -> Result<Timestamp> {
        Ok(Timestamp::from_micros(self.value(column)?))
    }

    /// An instant, or NULL.
    pub(crate) fn time_or_null(&self, column: &'static str) -> Result<Option<Timestamp>> {
        Ok(self.value::<Option<i64>>(column)?.map(Timestamp::from_micros))
    }
}

/// A `u64` as the engine stores numbers.
pub(crate) fn stored(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|_| StoreError::OutOfRange)
}

/// A length or count as the engine stores numbers.
pub(crate) fn stored_len(number: usize) -> Result<i64> {
    i64::try_from(number).map_err(|_| StoreError::OutOfRange)
}
