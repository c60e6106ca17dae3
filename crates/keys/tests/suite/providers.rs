//! Root and slot of the cell in memory.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use leadvault_crypto::{SecretKey, SystemEntropy, open, seal};
use leadvault_domain::TenantId;
use leadvault_keys::{Assurance, RootError, RootKey, Slot, SlotError, SlotRecord, WrapContext};

use crate::world::{BETWEEN_COPIES, Node};

fn best(copies: &[Option<SlotRecord>; 2]) -> Option<SlotRecord> {
    copies.iter().flatten().max_by_key(|record| record.epoch).cloned()
}

#[async_trait]
impl RootKey for Node {
    async fn wrap(&self, context: &WrapContext, plain: &SecretKey) -> Result<Vec<u8>, RootError> {
        self.health().await?;
        let (header, ids) = (context.header(), context.context());
        seal(&self.world.root, &header, &ids, plain.expose(), &SystemEntropy)
            .map_err(|_| RootError::Unopenable)
    }

    async fn unwrap(&self, context: &WrapContext, wrapped: &[u8]) -> Result<SecretKey, RootError> {
        self.health().await?;
        let plain = open(&self.world.root, &context.header(), &context.context(), wrapped)
            .map_err(|_| RootError::Unopenable)?;
        Ok(SecretKey::from_bytes(plain.as_slice().try_into().unwrap()))
    }

    async fn health(&self) -> Result<(), RootError> {
        if self.is_dead() {
            return Err(RootError::Unavailable);
        }
        let disabled = self.world.root_disabled.load(Ordering::SeqCst);
        if disabled { Err(RootError::Disabled) } else { Ok(()) }
    }

    fn level(&self) -> Assurance {
        Assurance::E1
    }

    fn provider(&self) -> &'static str {
        "memory"
    }
}

#[async_trait]
impl Slot for Node {
    async fn read(&self, tenant: TenantId) -> Result<Option<SlotRecord>, SlotError> {
        Ok(self.slots()?.get(&tenant).and_then(best))
    }

    async fn create(&self, tenant: TenantId, first: &SlotRecord) -> Result<(), SlotError> {
        let mut slots = self.slots()?;
        if slots.contains_key(&tenant) {
            return Err(SlotError::Exists);
        }
        slots.insert(tenant, [Some(first.clone()), Some(first.clone())]);
        Ok(())
    }

    async fn advance(&self, tenant: TenantId, next: &SlotRecord) -> Result<(), SlotError> {
        let mut slots = self.slots()?;
        let copies = slots.get_mut(&tenant).ok_or(SlotError::Missing)?;
        let held = best(copies).ok_or(SlotError::Damaged)?;
        if held.epoch > next.epoch {
            return Err(SlotError::LowerEpoch { held: held.epoch, offered: next.epoch });
        }
        if held.epoch == next.epoch && held != *next {
            return Err(SlotError::OtherRecord { epoch: held.epoch });
        }
        let older = usize::from(copies[0].as_ref() == Some(&held));
        copies[older] = Some(next.clone());
        self.reach(BETWEEN_COPIES);
        if self.is_dead() {
            return Err(SlotError::Unavailable);
        }
        copies[1 - older] = Some(next.clone());
        Ok(())
    }

    async fn destroy(&self, tenant: TenantId) -> Result<(), SlotError> {
        self.slots()?.remove(&tenant);
        Ok(())
    }

    fn level(&self) -> Assurance {
        Assurance::E0
    }

    async fn list(&self) -> Result<Vec<TenantId>, SlotError> {
        Ok(self.slots()?.keys().copied().collect())
    }
}
