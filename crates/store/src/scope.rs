//! The wall inside the store: no function reads rows of a tenant without its scope.

use leadvault_domain::TenantNo;

/// Rows of this tenant and of no other. Number 0 is the cell's operator log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantScope(pub TenantNo);

impl TenantScope {
    /// The operator's log.
    pub const OPERATOR: Self = Self(TenantNo(0));

    pub(crate) fn no(self) -> i64 {
        i64::from(self.0.0)
    }
}

impl From<TenantNo> for TenantScope {
    fn from(no: TenantNo) -> Self {
        Self(no)
    }
}
