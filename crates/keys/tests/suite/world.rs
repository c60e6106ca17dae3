//! A cell in memory: what survives a crash. A [`Node`] is what does not: when it dies, every one of its
//! calls answers "not available" and changes nothing, as if the process had been killed there.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use leadvault_crypto::{SecretKey, SystemEntropy};
use leadvault_domain::{
    Clock, DatasetId, DatasetNo, DirectoryId, LeafAddress, LeafRange, PageId, TenantId, TenantNo,
    Timestamp,
};
use leadvault_keys::{
    BlobsError, Change, ControlUnavailable, Decided, Decision, DirectoryRow, EpochControl,
    FirstRows, HeadRow, HopRow, HwmRow, KekRow, KeyBlobs, KeyError, KeyServices, Mirror,
    MirrorError, NodeEpochRow, PageRow, RootKey, Slot, SlotError, SlotRecord, TenantKeys,
    TenantRows, Unreferenced,
};

use crate::rows::Rows;

pub(crate) const TENANT: TenantId = TenantId::from_bytes([0x10; 16]);
pub(crate) const NO: TenantNo = TenantNo(3);
pub(crate) const LEADS: DatasetNo = DatasetNo(1);
pub(crate) const DATASET: DatasetId = DatasetId::from_bytes([0x20; 16]);
/// Dies between the two copies of the slot.
pub(crate) const BETWEEN_COPIES: &str = "slot.between-copies";
/// Dies before the deciding transaction.
pub(crate) const BEFORE_DECISION: &str = "store.before-decision";

pub(crate) fn at(leaf: u32) -> LeafAddress {
    LeafAddress { dataset: LEADS, tree: 1, leaf }
}

pub(crate) fn erase(leaf: u32) -> Change {
    Change::Puncture(vec![LeafRange::single(at(leaf))])
}

#[derive(Debug)]
pub(crate) struct TestClock(pub(crate) AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

#[derive(Default, Clone)]
pub(crate) struct MirrorState {
    pub(crate) sets: BTreeMap<u32, TenantRows>,
    pub(crate) pages: BTreeMap<PageId, PageRow>,
}

pub(crate) struct World {
    pub(crate) rows: Mutex<Rows>,
    pub(crate) slot: Mutex<BTreeMap<TenantId, [Option<SlotRecord>; 2]>>,
    pub(crate) mirror: Mutex<MirrorState>,
    /// `key_epoch` and `dir_gen`.
    pub(crate) control: Mutex<(u32, u32)>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) root: SecretKey,
    pub(crate) root_disabled: AtomicBool,
}

impl World {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            rows: Mutex::default(),
            slot: Mutex::default(),
            mirror: Mutex::default(),
            control: Mutex::default(),
            clock: Arc::new(TestClock(AtomicI64::new(1_795_424_400_000_000))),
            root: SecretKey::from_bytes([0x77; 32]),
            root_disabled: AtomicBool::new(false),
        })
    }

    pub(crate) fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap()
    }

    pub(crate) fn head(&self) -> HeadRow {
        self.rows().heads[&TENANT]
    }

    pub(crate) fn copies(&self) -> [Option<SlotRecord>; 2] {
        self.slot.lock().unwrap()[&TENANT].clone()
    }

    /// A node that lives.
    pub(crate) fn node(self: &Arc<Self>) -> Arc<Node> {
        self.node_dying_at("")
    }

    /// A node that dies when it reaches `step`.
    pub(crate) fn node_dying_at(self: &Arc<Self>, step: &'static str) -> Arc<Node> {
        Arc::new(Node { world: Arc::clone(self), dies_at: step, dead: AtomicBool::new(false) })
    }

    /// A tenant with dataset 1, at epoch 2.
    pub(crate) async fn with_dataset() -> (Arc<Self>, TenantKeys) {
        let world = Self::new();
        let services = world.node().services();
        *world.control.lock().unwrap() = (1, 1);
        let keys = TenantKeys::create(&services, TENANT, NO).await.unwrap();
        keys.advance(Change::AddDataset { no: LEADS, id: DATASET }).await.unwrap();
        (world, keys)
    }

    pub(crate) async fn open(self: &Arc<Self>) -> Result<TenantKeys, KeyError> {
        TenantKeys::open(&self.node().services(), TENANT, NO, 0).await
    }
}

