//! The key-encryption keys of one tenant, unwrapped for the length of one operation and no longer.
//!
//! Nothing is cached between operations: each advance, start or refresh asks the provider again, so a key
//! that its owner disabled stops working with the next one of them.

use std::collections::BTreeMap;

use leadvault_crypto::SecretKey;
use leadvault_domain::TenantId;

use crate::{KekRow, KekState, KeyError, KeyServices, WrapContext};

/// Generations unwrapped so far.
pub(crate) struct Keks<'a> {
    services: &'a KeyServices,
    tenant: TenantId,
    opened: BTreeMap<u32, SecretKey>,
}

impl<'a> Keks<'a> {
    pub(crate) const fn new(services: &'a KeyServices, tenant: TenantId) -> Self {
        Self { services, tenant, opened: BTreeMap::new() }
    }

    /// The KEK of a generation, from the key store's wrap.
    pub(crate) async fn find(&mut self, generation: u32) -> Result<SecretKey, KeyError> {
        if let Some(key) = self.opened.get(&generation) {
            return Ok(key.clone());
        }
        let rows = self.services.blobs.list_keks(self.tenant).await?;
        self.find_in(generation, &rows).await
    }

    /// The KEK of a generation, from `rows`.
    pub(crate) async fn find_in(
        &mut self,
        generation: u32,
        rows: &[KekRow],
    ) -> Result<SecretKey, KeyError> {
        if let Some(key) = self.opened.get(&generation) {
            return Ok(key.clone());
        }
        let missing = KeyError::KekMissing { tenant: self.tenant, generation };
        let row = rows.iter().find(|row| row.generation == generation).ok_or(missing)?;
        if row.state == KekState::Destroyed {
            return Err(KeyError::Destroyed);
        }
        let context = WrapContext::tenant_kek(self.tenant, generation);
        let key = self.services.root.unwrap(&context, &row.wrapped).await?;
        self.opened.insert(generation, key.clone());
        Ok(key)
    }

    /// Makes and wraps a new generation; the row is stored by the decision.
    pub(crate) async fn make(&mut self, generation: u32) -> Result<(SecretKey, KekRow), KeyError> {
        let key = SecretKey::make(self.services.entropy.as_ref())?;
        let context = WrapContext::tenant_kek(self.tenant, generation);
        let wrapped = self.services.root.wrap(&context, &key).await?;
        self.opened.insert(generation, key.clone());
        let row = KekRow { tenant: self.tenant, generation, wrapped, state: KekState::Active };
        Ok((key, row))
    }
}
