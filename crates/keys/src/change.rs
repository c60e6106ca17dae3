//! What moves an epoch, and how it changes the directory in memory (protocols.md 1.1, step 2).
//!
//! Changes of several callers are applied to one [`Draft`] one after the other; a change that is refused
//! leaves the draft as it was and does not fail the others. Changes that end something are idempotent,
//! so that an erasure that was cut off can be asked for again.

use std::collections::BTreeMap;
use std::sync::Arc;

use leadvault_crypto::{Cover, IndexKey};
use leadvault_domain::{DatasetId, DatasetNo, Entropy, LeafRange, TenantId, Timestamp};

use crate::directory::{DATASETS_MAX, Dataset, Directory};
use crate::envelope::PagePlace;
use crate::page::{PAGE_DEPTH, PAGE_LEAVES, first_leaf, seal_page};
use crate::tree::{Page, TREE_LEAVES, Tree};
use crate::{KeyError, PageRow};

/// One change of a tenant's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Erases leaves. Leaves, trees and datasets that are gone already count as erased.
    Puncture(Vec<LeafRange>),
    /// Adds a dataset with tree 1 and tag key 1; the same number and id again is no change.
    AddDataset {
        /// Its number, not 0.
        no: DatasetNo,
        /// Its id.
        id: DatasetId,
    },
    /// Shreds a dataset: its trees and tag keys.
    DropDataset(DatasetNo),
    /// Adds a tree to a dataset, numbered after the highest.
    AddTree(DatasetNo),
    /// Drops a tree; not the last one.
    DropTree(DatasetNo, u32),
    /// Adds a tag key to a dataset, of the next index epoch.
    AddTagKey(DatasetNo),
    /// Drops the tag key of an index epoch; not the last one.
    DropTagKey(DatasetNo, u32),
    /// Puts the next epoch key under a new KEK generation.
    RotateKek,
}

/// A page that was punctured in this draft.
#[derive(Clone)]
struct Touched {
    /// Version it had; 0 = it was carved here.
    version: u32,
    cover: Cover,
}

/// The next directory while it is made.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) book: Directory<Page>,
    pub(crate) structural: bool,
    pub(crate) rotates_kek: bool,
    changed: bool,
    touched: BTreeMap<(DatasetNo, u32, u32), Touched>,
}

impl Draft {
    pub(crate) fn new(present: &Directory<Page>) -> Self {
        Self {
            book: present.clone(),
            structural: false,
            rotates_kek: false,
            changed: false,
            touched: BTreeMap::new(),
        }
    }

    /// Whether an epoch is due at all.
    pub(crate) fn is_changed(&self) -> bool {
        self.changed || self.structural || self.rotates_kek
    }

    /// Applies all of `changes` or none of them.
    pub(crate) fn apply_all(
        &mut self,
        changes: &[Change],
        entropy: &dyn Entropy,
    ) -> Result<(), KeyError> {
        let [change] = changes else {
            let before = self.clone();
            let result = changes.iter().try_for_each(|change| self.apply(change, entropy));
            if result.is_err() {
                *self = before;
            }
            return result;
        };
        self.apply(change, entropy)
    }

    pub(crate) fn apply(&mut self, change: &Change, entropy: &dyn Entropy) -> Result<(), KeyError> {
        match change {
            Change::Puncture(ranges) => self.puncture(ranges),
            Change::RotateKek => {
                self.rotates_kek = true;
                Ok(())
            }
            Change::AddDataset { no, id } => self.add_dataset(*no, id.bytes(), entropy),
            Change::DropDataset(DatasetNo::SYSTEM) => {
                Err(KeyError::DatasetExists(DatasetNo::SYSTEM))
            }
            Change::DropDataset(no) => {
                self.structural |= self.book.datasets.remove(no).is_some();
                Ok(())
            }
            Change::AddTree(no) => {
                let trees = &mut self.dataset(*no)?.trees;
                let next = after_last(trees)?;
                trees.insert(next, Arc::new(Tree::make(entropy)?));
                self.structural = true;
                Ok(())
            }
            Change::DropTree(no, tree) => {
                let done =
                    self.book.datasets.get_mut(no).map(|d| drop_one(*no, &mut d.trees, tree));
                self.structural |= done.transpose()?.unwrap_or(false);
                Ok(())
            }
            Change::AddTagKey(no) => {
                if *no == DatasetNo::SYSTEM {
                    return Err(KeyError::UnknownDataset(*no));
                }
                let keys = &mut self.dataset(*no)?.tag_keys;
                let next = after_last(keys)?;
                keys.insert(next, IndexKey::make(entropy)?);
                self.structural = true;
                Ok(())
            }
            Change::DropTagKey(no, epoch) => {
                let done =
                    self.book.datasets.get_mut(no).map(|d| drop_one(*no, &mut d.tag_keys, epoch));
                self.structural |= done.transpose()?.unwrap_or(false);
                Ok(())
            }
        }
    }

    fn dataset(&mut self, no: DatasetNo) -> Result<&mut Dataset<Page>, KeyError> {
        self.book.datasets.get_mut(&no).ok_or(KeyError::UnknownDataset(no))
    }

