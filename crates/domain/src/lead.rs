//! A lead: its values by field number, and the address of its leaf in a key tree.

use std::collections::BTreeMap;

use zeroize::Zeroize;

use crate::{FieldNo, Personal};

/// Cell-local number of a tenant, as rows and indexes carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantNo(pub u32);

/// Cell-local number of a dataset. 0 is the tenant's system tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatasetNo(pub u32);

impl DatasetNo {
    /// The tenant's system tree: everything sealed that is not a lead.
    pub const SYSTEM: Self = Self(0);
}

/// Where the key of one sealed thing grows: dataset, tree, leaf. Written into the row, never recomputed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeafAddress {
    /// Dataset number; [`DatasetNo::SYSTEM`] for the system tree.
    pub dataset: DatasetNo,
    /// Tree within the dataset, from 1.
    pub tree: u32,
    /// Leaf index within the tree.
    pub leaf: u32,
}

/// Leaves `first..end` of one tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeafRange {
    /// Dataset number.
    pub dataset: DatasetNo,
    /// Tree within the dataset.
    pub tree: u32,
    /// First leaf.
    pub first: u32,
    /// One past the last leaf; up to 2^32, hence 64 bits.
    pub end: u64,
}

impl LeafRange {
    /// The range of a single leaf.
    pub fn single(at: LeafAddress) -> Self {
        Self { dataset: at.dataset, tree: at.tree, first: at.leaf, end: u64::from(at.leaf) + 1 }
    }

    /// Whether `at` lies inside.
    pub fn contains(&self, at: LeafAddress) -> bool {
        self.dataset == at.dataset
            && self.tree == at.tree
            && at.leaf >= self.first
            && u64::from(at.leaf) < self.end
    }
}

/// A value of a field: text as it came, or a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// One text, exactly as it came (phones: E.164).
    Text(Personal),
    /// A list of texts (tags).
    List(Vec<Personal>),
    /// A list of pairs (`notes`: text and time or empty; `original`: header and cell).
    Pairs(Vec<(Personal, Personal)>),
}

impl Zeroize for Value {
    fn zeroize(&mut self) {
        // `Personal` wipes itself when it is dropped.
        *self = Self::List(Vec::new());
    }
}

/// The values of a lead, ascending by field number. Empty and absent are different.
pub type Fields = BTreeMap<FieldNo, Value>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_to_the_end_of_the_tree_holds_its_last_leaf() {
        let range = LeafRange { dataset: DatasetNo(1), tree: 1, first: 7, end: 1 << 32 };
        let at = |leaf| LeafAddress { dataset: DatasetNo(1), tree: 1, leaf };
        assert!(range.contains(at(u32::MAX)) && range.contains(at(7)) && !range.contains(at(6)));
        assert!(!range.contains(LeafAddress { dataset: DatasetNo(2), ..at(7) }));
    }
}
