//! Size and root of the last published checkpoint of each log, kept where no restore of the data store
//! reaches (protocols.md 2.3).

use leadvault_domain::TenantId;
use leadvault_ledger::Hash;

use crate::cells::{Cells, stored};
use crate::engine::{Row, query};
use crate::error::Result;
use crate::key_store::KeyStore;
use crate::statement::statements;

statements! {
    FIND = "SELECT size, root FROM log_head WHERE log = $1";
    UPSERT = "INSERT INTO log_head (log, size, root) VALUES ($1, $2, $3) \
              ON CONFLICT (log) DO UPDATE SET size = excluded.size, root = excluded.root \
              WHERE excluded.size > log_head.size";
}

/// The operator's log has no tenant id.
const OPERATOR: TenantId = TenantId::from_bytes([0; 16]);

/// A published checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogHeadRow {
    /// Entries it covers.
    pub size: u64,
    /// Root of that tree.
    pub root: Hash,
}

impl KeyStore {
    /// The last published checkpoint of a log.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn find_log_head(&self, log: Option<TenantId>) -> Result<Option<LogHeadRow>> {
        let log = log.unwrap_or(OPERATOR);
        let question = query(FIND).bind(log.bytes().to_vec());
        let decode = |row: &Row| {
            let cells = Cells::new("log_head", row);
            Ok(LogHeadRow { size: cells.number("size")?, root: cells.bytes("root")? })
        };
        self.engine().find(log, question, decode).await
    }

    /// Remembers a published checkpoint; a smaller one than is known changes nothing.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn raise_log_head(&self, log: Option<TenantId>, head: LogHeadRow) -> Result<()> {
        self.engine().write(|| self.raise_head_once(log, head)).await
    }

    async fn raise_head_once(&self, log: Option<TenantId>, head: LogHeadRow) -> Result<()> {
        let log = log.unwrap_or(OPERATOR);
        let mut held = self.engine().writer(log).await?;
        let mut transaction = held.begin().await?;
        query(UPSERT)
            .bind(log.bytes().to_vec())
            .bind(stored(head.size)?)
            .bind(head.root.to_vec())
            .execute(&mut transaction.connection())
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}
