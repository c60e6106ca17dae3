//! Changes applied to a directory in memory.

use std::sync::Arc;

use leadvault_crypto::IndexKey;
use leadvault_domain::{DatasetId, DatasetNo, LeafRange, TenantId, Timestamp};

use crate::KeyError;
use crate::change::{Change, Draft};
use crate::directory::{Dataset, Directory};
use crate::tree::{Page, Tree};
use leadvault_crypto::SystemEntropy;
use proptest::prelude::*;

const NO: DatasetNo = DatasetNo(1);
const TENANT: TenantId = TenantId::from_bytes([1; 16]);

fn draft() -> Draft {
    let mut book = Directory::make(TENANT, &SystemEntropy).unwrap();
    book.datasets.insert(NO, Dataset::make([2; 16], true, &SystemEntropy).unwrap());
    Draft::new(&book)
}

fn puncture(draft: &mut Draft, first: u32, end: u64) -> Result<(), KeyError> {
    let range = LeafRange { dataset: NO, tree: 1, first, end };
    draft.apply(&Change::Puncture(vec![range]), &SystemEntropy)
}

fn seal(draft: &mut Draft) -> usize {
    draft.seal_pages(TENANT, Timestamp::default(), &SystemEntropy).unwrap().len()
}

fn tree(draft: &Draft) -> &Tree<Page> {
    &draft.book.datasets[&NO].trees[&1]
}

#[test]
fn a_puncture_writes_one_page_and_the_same_again_changes_nothing() {
    let mut draft = draft();
    puncture(&mut draft, 20_000, 20_001).unwrap();
    assert!(draft.is_changed() && !draft.structural);
    assert_eq!(seal(&mut draft), 1);
    assert!(!tree(&draft).is_live(20_000) && tree(&draft).is_live(20_001));
    let mut again = Draft::new(&draft.book);
    puncture(&mut again, 20_000, 20_001).unwrap();
    assert!(!again.is_changed());
    assert_eq!(seal(&mut again), 0);
}

#[test]
fn a_wide_range_costs_two_pages_and_a_page_without_a_live_leaf_is_dropped() {
    let mut draft = draft();
    puncture(&mut draft, 100, 1_000_000).unwrap();
    assert_eq!(seal(&mut draft), 2);
    assert!(tree(&draft).is_live(99) && tree(&draft).is_live(1_000_000));
    for gone in [100, 16_384, 500_000, 999_999] {
        assert!(!tree(&draft).is_live(gone), "{gone}");
    }
    let mut rest = Draft::new(&draft.book);
    puncture(&mut rest, 0, 100).unwrap();
    assert_eq!(seal(&mut rest), 0);
    assert_eq!(tree(&rest).pages.len(), 1);
    puncture(&mut rest, 0, 1 << 32).unwrap();
    assert!(tree(&rest).pages.is_empty() && tree(&rest).upper.is_empty());
}

#[test]
fn refused_changes_leave_the_draft_as_it_was() {
    let mut draft = draft();
    let e = SystemEntropy;
    assert_eq!(puncture(&mut draft, 5, 5), Err(KeyError::BadRange));
    assert_eq!(puncture(&mut draft, 5, (1 << 32) + 1), Err(KeyError::BadRange));
    let taken = Change::AddDataset { no: NO, id: DatasetId::from_bytes([9; 16]) };
    assert_eq!(draft.apply(&taken, &e), Err(KeyError::DatasetExists(NO)));
    assert!(draft.apply(&Change::DropDataset(DatasetNo::SYSTEM), &e).is_err());
    assert_eq!(draft.apply(&Change::DropTree(NO, 1), &e), Err(KeyError::LastOfDataset(NO)));
    assert_eq!(draft.apply(&Change::DropTagKey(NO, 1), &e), Err(KeyError::LastOfDataset(NO)));
    assert!(draft.apply(&Change::AddTagKey(DatasetNo(8)), &e).is_err());
    assert!(!draft.is_changed());
    for idle in [Change::DropDataset(DatasetNo(8)), Change::DropTree(NO, 9)] {
        draft.apply(&idle, &e).unwrap();
    }
    assert!(!draft.is_changed());
}

#[test]
fn an_index_epoch_or_tree_number_at_its_limit_is_refused() {
    let mut draft = draft();
    let dataset = draft.book.datasets.get_mut(&NO).unwrap();
    dataset.tag_keys.insert(u32::MAX, IndexKey::from_bytes([1; 32]));
    let tree = Arc::new(Tree::make(&SystemEntropy).unwrap());
    dataset.trees.insert(u32::MAX, tree);
    for change in [Change::AddTagKey(NO), Change::AddTree(NO)] {
        assert_eq!(draft.apply(&change, &SystemEntropy), Err(KeyError::CounterExhausted));
    }
}

#[test]
fn a_tenant_has_at_most_a_thousand_datasets() {
    let mut draft = draft();
    let mut add = |n: u32| {
        let change = Change::AddDataset { no: DatasetNo(n), id: DatasetId::from_bytes([0; 16]) };
        draft.apply(&change, &SystemEntropy)
    };
    for n in 2..=1_000 {
        add(n).unwrap();
    }
    assert_eq!(add(1_001), Err(KeyError::TooManyDatasets));
}

proptest! {
    /// Pages and upper cover together behave like one cover that was never split.
    #[test]
    fn a_tree_in_pages_is_the_same_as_one_cover(
        ranges in prop::collection::vec((0_u32..90_000, 1_u64..40_000, any::<bool>()), 1..8),
    ) {
        let mut draft = draft();
        let mut plain = tree(&draft).upper.clone();
        let root = plain.clone();
        for (first, width, seals) in ranges {
            let end = u64::from(first) + width;
            puncture(&mut draft, first, end).unwrap();
            plain.puncture_range(u64::from(first), end);
            if seals {
                seal(&mut draft);
            }
        }
        seal(&mut draft);
        let tree = tree(&draft);
        for leaf in (0..140_000).step_by(997).chain([16_383, 16_384, 32_767, 32_768, u32::MAX]) {
            prop_assert_eq!(tree.is_live(leaf), plain.is_live(leaf), "{}", leaf);
            if let Some(key) = tree.eval(leaf) {
                prop_assert!(key.ct_eq(&root.eval(leaf).unwrap()));
            }
        }
        let walked: Vec<u32> = tree.leaves(16_000, 17_000).map(|(leaf, _)| leaf).collect();
        let expected: Vec<u32> = (16_000..17_000).filter(|l| plain.is_live(*l)).collect();
        prop_assert_eq!(walked, expected);
    }
}
