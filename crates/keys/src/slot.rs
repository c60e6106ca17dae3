//! The one small place that can really be overwritten.

use leadvault_domain::TenantId;

use crate::{Assurance, SlotRecord};

/// Why the slot did not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SlotError {
    /// Not reachable, or an I/O error: the outcome is unknown, and trying again is safe.
    #[error("the slot is not available")]
    Unavailable,
    /// Another process holds the slot's lock beyond the limit.
    #[error("the slot is locked by another process")]
    Locked,
    /// No record for the tenant.
    #[error("the slot holds no record of the tenant")]
    Missing,
    /// `create` found a record.
    #[error("the slot holds a record of the tenant already")]
    Exists,
    /// The record offered is older than the one held.
    #[error("the slot holds epoch {held}, offered {offered}")]
    LowerEpoch {
        /// Epoch in the slot.
        held: u32,
        /// Epoch of the record that was refused.
        offered: u32,
    },
    /// Same epoch, other bytes: two histories met.
    #[error("the slot holds another record of epoch {epoch}")]
    OtherRecord {
        /// The epoch of both.
        epoch: u32,
    },
    /// No copy is valid.
    #[error("no copy of the slot is valid")]
    Damaged,
    /// The filesystem copies on write, is a network one, or is not known.
    #[error("the slot's filesystem is refused")]
    OnCow,
}

/// A slot for each tenant of the cell. `kms` implements it.
#[async_trait::async_trait]
pub trait Slot: Send + Sync + 'static {
    /// The record, or `None` if the tenant has none.
    async fn read(&self, tenant: TenantId) -> Result<Option<SlotRecord>, SlotError>;

    /// Stores the first record; durable when it returns.
    ///
    /// # Errors
    /// [`SlotError::Exists`] if there is one.
    async fn create(&self, tenant: TenantId, first: &SlotRecord) -> Result<(), SlotError>;

    /// Replaces the record and forgets the old one: when it returns, no copy of any other record is left.
    ///
    /// Idempotent: the same record again finishes what a crash interrupted. Any node may call it.
    ///
    /// # Errors
    /// [`SlotError::LowerEpoch`], [`SlotError::OtherRecord`]; nothing is changed then.
    async fn advance(&self, tenant: TenantId, next: &SlotRecord) -> Result<(), SlotError>;

    /// Overwrites and removes the record; `Ok` if there is none.
    async fn destroy(&self, tenant: TenantId) -> Result<(), SlotError>;

    /// What forgetting here is worth.
    fn level(&self) -> Assurance;

    /// The tenants that have a record, ascending.
    async fn list(&self) -> Result<Vec<TenantId>, SlotError>;
}
