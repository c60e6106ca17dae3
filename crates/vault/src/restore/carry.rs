//! What only the newer data store knows and the log does not: the suppression list. It holds nothing that could be
//! read again, and without it a person who was erased since the copy would come back with the next file.

use leadvault_store::{DataStore, InsertSuppression, Outcome, StoreError, TenantScope};

/// Rows of one transaction.
const ROWS: u32 = 1_000;

/// Copies every tenant's suppression list from `newer` into `copy`, beside what is there; how many values were new
/// to it. Tenants are matched by their ids.
///
/// # Errors
/// [`StoreError`] of either.
pub async fn carry_suppressions(newer: &DataStore, copy: &DataStore) -> Result<u64, StoreError> {
    let known = copy.list_tenants().await?;
    let mut carried: u64 = 0;
    for tenant in newer.list_tenants().await? {
        let Some(into) = known.iter().find(|known| known.id == tenant.id) else { continue };
        let mut after = None;
        loop {
            let from = TenantScope(tenant.no);
            let rows = newer.list_suppression_rows(from, after, ROWS).await?;
            let Some(last) = rows.last() else { break };
            after = Some(last.tag);
            let written = copy.apply(TenantScope(into.no), InsertSuppression { rows }).await?;
            if let Outcome::Count(new) = written {
                carried = carried.saturating_add(new);
            }
        }
    }
    Ok(carried)
}
