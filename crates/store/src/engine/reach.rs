//! Whose rows a transaction sees and changes. SQLite goes by the statements alone; PostgreSQL is told besides,
//! and its row-level security holds the statements to it (protocols.md 5).

use leadvault_domain::{TenantId, TenantNo};

use crate::scope::TenantScope;

/// Rows of tenants, or what a node may know of all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Rows of these tenants in the data store, ascending.
    Tenants(Vec<TenantNo>),
    /// Rows of these tenants in the key store.
    Keys(Vec<TenantId>),
    /// Of every tenant, what a node needs to find its work: states, numbers and leases.
    Cell,
    /// No tenant's rows: numbers the cell gives out, secrets of its own.
    Nobody,
}

impl From<TenantScope> for Reach {
    fn from(scope: TenantScope) -> Self {
        Self::Tenants(vec![scope.0])
    }
}

impl From<TenantNo> for Reach {
    fn from(no: TenantNo) -> Self {
        Self::Tenants(vec![no])
    }
}

impl From<TenantId> for Reach {
    fn from(tenant: TenantId) -> Self {
        Self::Keys(vec![tenant])
    }
}
