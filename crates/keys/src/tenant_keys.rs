//! The keys of one tenant in this process: created, opened, advanced, suspended, destroyed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwapOption;
use leadvault_domain::{DatasetNo, DirectoryId, SlotId, TenantId, TenantNo};

use crate::advance::Request;
use crate::directory::Directory;
use crate::envelope::{make_id, seal_directory, seal_epoch_key};
use crate::kek::Keks;
use crate::keyring::Keyring;
use crate::leaves::Blocks;
use crate::page::PageRef;
use crate::view::look;
use crate::{
    Advanced, Assurance, Change, DirectoryRow, FirstRows, HeadRow, KeyError, KeyServices,
    SlotError, SlotRecord,
};

/// The keys of one tenant. Cheap to clone; all clones share one snapshot and one queue.
#[derive(Clone)]
pub struct TenantKeys {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) services: KeyServices,
    pub(crate) tenant: TenantId,
    pub(crate) no: TenantNo,
    ring: ArcSwapOption<Keyring>,
    suspended: AtomicBool,
    destroyed: AtomicBool,
    pub(crate) queue: Mutex<Vec<Request>>,
    /// Held by the one task that advances.
    pub(crate) turn: tokio::sync::Mutex<()>,
    pub(crate) blocks: tokio::sync::Mutex<Blocks>,
}

