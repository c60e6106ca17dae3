//! Records an import refused: numbers and codes, never a value.

use leadvault_domain::{ImportId, TenantNo};

use crate::cells::{Cells, stored};
use crate::data_store::DataStore;
use crate::engine::{Connection, Row, query};
use crate::error::Result;
use crate::scope::TenantScope;
use crate::statement::statements;
use crate::write::Outcome;

statements! {
    INSERT = "INSERT INTO import_failure (tenant_no, batch_no, row_no, column_no, code) \
              SELECT $1, b.batch_no, $3, $4, $5 FROM import_batch b \
              WHERE b.tenant_no = $1 AND b.uuid = $2 ON CONFLICT DO NOTHING";
    LIST = "SELECT f.row_no, f.column_no, f.code FROM import_failure f WHERE f.tenant_no = $1 \
            AND f.batch_no = $2 AND (f.row_no, f.column_no, f.code) > ($3, $4, $5) \
            ORDER BY f.row_no, f.column_no, f.code LIMIT $6";
}

/// Failures of one page.
pub const FAILURES_MAX: u32 = 4_096;
/// Stored for "the row as a whole".
const WHOLE_ROW: i64 = -1;

/// A record that was refused, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportFailure {
    /// Data record, from 1.
    pub row: u64,
    /// Column, from 0; `None` = the record as a whole.
    pub column: Option<u32>,
    /// Why.
    pub code: &'static str,
}

/// A record that was refused, as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureRow {
    /// Data record, from 1.
    pub row: u64,
    /// Column, from 0; `None` = the record as a whole.
    pub column: Option<u32>,
    /// Why.
    pub code: String,
}

/// Stores refusals of an import; those that are there stay.
#[derive(Debug, Clone)]
pub struct InsertImportFailures {
    /// The import.
    pub id: ImportId,
    /// What it refused.
    pub failures: Vec<ImportFailure>,
}

impl InsertImportFailures {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let mut count = 0;
        for failure in &self.failures {
            let done = query(INSERT)
                .bind(i64::from(tenant.0))
                .bind(self.id.bytes().to_vec())
                .bind(stored(failure.row)?)
                .bind(failure.column.map_or(WHOLE_ROW, i64::from))
                .bind(failure.code)
                .execute(&mut *connection)
                .await?;
            count += done;
        }
        Ok(Outcome::Count(count))
    }
}

impl DataStore {
    /// Refusals of import number `no` behind `after`, ascending, at most [`FAILURES_MAX`].
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_import_failures(
        &self,
        scope: TenantScope,
        no: u32,
        after: Option<&FailureRow>,
    ) -> Result<Vec<FailureRow>> {
        let row = after.map(|f| stored(f.row)).transpose()?.unwrap_or(-1);
        let column = after.and_then(|f| f.column).map_or(WHOLE_ROW, i64::from);
        let code = after.map(|f| f.code.clone()).unwrap_or_default();
        let question = query(LIST)
            .bind(scope.no())
            .bind(i64::from(no))
            .bind(row)
            .bind(column)
            .bind(code)
            .bind(i64::from(FAILURES_MAX));
        self.engine().list(scope, question, decode).await
    }
}

fn decode(row: &Row) -> Result<FailureRow> {
    let cells = Cells::new("import_failure", row);
    let column: i64 = cells.value("column_no")?;
    let column = if column == WHOLE_ROW { None } else { Some(cells.number("column_no")?) };
    Ok(FailureRow { row: cells.number("row_no")?, column, code: cells.value("code")? })
}
