//! One tree of leaf keys: nodes that span whole pages above, pages below.
//!
//! A leaf is live if its page exists and the page's cover holds it, or if no page exists and the upper
//! cover holds it. A page is carved out of the upper cover when the first leaf inside it is punctured,
//! so no leaf ever stands under both.

use std::collections::BTreeMap;
use std::sync::Arc;

use leadvault_crypto::{Cover, SecretKey};
use leadvault_domain::Entropy;

use crate::KeyError;
use crate::page::{PAGE_LEAVES, PageRef, page_of};

/// Leaves of a whole tree.
pub(crate) const TREE_LEAVES: u64 = 1 << 32;

/// A page whose cover is in memory. Unchanged pages are shared between snapshots.
#[derive(Clone)]
pub(crate) struct Page {
    pub(crate) at: PageRef,
    pub(crate) cover: Arc<Cover>,
}

/// A tree; `P` is [`PageRef`] as read from a directory, [`Page`] once the pages are loaded.
#[derive(Clone)]
pub(crate) struct Tree<P> {
    pub(crate) upper: Cover,
    pub(crate) pages: BTreeMap<u32, P>,
}

impl<P> Tree<P> {
    /// A new tree under a random root.
    pub(crate) fn make(entropy: &dyn Entropy) -> Result<Self, KeyError> {
        Ok(Self { upper: Cover::new(SecretKey::make(entropy)?), pages: BTreeMap::new() })
    }
}

impl Tree<Page> {
    pub(crate) fn eval(&self, leaf: u32) -> Option<SecretKey> {
        match self.pages.get(&page_of(leaf)) {
            Some(page) => page.cover.eval(leaf),
            None => self.upper.eval(leaf),
        }
    }

    pub(crate) fn is_live(&self, leaf: u32) -> bool {
        match self.pages.get(&page_of(leaf)) {
            Some(page) => page.cover.is_live(leaf),
            None => self.upper.is_live(leaf),
        }
    }

    /// Live leaves of `first..end`, ascending, page by page.
    pub(crate) fn leaves(&self, first: u64, end: u64) -> impl Iterator<Item = (u32, SecretKey)> {
        let end = end.min(TREE_LEAVES);
        let last = end.saturating_sub(1).min(u64::from(u32::MAX));
        let pages = (first < end).then_some(first / PAGE_LEAVES..=last / PAGE_LEAVES);
        pages.into_iter().flatten().flat_map(move |n| {
            let page = u32::try_from(n).ok().and_then(|n| self.pages.get(&n));
            let cover = page.map_or(&self.upper, |page| &*page.cover);
            cover.leaves(first.max(n * PAGE_LEAVES), end.min((n + 1) * PAGE_LEAVES))
        })
    }

    /// End of the last gap: no leaf from here on was ever punctured (protocols.md 1.4).
    pub(crate) fn end_of_last_gap(&self) -> u64 {
        let of = |cover: &Cover| -> Vec<(u64, u8)> {
            cover.nodes().map(|(first, depth, _)| (u64::from(first), depth)).collect()
        };
        let mut nodes = of(&self.upper);
        nodes.extend(self.pages.values().flat_map(|page| of(&page.cover)));
        nodes.sort_unstable();
        let mut live_from = TREE_LEAVES;
        for (first, depth) in nodes.into_iter().rev() {
            if first + (TREE_LEAVES >> depth) != live_from {
                break;
            }
            live_from = first;
        }
        live_from
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_gap_ends_where_the_live_leaves_to_the_end_begin() {
        let mut tree: Tree<Page> =
            Tree { upper: Cover::new(SecretKey::from_bytes([1; 32])), pages: BTreeMap::new() };
        assert_eq!(tree.end_of_last_gap(), 0);
        tree.upper.puncture(70_000);
        assert_eq!(tree.end_of_last_gap(), 70_001);
        tree.upper.puncture_range(5, 10);
        assert_eq!(tree.end_of_last_gap(), 70_001);
        tree.upper.puncture(u32::MAX);
        assert_eq!(tree.end_of_last_gap(), 1 << 32);
    }
}