impl TenantKeys {
    fn new(services: &KeyServices, tenant: TenantId, no: TenantNo) -> Self {
        let inner = Inner {
            services: services.clone(),
            tenant,
            no,
            ring: ArcSwapOption::empty(),
            suspended: AtomicBool::new(false),
            destroyed: AtomicBool::new(false),
            queue: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            blocks: tokio::sync::Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Makes the keys of a new tenant: slot record, then key store, then mirror (protocols.md 1.2). The
    /// caller makes `tenant_control` and the first entry afterwards; a slot record that a crash leaves
    /// behind without them is removed by [`sweep_unborn`].
    ///
    /// # Errors
    /// [`KeyError::TenantExists`] if slot or key store know the tenant.
    pub async fn create(
        services: &KeyServices,
        tenant: TenantId,
        no: TenantNo,
    ) -> Result<Self, KeyError> {
        if services.blobs.find_head(tenant).await?.is_some() {
            return Err(KeyError::TenantExists(tenant));
        }
        let entropy = services.entropy.as_ref();
        let book = Directory::<PageRef>::make(tenant, entropy)?;
        let directory = DirectoryId::from_bytes(make_id(entropy)?);
        let slot_id = SlotId::from_bytes(make_id(entropy)?);
        let mut keks = Keks::new(services, tenant);
        let (kek, kek_row) = keks.make(1).await?;
        let key = leadvault_crypto::SecretKey::make(entropy)?;
        let sealed = seal_epoch_key(&kek, tenant, (1, directory), &key, entropy)?;
        let record = SlotRecord { slot_id, epoch: 1, kek_gen: 1, directory, sealed };
        services.slot.create(tenant, &record).await.map_err(|error| match error {
            SlotError::Exists => KeyError::TenantExists(tenant),
            other => other.into(),
        })?;
        services.reached("create.slot");
        let blob = seal_directory(&key, tenant, (1, directory), &book.to_bytes()?, entropy)?;
        let first = FirstRows {
            head: HeadRow { tenant, epoch: 1, directory, forgotten_epoch: 1, slot: slot_id },
            directory: DirectoryRow { tenant, directory, epoch: 1, blob },
            kek: kek_row,
        };
        services.blobs.insert_tenant(first).await?;
        services.reached("create.rows");
        // Opening settles epoch 1: the mirror has its first set before anything is sealed.
        let keys = Self::new(services, tenant, no);
        let view = look(&mut keks, services, (tenant, no), 1, None).await?;
        keys.inner.settle(&view, Some(Vec::new())).await?;
        Ok(keys)
    }

    /// Opens the keys of a tenant at a start, and finishes what a crash interrupted (protocols.md 1.2).
    /// `logged_epoch` is that of the last `erase.completed` or `key.rotate` entry of its log; 0 if none.
    ///
    /// # Errors
    /// [`KeyError::KeyStoreBehindSlot`], [`KeyError::SlotBehindLog`]: refuse the start, exit code 3.
    pub async fn open(
        services: &KeyServices,
        tenant: TenantId,
        no: TenantNo,
        logged_epoch: u32,
    ) -> Result<Self, KeyError> {
        let keys = Self::new(services, tenant, no);
        let mut keks = Keks::new(services, tenant);
        let view = look(&mut keks, services, (tenant, no), logged_epoch, None).await?;
        if !view.path.is_empty() || view.head.forgotten_epoch < view.head.epoch {
            keys.inner.settle(&view, None).await?;
        } else {
            if let Some(control) = &services.control {
                let structural = view.ring.book.structural_epoch;
                control.raise_key_epoch(no, view.head.epoch, structural).await?;
            }
            keys.inner.install(&view.ring);
            keys.inner.sweep_blobs(&view).await;
        }
        keys.inner.raise_past_gaps().await?;
        Ok(keys)
    }

    /// The present snapshot.
    ///
    /// # Errors
    /// [`KeyError::Disabled`] while suspended, [`KeyError::Destroyed`] afterwards.
    pub fn ring(&self) -> Result<Arc<Keyring>, KeyError> {
        self.inner.ring()
    }

    /// The tenant.
    pub fn tenant(&self) -> TenantId {
        self.inner.tenant
    }

    /// Level of an erasure here.
    pub fn level(&self) -> Assurance {
        self.inner.services.level()
    }

    /// Makes one change; concurrent callers share one epoch. Returns once the slot has forgotten.
    ///
    /// # Errors
    /// [`KeyError`]. After an error whose outcome is unknown, the same change may be asked for again;
    /// what is decided is settled by then, or by the next start.
    pub async fn advance(&self, change: Change) -> Result<Advanced, KeyError> {
        self.inner.enqueue(vec![change]).await
    }

    /// Makes several changes in one epoch, all or none.
    ///
    /// # Errors
    /// As [`TenantKeys::advance`]; the first change that is refused refuses all.
    pub async fn advance_all(&self, changes: Vec<Change>) -> Result<Advanced, KeyError> {
        self.inner.enqueue(changes).await
    }

    /// Takes `count` contiguous leaves and returns the first. Up to 64 come from this node's block; more
    /// come as an aligned block of their own, so that undo and retention stay ranges.
    ///
    /// # Errors
    /// [`KeyError::UnknownTree`], and [`KeyError::Blobs`] when the tree is used up.
    pub async fn allocate(
        &self,
        dataset: DatasetNo,
        tree: u32,
        count: u32,
    ) -> Result<u32, KeyError> {
        self.inner.allocate(dataset, tree, count).await
    }

    /// Never issues a leaf again that the data store names: the caller passes the largest of each tree, at
    /// every start, because the key store may have been rebuilt from a mirror that is older than the rows
    /// (protocols.md 1.4).
    ///
    /// # Errors
    /// [`KeyError::Blobs`].
    pub async fn raise_past_rows(
        &self,
        largest: impl Iterator<Item = (DatasetNo, u32, u32)>,
    ) -> Result<(), KeyError> {
        let ends = largest.map(|(no, tree, leaf)| (no, tree, u64::from(leaf) + 1)).collect();
        self.inner.raise_past(ends).await
    }

    /// Looks whether another node moved the head, takes over its snapshot, and confirms it. To be called
    /// on each notification and every 500 ms for open keyrings where the cell has several nodes.
    ///
    /// # Errors
    /// [`KeyError`]; the caller drops the keys if this fails for three seconds.
    pub async fn refresh(&self) -> Result<u32, KeyError> {
        let inner = &self.inner;
        let present = inner.ring()?;
        let Some(head) = inner.services.blobs.find_head(inner.tenant).await? else {
            inner.close();
            return Err(KeyError::Destroyed);
        };
        let same = head.epoch == present.epoch() && head.directory == present.directory;
        let epoch = if same { head.epoch } else { inner.reload(Some(present)).await? };
        if let Some(node) = inner.services.node {
            inner.say_epoch(node, epoch).await?;
        }
        Ok(epoch)
    }

    /// Suspends the keys: drops them from memory; [`TenantKeys::ring`] answers `Disabled`. Snapshots that
    /// requests in flight hold live as long as those requests.
    pub fn purge(&self) {
        self.inner.suspended.store(true, Ordering::SeqCst);
        self.inner.ring.store(None);
    }

    /// Ends a suspension by asking the root provider again.
    ///
    /// # Errors
    /// [`KeyError::Root`] if the provider refuses; the keys stay suspended.
    pub async fn resume(&self) -> Result<u32, KeyError> {
        if self.inner.destroyed.load(Ordering::SeqCst) {
            return Err(KeyError::Destroyed);
        }
        let was = self.inner.suspended.swap(false, Ordering::SeqCst);
        let result = self.inner.reload(None).await;
        if result.is_err() && was {
            self.purge();
        }
        result
    }

    /// Shreds the tenant: see [`destroy_tenant`].
    ///
    /// # Errors
    /// [`KeyError`]; the keys are gone from memory in any case, and the call may be repeated.
    pub async fn destroy(&self) -> Result<(), KeyError> {
        let _turn = self.inner.turn.lock().await;
        self.inner.close();
        destroy_tenant(&self.inner.services, self.inner.tenant).await
    }
}

impl Inner {
    pub(crate) fn ring(&self) -> Result<Arc<Keyring>, KeyError> {
        let gone = self.destroyed.load(Ordering::SeqCst);
        let none = if gone { KeyError::Destroyed } else { KeyError::Disabled };
        self.ring.load_full().ok_or(none)
    }

    /// Publishes a snapshot, unless a newer one is there or the keys are suspended.
    pub(crate) fn install(&self, ring: &Arc<Keyring>) {
        self.ring.rcu(|present| match present {
            Some(present) if present.epoch() > ring.epoch() => Some(Arc::clone(present)),
            _ => Some(Arc::clone(ring)),
        });
        // A suspension that came meanwhile wins.
        if self.suspended.load(Ordering::SeqCst) || self.destroyed.load(Ordering::SeqCst) {
            self.ring.store(None);
        }
    }

    fn close(&self) {
        self.destroyed.store(true, Ordering::SeqCst);
        self.ring.store(None);
    }

    async fn reload(&self, present: Option<Arc<Keyring>>) -> Result<u32, KeyError> {
        let mut keks = Keks::new(&self.services, self.tenant);
        let who = (self.tenant, self.no);
        let view = look(&mut keks, &self.services, who, 0, present).await?;
        self.install(&view.ring);
        Ok(view.head.epoch)
    }
}

/// Destroys the keys of a tenant without unwrapping any: KEK rows marked, slot overwritten, mirror copies
/// and rows deleted (protocols.md 1.2). Idempotent, so a crash in between is finished by calling it again.
///
/// # Errors
/// [`KeyError`] of the step that failed.
pub async fn destroy_tenant(services: &KeyServices, tenant: TenantId) -> Result<(), KeyError> {
    services.blobs.destroy_keks(tenant).await?;
    services.reached("destroy.keks");
    services.slot.destroy(tenant).await?;
    services.reached("destroy.slot");
    if let Some(mirror) = &services.mirror {
        mirror.delete(tenant).await?;
    }
    services.reached("destroy.mirror");
    services.blobs.delete_tenant(tenant).await?;
    services.reached("destroy.rows");
    Ok(())
}

/// Removes the slot record of a tenant that was never born: no head, and, as the caller has checked, no
/// `tenant_control` either. Returns whether there was one.
///
/// # Errors
/// [`KeyError::TenantExists`] if the key store has a head after all.
pub async fn sweep_unborn(services: &KeyServices, tenant: TenantId) -> Result<bool, KeyError> {
    if services.blobs.find_head(tenant).await?.is_some() {
        return Err(KeyError::TenantExists(tenant));
    }
    let found = services.slot.read(tenant).await?.is_some();
    services.slot.destroy(tenant).await?;
    Ok(found)
}

impl std::fmt::Debug for TenantKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TenantKeys").field("tenant", &self.inner.tenant).finish_non_exhaustive()
    }
}