pub(crate) struct Node {
    pub(crate) world: Arc<World>,
    dies_at: &'static str,
    dead: AtomicBool,
}

impl Node {
    pub(crate) fn services(self: &Arc<Self>) -> KeyServices {
        let node = Arc::clone(self);
        KeyServices::new(
            Arc::clone(self) as Arc<dyn RootKey>,
            Arc::clone(self) as Arc<dyn Slot>,
            Arc::clone(self) as Arc<dyn KeyBlobs>,
            Arc::clone(&self.world.clock) as Arc<dyn Clock>,
            Arc::new(SystemEntropy),
        )
        .with_mirror(Arc::clone(self) as Arc<dyn Mirror>)
        .with_control(Arc::clone(self) as Arc<dyn EpochControl>)
        .with_fail_points(Arc::new(move |step| {
            node.reach(step);
        }))
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    pub(crate) fn reach(&self, step: &str) {
        if step == self.dies_at {
            self.dead.store(true, Ordering::SeqCst);
        }
    }

    fn rows(&self) -> Result<MutexGuard<'_, Rows>, BlobsError> {
        if self.is_dead() { Err(BlobsError::Unavailable) } else { Ok(self.world.rows()) }
    }

    fn mirror(&self) -> Result<MutexGuard<'_, MirrorState>, MirrorError> {
        let alive = !self.is_dead();
        alive.then(|| self.world.mirror.lock().unwrap()).ok_or(MirrorError::Unavailable)
    }

    #[expect(clippy::type_complexity, reason = "two copies for each tenant")]
    pub(crate) fn slots(
        &self,
    ) -> Result<MutexGuard<'_, BTreeMap<TenantId, [Option<SlotRecord>; 2]>>, SlotError> {
        let alive = !self.is_dead();
        alive.then(|| self.world.slot.lock().unwrap()).ok_or(SlotError::Unavailable)
    }
}

#[async_trait]
impl EpochControl for Node {
    async fn raise_key_epoch(
        &self,
        _: TenantNo,
        epoch: u32,
        structural_epoch: u32,
    ) -> Result<(), ControlUnavailable> {
        if self.is_dead() {
            return Err(ControlUnavailable);
        }
        let mut control = self.world.control.lock().unwrap();
        if control.0 < epoch {
            control.1 += u32::from(control.0 < structural_epoch);
            control.0 = epoch;
        }
        Ok(())
    }
}

#[async_trait]
impl Mirror for Node {
    async fn store(&self, rows: &TenantRows, live_pages: &[PageId]) -> Result<(), MirrorError> {
        let mut mirror = self.mirror()?;
        mirror.pages.extend(rows.pages.iter().map(|page| (page.page, page.clone())));
        let whole = |page| mirror.pages.get(page).cloned().ok_or(MirrorError::Damaged);
        let pages = live_pages.iter().map(whole).collect::<Result<_, _>>()?;
        mirror.sets.insert(rows.head.epoch, TenantRows { pages, ..rows.clone() });
        Ok(())
    }

    async fn epochs(&self, _: TenantId) -> Result<Vec<u32>, MirrorError> {
        Ok(self.mirror()?.sets.keys().rev().copied().collect())
    }

    async fn load(&self, _: TenantId, epoch: u32) -> Result<TenantRows, MirrorError> {
        self.mirror()?.sets.get(&epoch).cloned().ok_or(MirrorError::Damaged)
    }

    async fn tenants(&self) -> Result<Vec<TenantId>, MirrorError> {
        Ok(if self.mirror()?.sets.is_empty() { Vec::new() } else { vec![TENANT] })
    }

    async fn keep_only(&self, _: TenantId, epoch: u32) -> Result<(), MirrorError> {
        self.mirror()?.sets.retain(|of, _| *of >= epoch);
        Ok(())
    }

