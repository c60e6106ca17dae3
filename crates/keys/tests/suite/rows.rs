//! The key store's rows in memory, as the text of `KeyBlobs` says, and an attic of every blob ever stored.

use std::collections::BTreeMap;

use leadvault_domain::{DatasetNo, DirectoryId, PageId, TenantId, Timestamp};
use leadvault_keys::{
    BlobsError, Decided, Decision, DirectoryRow, FirstRows, HeadRow, HopRow, HwmRow, KekRow,
    KekState, NodeEpochRow, PageRow, TenantRows, Unreferenced,
};

#[derive(Default, Clone)]
pub(crate) struct Rows {
    pub(crate) heads: BTreeMap<TenantId, HeadRow>,
    pub(crate) directories: BTreeMap<(TenantId, DirectoryId), DirectoryRow>,
    pub(crate) pages: BTreeMap<(TenantId, PageId), (PageRow, Option<u32>)>,
    pub(crate) hops: BTreeMap<(TenantId, u32), HopRow>,
    pub(crate) keks: BTreeMap<(TenantId, u32), KekRow>,
    pub(crate) leaves: BTreeMap<(TenantId, DatasetNo, u32), u64>,
    pub(crate) nodes: BTreeMap<([u8; 16], TenantId), NodeEpochRow>,
    pub(crate) attic: Attic,
}

/// Deleted rows, WAL and backups are the adversary's.
#[derive(Default, Clone)]
pub(crate) struct Attic {
    pub(crate) directories: Vec<DirectoryRow>,
    pub(crate) pages: Vec<PageRow>,
    pub(crate) hops: Vec<HopRow>,
}

impl Rows {
    pub(crate) fn insert_tenant(&mut self, first: FirstRows) -> Result<(), BlobsError> {
        let tenant = first.head.tenant;
        if self.heads.contains_key(&tenant) {
            return Err(BlobsError::Exists);
        }
        self.heads.insert(tenant, first.head);
        self.keks.insert((tenant, first.kek.generation), first.kek);
        self.put_directory(first.directory);
        Ok(())
    }

    fn put_directory(&mut self, row: DirectoryRow) {
        self.attic.directories.push(row.clone());
        self.directories.insert((row.tenant, row.directory), row);
    }

    pub(crate) fn insert_pages(
        &mut self,
        pages: Vec<PageRow>,
        named: Option<u32>,
    ) -> Result<(), BlobsError> {
        if pages.iter().any(|page| self.pages.contains_key(&(page.tenant, page.page))) {
            return Err(BlobsError::Exists);
        }
        for page in pages {
            self.attic.pages.push(page.clone());
            self.pages.insert((page.tenant, page.page), (page, named));
        }
        Ok(())
    }

    pub(crate) fn decide(&mut self, decision: Decision) -> Result<Decided, BlobsError> {
        let before = self.clone();
        let result = self.decide_or_tear(decision);
        if result != Ok(Decided::Won) {
            *self = before;
        }
        result
    }

    fn decide_or_tear(&mut self, d: Decision) -> Result<Decided, BlobsError> {
        let head = self.heads.get_mut(&d.tenant).ok_or(BlobsError::Missing)?;
        if (head.epoch, head.directory) != (d.expected_epoch, d.expected_directory) {
            return Ok(Decided::Lost);
        }
        let epoch = d.directory.epoch;
        (head.epoch, head.directory) = (epoch, d.directory.directory);
        self.put_directory(d.directory);
        self.attic.hops.push(d.hop.clone());
        self.hops.insert((d.tenant, epoch), d.hop);
        self.insert_pages(d.pages, Some(epoch))?;
        for page in d.staged {
            self.pages.get_mut(&(d.tenant, page)).ok_or(BlobsError::Missing)?.1 = Some(epoch);
        }
        if let Some(kek) = d.kek {
            self.keks.insert((d.tenant, kek.generation), kek);
        }
        Ok(Decided::Won)
    }

    pub(crate) fn raise_forgotten(
        &mut self,
        tenant: TenantId,
        epoch: u32,
    ) -> Result<(), BlobsError> {
        let head = self.heads.get_mut(&tenant).ok_or(BlobsError::Missing)?;
        head.forgotten_epoch = head.forgotten_epoch.max(epoch);
        Ok(())
    }

