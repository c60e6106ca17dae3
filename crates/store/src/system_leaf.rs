//! The largest leaf of a tenant's system tree that any row names: what leaf numbers continue above after a
//! restore or a failover of the key store (protocols.md 1.4).

use crate::data_store::DataStore;
use crate::error::{Result, StoreError};
use crate::scope::TenantScope;
use crate::statement::statements;

statements! {
    MAX_LEAF = "SELECT MAX(leaf) FROM (\
        SELECT MAX(meta_leaf) AS leaf FROM tenant WHERE tenant_no = ?1 \
        UNION ALL SELECT MAX(MAX(COALESCE(meta_leaf, -1), COALESCE(columns_leaf, -1))) \
        FROM dataset WHERE tenant_no = ?1 \
        UNION ALL SELECT MAX(body_leaf) FROM instruction_version WHERE tenant_no = ?1 \
        UNION ALL SELECT MAX(body_leaf) FROM exit_permit WHERE tenant_no = ?1 \
        UNION ALL SELECT MAX(meta_leaf) FROM api_key WHERE tenant_no = ?1 \
        UNION ALL SELECT MAX(name_leaf) FROM principal WHERE tenant_no = ?1 \
        UNION ALL SELECT MAX(MAX(COALESCE(payload_leaf, -1), COALESCE(result_leaf, -1))) \
        FROM operation WHERE tenant_no = ?1 \
        UNION ALL SELECT MAX(MAX(COALESCE(meta_leaf, -1), COALESCE(cursor_leaf, -1))) \
        FROM import_batch WHERE tenant_no = ?1 \
        UNION ALL SELECT MAX(MAX(leaf, COALESCE(meta_leaf, -1), COALESCE(file_leaf, -1))) \
        FROM export WHERE tenant_no = ?1 \
        UNION ALL SELECT MAX(leaf) FROM export_part WHERE tenant_no = ?1 \
        UNION ALL SELECT MAX(answer_leaf) FROM replay WHERE tenant_no = ?1 \
        UNION ALL SELECT MAX(receipt_leaf) FROM erase_request WHERE tenant_no = ?1)";
}

impl DataStore {
    /// The largest system leaf of the tenant; `None` if no row names one. Reads whole tables: for start and
    /// restore.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_largest_system_leaf(&self, scope: TenantScope) -> Result<Option<u32>> {
        let mut connection = self.engine().reader().await?;
        let leaf: Option<i64> =
            sqlx::query_scalar(MAX_LEAF).bind(scope.no()).fetch_one(&mut *connection).await?;
        let bad = StoreError::Inconsistent { table: "tenant", column: "leaf" };
        leaf.filter(|l| *l >= 0).map(|l| u32::try_from(l).map_err(|_| bad)).transpose()
    }
}