    async fn delete(&self, _: TenantId) -> Result<(), MirrorError> {
        *self.mirror()? = MirrorState::default();
        Ok(())
    }
}

#[async_trait]
impl KeyBlobs for Node {
    async fn find_head(&self, tenant: TenantId) -> Result<Option<HeadRow>, BlobsError> {
        Ok(self.rows()?.heads.get(&tenant).copied())
    }

    async fn list_heads(&self) -> Result<Vec<HeadRow>, BlobsError> {
        Ok(self.rows()?.heads.values().copied().collect())
    }

    async fn insert_tenant(&self, first: FirstRows) -> Result<(), BlobsError> {
        self.rows()?.insert_tenant(first)
    }

    async fn find_directory(
        &self,
        tenant: TenantId,
        directory: DirectoryId,
    ) -> Result<Option<DirectoryRow>, BlobsError> {
        Ok(self.rows()?.directories.get(&(tenant, directory)).cloned())
    }

    async fn find_page(&self, t: TenantId, page: PageId) -> Result<Option<PageRow>, BlobsError> {
        Ok(self.rows()?.pages.get(&(t, page)).map(|(row, _)| row.clone()))
    }

    async fn find_hop(&self, tenant: TenantId, epoch: u32) -> Result<Option<HopRow>, BlobsError> {
        Ok(self.rows()?.hops.get(&(tenant, epoch)).cloned())
    }

    async fn list_keks(&self, tenant: TenantId) -> Result<Vec<KekRow>, BlobsError> {
        Ok(self.rows()?.list_keks(tenant))
    }

    async fn insert_pages(&self, pages: Vec<PageRow>) -> Result<(), BlobsError> {
        self.rows()?.insert_pages(pages, None)
    }

    async fn decide(&self, decision: Decision) -> Result<Decided, BlobsError> {
        self.reach(BEFORE_DECISION);
        self.rows()?.decide(decision)
    }

    async fn raise_forgotten(&self, tenant: TenantId, epoch: u32) -> Result<(), BlobsError> {
        self.rows()?.raise_forgotten(tenant, epoch)
    }

    async fn delete_unreferenced(&self, what: Unreferenced) -> Result<(), BlobsError> {
        self.rows()?.delete_unreferenced(&what);
        Ok(())
    }

    async fn take_leaves(
        &self,
        tenant: TenantId,
        dataset: DatasetNo,
        tree: u32,
        count: u32,
        align: u32,
    ) -> Result<u32, BlobsError> {
        self.rows()?.take_leaves((tenant, dataset, tree), count, align)
    }

    async fn raise_leaves(&self, row: HwmRow) -> Result<(), BlobsError> {
        self.rows()?.raise_leaves(row);
        Ok(())
    }

    async fn list_leaves(&self, tenant: TenantId) -> Result<Vec<HwmRow>, BlobsError> {
        Ok(self.rows()?.list_leaves(tenant))
    }

    async fn upsert_node_epoch(&self, row: NodeEpochRow) -> Result<(), BlobsError> {
        self.rows()?.nodes.insert((row.node, row.tenant), row);
        Ok(())
    }

    async fn list_node_epochs(
        &self,
        tenant: TenantId,
        since: Timestamp,
    ) -> Result<Vec<NodeEpochRow>, BlobsError> {
        Ok(self.rows()?.list_nodes(tenant, since))
    }

    async fn delete_node_epoch(&self, node: [u8; 16], tenant: TenantId) -> Result<(), BlobsError> {
        self.rows()?.nodes.remove(&(node, tenant));
        Ok(())
    }

    async fn destroy_keks(&self, tenant: TenantId) -> Result<(), BlobsError> {
        self.rows()?.destroy_keks(tenant);
        Ok(())
    }

    async fn delete_tenant(&self, tenant: TenantId) -> Result<(), BlobsError> {
        self.rows()?.delete_tenant(tenant);
        Ok(())
    }

    async fn replace_tenant(&self, rows: TenantRows) -> Result<(), BlobsError> {
        self.rows()?.replace_tenant(rows);
        Ok(())
    }
}
