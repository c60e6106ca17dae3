//! What one tenant may hold of a fixed number of permits: a quarter, so that no tenant takes the places
//! of all others, whatever it sends and however slowly.
//!
//! A place is held from the moment the tenant is known until the work of the call ends. One call more is
//! answered 429 `rate_limited`. The operator's key is not counted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use leadvault_domain::TenantId;
use leadvault_vault::{Credential, Fault};

use crate::extract::credential::Shown;
use crate::problem::Problem;

/// Permits there are for each one that a tenant may hold.
const TENANTS_AT_LEAST: usize = 4;
/// When to ask again: a call takes a fraction of it.
const RETRY_SECONDS: u32 = 1;

/// Calls in work, by tenant.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    most: usize,
    held: Arc<Mutex<HashMap<TenantId, usize>>>,
}

/// A place of a tenant, given back when it is dropped.
#[derive(Debug)]
struct Place {
    share: Share,
    tenant: TenantId,
}

impl Share {
    /// A quarter of `permits`, at least one.
    pub(crate) fn of(permits: usize) -> Self {
        Self { most: (permits / TENANTS_AT_LEAST).max(1), held: Arc::default() }
    }

    /// A place, where the tenant has one left.
    fn take(&self, tenant: TenantId) -> Option<Place> {
        let mut held = self.held();
        let count = held.entry(tenant).or_default();
        if *count >= self.most {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Place { share: self.clone(), tenant })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<TenantId, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.share.held();
        if let Some(count) = held.get_mut(&self.tenant) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.remove(&self.tenant);
            }
        }
    }
}

/// Runs an authenticated call within its tenant's share.
pub(crate) async fn within_share(
    State(share): State<Share>,
    request: Request,
    next: Next,
) -> Response {
    let tenant = match request.extensions().get::<Shown>().map(|shown| &*shown.credential) {
        Some(Credential::Tenant(caller)) => Some(caller.tenant),
        Some(Credential::Operator) | None => None,
    };
    let place = tenant.map(|tenant| share.take(tenant));
    if matches!(place, Some(None)) {
        let fault = Fault::RateLimited { retry_after_seconds: RETRY_SECONDS };
        return Problem::from(fault).into_response();
    }
    let response = next.run(request).await;
    drop(place);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: TenantId = TenantId::from_bytes([1; 16]);
    const OTHER: TenantId = TenantId::from_bytes([2; 16]);

    #[test]
    fn a_tenant_holds_a_quarter_and_another_one_still_has_its_own() {
        let share = Share::of(8);
        let first = share.take(ONE);
        let second = share.take(ONE);
        assert!(first.is_some() && second.is_some());
        assert!(share.take(ONE).is_none());
        assert!(share.take(OTHER).is_some());
        drop(first);
        assert!(share.take(ONE).is_some());
    }

    #[test]
    fn nobody_is_remembered_who_holds_nothing() {
        let share = Share::of(1);
        drop(share.take(ONE));
        assert!(share.held().is_empty());
    }
}
