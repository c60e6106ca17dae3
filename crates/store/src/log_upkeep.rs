//! `log_upkeep`: when a log last had its daily entries. Not the entries themselves.

use leadvault_domain::{TenantNo, Timestamp};

use crate::cells::{Cells, stored};
use crate::data_store::DataStore;
use crate::engine::{Connection, Row, query};
use crate::error::Result;
use crate::scope::TenantScope;
use crate::statement::statements;
use crate::write::Outcome;

statements! {
    FIND = "SELECT said_at, said_to, active_at FROM log_upkeep WHERE tenant_no = $1";
    UPSERT = "INSERT INTO log_upkeep (tenant_no, said_at, said_to, active_at) VALUES ($1, $2, $3, $4) \
              ON CONFLICT (tenant_no) DO UPDATE SET said_at = excluded.said_at, \
              said_to = excluded.said_to, active_at = excluded.active_at";
}

/// The daily entries of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogUpkeepRow {
    /// When they were last written.
    pub said_at: Timestamp,
    /// First index that the next ones are about.
    pub said_to: u64,
    /// When the log was last found to have other entries.
    pub active_at: Timestamp,
}

/// Remembers that the daily entries were written, beside the last of them: what comes behind it is for the
/// next ones. Without an entry, `from` is where the first ones will begin.
#[derive(Debug, Clone, Copy)]
pub struct UpsertLogUpkeep {
    /// When.
    pub said_at: Timestamp,
    /// When the log last had other entries.
    pub active_at: Timestamp,
    /// Where to begin, without an entry.
    pub from: u64,
}

impl UpsertLogUpkeep {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
        index: Option<u64>,
    ) -> Result<Outcome> {
        let said_to = index.map_or(self.from, |index| index.saturating_add(1));
        query(UPSERT)
            .bind(i64::from(tenant.0))
            .bind(self.said_at.micros())
            .bind(stored(said_to)?)
            .bind(self.active_at.micros())
            .execute(connection)
            .await?;
        Ok(Outcome::Done)
    }
}

impl DataStore {
    /// The daily entries of a log; `None` before it was first looked at.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn find_log_upkeep(&self, log: TenantScope) -> Result<Option<LogUpkeepRow>> {
        let decode = |row: &Row| {
            let cells = Cells::new("log_upkeep", row);
            Ok(LogUpkeepRow {
                said_at: cells.time("said_at")?,
                said_to: cells.number("said_to")?,
                active_at: cells.time("active_at")?,
            })
        };
        self.engine().find(log, query(FIND).bind(log.no()), decode).await
    }
}
