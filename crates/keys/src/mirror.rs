//! A second copy of the key store on another disk, written before the slot forgets (protocols.md 1.3).
//!
//! A *set* is what rebuilds the key store at one epoch. Pages are immutable, so a set writes only those
//! that are new. A set is whole or absent: its head is written last.

use leadvault_domain::{PageId, TenantId};

use crate::TenantRows;

/// Why the mirror did not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MirrorError {
    /// Not reachable, full, or an I/O error. The advance stops before the slot is touched.
    #[error("the mirror is not available")]
    Unavailable,
    /// A set, or a blob it names, cannot be read back.
    #[error("a set of the mirror is damaged")]
    Damaged,
}

/// A place for copies of the key-store rows.
#[async_trait::async_trait]
pub trait Mirror: Send + Sync + 'static {
    /// Writes the set of `rows.head.epoch`; durable when it returns. `rows.pages` holds the pages that may
    /// be new; `live_pages` names all pages of the set, the others are in the mirror already.
    ///
    /// # Errors
    /// [`MirrorError::Damaged`] if a named page is neither given nor there.
    async fn store(&self, rows: &TenantRows, live_pages: &[PageId]) -> Result<(), MirrorError>;

    /// Epochs of the whole sets of a tenant, descending.
    async fn epochs(&self, tenant: TenantId) -> Result<Vec<u32>, MirrorError>;

    /// The set of one epoch, with every page it names.
    async fn load(&self, tenant: TenantId, epoch: u32) -> Result<TenantRows, MirrorError>;

    /// Tenants with at least one set, ascending.
    async fn tenants(&self) -> Result<Vec<TenantId>, MirrorError>;

    /// Removes the sets older than `epoch`, and the pages, directories and hops that no remaining set needs.
    /// Never touches a newer set: another node may have decided meanwhile.
    async fn keep_only(&self, tenant: TenantId, epoch: u32) -> Result<(), MirrorError>;

    /// Removes everything of a tenant; `Ok` if there is nothing.
    async fn delete(&self, tenant: TenantId) -> Result<(), MirrorError>;
}
