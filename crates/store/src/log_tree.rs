//! `log_tree`: how far the tile builder got. Never in the acknowledging path.

use leadvault_domain::TenantNo;

use crate::cells::{Cells, stored};
use crate::data_store::DataStore;
use crate::engine::{Connection, Reach, Row, query};
use crate::error::Result;
use crate::scope::TenantScope;
use crate::statement::statements;
use crate::write::{Conflict, Outcome};

statements! {
    FIND = "SELECT built, frontier, checkpoint FROM log_tree WHERE tenant_no = $1";
    /// Logs with entries that lie in no file yet.
    LIST_BEHIND = "SELECT c.tenant_no FROM tenant_control c LEFT JOIN log_tree t \
                   ON t.tenant_no = c.tenant_no WHERE (SELECT p.first_index + p.n FROM log_chunk p \
                   WHERE p.tenant_no = c.tenant_no ORDER BY p.first_index DESC LIMIT 1) \
                   > COALESCE(t.built, 0) ORDER BY c.tenant_no";
    UPSERT = "INSERT INTO log_tree (tenant_no, built, frontier, checkpoint) VALUES ($1, $2, $3, $4) \
              ON CONFLICT (tenant_no) DO UPDATE SET built = excluded.built, \
              frontier = excluded.frontier, checkpoint = excluded.checkpoint \
              WHERE excluded.built >= log_tree.built";
}

/// The tree of a log, as far as it lies in files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTreeRow {
    /// Entries in it.
    pub built: u64,
    /// Its right edge, `Frontier::to_bytes`.
    pub frontier: Vec<u8>,
    /// The last signed checkpoint.
    pub checkpoint: Option<String>,
}

/// Moves the tree on; a smaller one than is stored is a conflict.
#[derive(Debug, Clone)]
pub struct UpsertLogTree {
    /// The tree.
    pub row: LogTreeRow,
}

impl UpsertLogTree {
    pub(crate) async fn run(
        &self,
        connection: &mut Connection<'_>,
        tenant: TenantNo,
    ) -> Result<Outcome> {
        let done = query(UPSERT)
            .bind(i64::from(tenant.0))
            .bind(stored(self.row.built)?)
            .bind(self.row.frontier.clone())
            .bind(self.row.checkpoint.clone())
            .execute(connection)
            .await?;
        Ok(Outcome::one(done, Conflict::StateMoved))
    }
}

impl DataStore {
    /// The tree of a log; `None` before the first build.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn find_log_tree(&self, log: TenantScope) -> Result<Option<LogTreeRow>> {
        let decode = |row: &Row| {
            let cells = Cells::new("log_tree", row);
            Ok(LogTreeRow {
                built: cells.number("built")?,
                frontier: cells.value("frontier")?,
                checkpoint: cells.value("checkpoint")?,
            })
        };
        self.engine().find(log, query(FIND).bind(log.no()), decode).await
    }

    /// Logs with entries that lie in no file yet, whichever node committed them.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn list_logs_behind(&self) -> Result<Vec<TenantNo>> {
        let mut all = self.list_tenant_numbers().await?;
        all.insert(0, TenantScope::OPERATOR.0);
        let number = |row: &Row| Cells::new("log_tree", row).number("tenant_no").map(TenantNo);
        self.engine().list(Reach::Tenants(all), query(LIST_BEHIND), number).await
    }
}
