//! A snapshot of a tenant's keys at one epoch. Immutable; readers share it without a lock.
//!
//! What it gives out can name, tag and seal; opening needs a receipt (module `located`). Leaf keys do not
//! depend on the epoch, so a snapshot that is behind still seals correctly for every live leaf.

use std::sync::Arc;

use leadvault_crypto::{IndexKey, Tag};
use leadvault_domain::{
    DatasetId, DatasetNo, DirectoryId, LeafAddress, LeafRange, TagKind, TenantId, TenantNo,
};

use crate::KeyError;
use crate::directory::{Dataset, Directory};
use crate::located::{Located, Owner};
use crate::sweep::Sweep;
use crate::system::SystemBox;
use crate::tree::{Page, Tree};

/// The tree that every dataset begins with; the only one of the system.
const FIRST_TREE: u32 = 1;

/// A tenant's keys at one epoch.
pub struct Keyring {
    pub(crate) tenant: TenantId,
    pub(crate) no: TenantNo,
    /// The directory this was read from.
    pub(crate) directory: DirectoryId,
    /// SHA-256 of that directory's blob.
    pub(crate) state: [u8; 32],
    pub(crate) book: Directory<Page>,
}

impl Keyring {
    /// The epoch of the snapshot.
    pub fn epoch(&self) -> u32 {
        self.book.epoch
    }

    /// What the log calls the state of this epoch: SHA-256 of the directory blob.
    pub fn state(&self) -> [u8; 32] {
        self.state
    }

    /// The tenant.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Finds the key of one leaf.
    ///
    /// # Errors
    /// [`KeyError::Punctured`], [`KeyError::UnknownDataset`], [`KeyError::UnknownTree`].
    pub fn locate(&self, at: LeafAddress) -> Result<Located, KeyError> {
        let (owner, tree) = self.tree(at.dataset, at.tree)?;
        let key = tree.eval(at.leaf).ok_or(KeyError::Punctured(at))?;
        Ok(Located::new(owner, at, key))
    }

    /// Whether a leaf has a key, without computing it: false for punctured and unknown.
    pub fn is_live(&self, at: LeafAddress) -> bool {
        self.tree(at.dataset, at.tree).is_ok_and(|(_, tree)| tree.is_live(at.leaf))
    }

    /// Finds the live leaves of a range, ascending, at about one hash pair each. An unknown tree has none.
    pub fn locate_range(&self, r: &LeafRange) -> impl Iterator<Item = Located> {
        let range = *r;
        self.tree(r.dataset, r.tree).into_iter().flat_map(move |(owner, tree)| {
            tree.leaves(u64::from(range.first), range.end).map(move |(leaf, key)| {
                let at = LeafAddress { dataset: range.dataset, tree: range.tree, leaf };
                Located::new(owner, at, key)
            })
        })
    }

    /// A walk over the live leaves of a range that opens portion by portion.
    pub fn sweep(self: &Arc<Self>, range: LeafRange) -> Sweep {
        Sweep::new(Arc::clone(self), range)
    }

    /// The search tag of a normalised value under the newest tag key.
    ///
    /// # Errors
    /// [`KeyError::UnknownDataset`], [`KeyError::UnknownTagKey`].
    pub fn tag(&self, d: DatasetNo, kind: TagKind, normalised: &[u8]) -> Result<Tag, KeyError> {
        self.tag_at(d, self.index_epoch(d), kind, normalised)
    }

    /// The search tag under the key of one index epoch: while tag keys rotate, reads probe all of
    /// [`Keyring::index_epochs`].
    ///
    /// # Errors
    /// As [`Keyring::tag`].
    pub fn tag_at(
        &self,
        dataset: DatasetNo,
        index_epoch: u32,
        kind: TagKind,
        normalised: &[u8],
    ) -> Result<Tag, KeyError> {
        let keys = &self.dataset(dataset)?.tag_keys;
        let key: &IndexKey =
            keys.get(&index_epoch).ok_or(KeyError::UnknownTagKey { dataset, index_epoch })?;
        Ok(key.tag(kind, index_epoch, normalised))
    }

    /// The newest index epoch of a dataset; 0 if there is none.
    pub fn index_epoch(&self, d: DatasetNo) -> u32 {
        self.dataset(d).ok().and_then(|d| d.tag_keys.keys().next_back().copied()).unwrap_or(0)
    }

    /// All index epochs of a dataset, newest first.
    pub fn index_epochs(&self, d: DatasetNo) -> Vec<u32> {
        self.dataset(d).map(|d| d.tag_keys.keys().rev().copied().collect()).unwrap_or_default()
    }

    /// The newest tree of a dataset, where new leaves grow; 0 if the dataset is unknown.
    pub fn newest_tree(&self, d: DatasetNo) -> u32 {
        self.dataset(d).ok().and_then(|d| d.trees.keys().next_back().copied()).unwrap_or(0)
    }

    /// The tenant's suppression tag of a normalised value: kind 1 e-mail, 2 phone, 3 domain.
    pub fn suppression_tag(&self, kind: u8, value: &[u8]) -> [u8; 16] {
        self.book.suppression.tag(kind, value)
    }

    /// The id behind a dataset number.
    pub fn dataset_id(&self, d: DatasetNo) -> Option<DatasetId> {
        self.dataset(d).ok().map(|d| DatasetId::from_bytes(d.id))
    }

    /// The numbers of all datasets, the system tree not among them.
    pub fn datasets(&self) -> impl Iterator<Item = DatasetNo> {
        self.book.datasets.keys().copied().filter(|no| *no != DatasetNo::SYSTEM)
    }

    /// A leaf of the system tree.
    ///
    /// # Errors
    /// [`KeyError::Punctured`] once it was erased.
    pub fn system(&self, leaf: u32) -> Result<SystemBox, KeyError> {
        let at = LeafAddress { dataset: DatasetNo::SYSTEM, tree: FIRST_TREE, leaf };
        let (owner, tree) = self.tree(at.dataset, at.tree)?;
        let key = tree.eval(leaf).ok_or(KeyError::Punctured(at))?;
        Ok(SystemBox::new(owner, at, key))
    }

    fn dataset(&self, no: DatasetNo) -> Result<&Dataset<Page>, KeyError> {
        self.book.datasets.get(&no).ok_or(KeyError::UnknownDataset(no))
    }

    pub(crate) fn tree(
        &self,
        dataset: DatasetNo,
        tree: u32,
    ) -> Result<(Owner, &Tree<Page>), KeyError> {
        let of = self.dataset(dataset)?;
        let found = of.trees.get(&tree).ok_or(KeyError::UnknownTree { dataset, tree })?;
        let owner =
            Owner { tenant: self.tenant, no: self.no, dataset: of.id, epoch: self.book.epoch };
        Ok((owner, found))
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring")
            .field("tenant", &self.tenant)
            .field("epoch", &self.book.epoch)
            .finish_non_exhaustive()
    }
}