    pub(crate) fn delete_unreferenced(&mut self, what: &Unreferenced) {
        let of_head = |head: &HeadRow| (head.epoch, head.directory);
        let wanted = (what.head_epoch, what.head_directory);
        if self.heads.get(&what.tenant).map(of_head) != Some(wanted) {
            return;
        }
        let tenant = what.tenant;
        self.directories.retain(|(t, id), row| {
            *t != tenant || *id == what.head_directory || row.epoch >= what.head_epoch
        });
        self.pages.retain(|(t, id), (row, named)| {
            let stale = match named {
                Some(epoch) => *epoch <= what.head_epoch,
                None => row.inserted_at < what.unnamed_before,
            };
            *t != tenant || what.live_pages.contains(id) || !stale
        });
        self.hops.retain(|(t, epoch), _| *t != tenant || *epoch > what.hops_through);
        self.keks.retain(|(t, generation), _| *t != tenant || *generation >= what.keks_below);
    }

    pub(crate) fn take_leaves(
        &mut self,
        key: (TenantId, DatasetNo, u32),
        count: u32,
        align: u32,
    ) -> Result<u32, BlobsError> {
        let next = self.leaves.get(&key).copied().unwrap_or(0);
        let first = next.next_multiple_of(u64::from(align));
        if first + u64::from(count) > 1 << 32 {
            return Err(BlobsError::Exhausted);
        }
        self.leaves.insert(key, first + u64::from(count));
        u32::try_from(first).map_err(|_| BlobsError::Exhausted)
    }

    pub(crate) fn raise_leaves(&mut self, row: HwmRow) {
        let next = self.leaves.entry((row.tenant, row.dataset, row.tree)).or_default();
        *next = (*next).max(row.next_leaf);
    }

    pub(crate) fn list_leaves(&self, tenant: TenantId) -> Vec<HwmRow> {
        let own = self.leaves.iter().filter(|((t, _, _), _)| *t == tenant);
        own.map(|((tenant, dataset, tree), next_leaf)| HwmRow {
            tenant: *tenant,
            dataset: *dataset,
            tree: *tree,
            next_leaf: *next_leaf,
        })
        .collect()
    }

    pub(crate) fn list_keks(&self, tenant: TenantId) -> Vec<KekRow> {
        self.keks.values().filter(|row| row.tenant == tenant).cloned().collect()
    }

    pub(crate) fn list_nodes(&self, tenant: TenantId, since: Timestamp) -> Vec<NodeEpochRow> {
        let live = |row: &&NodeEpochRow| row.tenant == tenant && row.seen_at >= since;
        self.nodes.values().filter(live).copied().collect()
    }

    pub(crate) fn destroy_keks(&mut self, tenant: TenantId) {
        for row in self.keks.values_mut().filter(|row| row.tenant == tenant) {
            row.state = KekState::Destroyed;
        }
    }

    pub(crate) fn delete_tenant(&mut self, tenant: TenantId) {
        self.heads.remove(&tenant);
        self.directories.retain(|(t, _), _| *t != tenant);
        self.pages.retain(|(t, _), _| *t != tenant);
        self.hops.retain(|(t, _), _| *t != tenant);
        self.keks.retain(|(t, _), _| *t != tenant);
        self.leaves.retain(|(t, _, _), _| *t != tenant);
        self.nodes.retain(|(_, t), _| *t != tenant);
    }

    pub(crate) fn replace_tenant(&mut self, rows: TenantRows) {
        let head = rows.head;
        self.delete_tenant(head.tenant);
        self.heads.insert(head.tenant, head);
        self.put_directory(rows.directory);
        self.insert_pages(rows.pages, Some(head.epoch)).unwrap();
        for hop in rows.hops {
            self.hops.insert((hop.tenant, hop.epoch), hop);
        }
        for kek in rows.keks {
            self.keks.insert((kek.tenant, kek.generation), kek);
        }
        rows.hwm.into_iter().for_each(|row| self.raise_leaves(row));
    }
}