    fn add_dataset(
        &mut self,
        no: DatasetNo,
        id: [u8; 16],
        e: &dyn Entropy,
    ) -> Result<(), KeyError> {
        if let Some(known) = self.book.datasets.get(&no) {
            let same = no != DatasetNo::SYSTEM && known.id == id;
            return if same { Ok(()) } else { Err(KeyError::DatasetExists(no)) };
        }
        if self.book.datasets.len() > DATASETS_MAX {
            return Err(KeyError::TooManyDatasets);
        }
        self.book.datasets.insert(no, Dataset::make(id, true, e)?);
        self.structural = true;
        Ok(())
    }

    fn puncture(&mut self, ranges: &[LeafRange]) -> Result<(), KeyError> {
        if ranges.iter().any(|r| u64::from(r.first) >= r.end || r.end > TREE_LEAVES) {
            return Err(KeyError::BadRange);
        }
        for range in ranges {
            self.puncture_range(range);
        }
        Ok(())
    }

    /// Whole pages vanish from the upper cover; the two pages at the edges are punctured inside.
    fn puncture_range(&mut self, range: &LeafRange) {
        let (no, tree_id) = (range.dataset, range.tree);
        let dataset = self.book.datasets.get_mut(&no);
        let Some(tree) = dataset.and_then(|d| d.trees.get_mut(&tree_id)).map(Arc::make_mut) else {
            return;
        };
        let (first, end) = (u64::from(range.first), range.end);
        let whole = first.next_multiple_of(PAGE_LEAVES)..end - end % PAGE_LEAVES;
        if whole.start < whole.end {
            self.changed |= tree.upper.leaves(whole.start, whole.end).next().is_some();
            tree.upper.puncture_range(whole.start, whole.end);
            let inside = |page_no: u32| whole.contains(&u64::from(first_leaf(page_no)));
            let pages_before = tree.pages.len();
            tree.pages.retain(|page_no, _| !inside(*page_no));
            self.changed |= tree.pages.len() != pages_before;
            self.touched.retain(|(d, t, p), _| (*d, *t) != (no, tree_id) || !inside(*p));
        }
        for edge in edges(first, end) {
            let (from, to) = (edge.start.max(first), edge.end.min(end));
            let Ok(page_no) = u32::try_from(edge.start / PAGE_LEAVES) else { continue };
            let key = (no, tree_id, page_no);
            let Some(mut page) =
                self.touched.remove(&key).or_else(|| take_page(tree, page_no, from, to))
            else {
                continue;
            };
            self.changed |= page.cover.leaves(from, to).next().is_some();
            page.cover.puncture_range(from, to);
            self.touched.insert(key, page);
        }
    }

    /// Seals each touched page as a new one; a page without a live leaf leaves the directory instead.
    pub(crate) fn seal_pages(
        &mut self,
        tenant: TenantId,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Vec<PageRow>, KeyError> {
        let mut rows = Vec::new();
        for ((no, tree_id, page_no), page) in std::mem::take(&mut self.touched) {
            let Some(dataset) = self.book.datasets.get_mut(&no) else { continue };
            let place = PagePlace { tenant, dataset: dataset.id, tree: tree_id, page_no };
            let Some(tree) = dataset.trees.get_mut(&tree_id).map(Arc::make_mut) else { continue };
            if page.cover.is_empty() {
                tree.pages.remove(&page_no);
                continue;
            }
            let (at, blob) = seal_page(&place, page.version, &page.cover, entropy)?;
            rows.push(PageRow { tenant, page: at.id, blob, inserted_at: now });
            tree.pages.insert(page_no, Page { at, cover: Arc::new(page.cover) });
        }
        Ok(rows)
    }
}

/// The pages at the edges of a range that it does not cover wholly; at most two.
fn edges(first: u64, end: u64) -> impl Iterator<Item = std::ops::Range<u64>> {
    let page = |leaf: u64| {
        let start = leaf - leaf % PAGE_LEAVES;
        start..start + PAGE_LEAVES
    };
    let (a, b) = (page(first), page(end - 1));
    let partial = move |p: &std::ops::Range<u64>| p.start < first || p.end > end;
    let second = (b != a).then_some(b);
    [Some(a), second].into_iter().flatten().filter(partial)
}

/// The cover of a page that has a live leaf in `from..to`, for puncturing; carved out of the upper cover
/// if it had no page.
fn take_page(tree: &mut Tree<Page>, page_no: u32, from: u64, to: u64) -> Option<Touched> {
    if let Some(page) = tree.pages.get(&page_no) {
        page.cover.leaves(from, to).next()?;
        return Some(Touched { version: page.at.version, cover: Cover::clone(&page.cover) });
    }
    let cover = tree.upper.carve(first_leaf(page_no), PAGE_DEPTH)?;
    Some(Touched { version: 0, cover })
}

fn after_last<V>(map: &BTreeMap<u32, V>) -> Result<u32, KeyError> {
    map.last_key_value()
        .map_or(0, |(last, _)| *last)
        .checked_add(1)
        .ok_or(KeyError::CounterExhausted)
}

/// Removes one of several; false if it is not there.
fn drop_one<V>(no: DatasetNo, map: &mut BTreeMap<u32, V>, key: &u32) -> Result<bool, KeyError> {
    if map.contains_key(key) && map.len() == 1 {
        return Err(KeyError::LastOfDataset(no));
    }
    Ok(map.remove(key).is_some())
}
