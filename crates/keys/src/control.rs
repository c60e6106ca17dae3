//! The one word of an advance that the data store must know: step 4 of protocols.md 1.1.

use leadvault_domain::TenantNo;

/// The data store did not take the new epoch. The advance stops before the slot is touched; whoever
/// opens the tenant next finishes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the data store is not available")]
pub struct ControlUnavailable;

/// `tenant_control`, as far as epochs go. `store` implements it on the data store.
#[async_trait::async_trait]
pub trait EpochControl: Send + Sync + 'static {
    /// One transaction, durable when it returns, idempotent:
    ///
    /// ```sql
    /// UPDATE tenant_control SET
    ///   dir_gen   = dir_gen + CASE WHEN key_epoch < :structural_epoch THEN 1 ELSE 0 END,
    ///   key_epoch = :epoch
    /// WHERE tenant_no = :tenant AND key_epoch < :epoch
    /// ```
    ///
    /// `structural_epoch` is the last epoch at which a dataset, a tree or a tag key came or went, so a
    /// node that finishes another one's advance bumps `dir_gen` exactly when that one would have. No row
    /// (the tenant is being created, or is gone) is not an error.
    async fn raise_key_epoch(
        &self,
        tenant: TenantNo,
        epoch: u32,
        structural_epoch: u32,
    ) -> Result<(), ControlUnavailable>;
}
