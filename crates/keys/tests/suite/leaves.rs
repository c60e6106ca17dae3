//! Leaf numbers: never issued twice, whatever restarts, and never below what is known to be used.

use std::collections::BTreeSet;

use leadvault_domain::{DatasetNo, LeafRange};
use leadvault_keys::{BlobsError, Change, KeyError, LEAF_BLOCK};
use proptest::prelude::*;

use crate::world::{LEADS, TENANT, World, erase};

#[tokio::test]
async fn singles_share_a_block_and_larger_requests_get_an_aligned_one() {
    let (_, keys) = World::with_dataset().await;
    assert_eq!(keys.allocate(LEADS, 1, 1).await, Ok(0));
    assert_eq!(keys.allocate(LEADS, 1, 64).await, Ok(1));
    assert_eq!(keys.allocate(LEADS, 1, 1_500).await, Ok(1_024));
    assert_eq!(keys.allocate(LEADS, 1, 65).await, Ok(3_072));
    assert_eq!(keys.allocate(LEADS, 1, 1).await, Ok(65));
    assert_eq!(keys.allocate(DatasetNo::SYSTEM, 1, 1).await, Ok(0));
    assert_eq!(keys.allocate(LEADS, 1, 0).await, Err(KeyError::BadRange));
    let unknown = KeyError::UnknownTree { dataset: LEADS, tree: 2 };
    assert_eq!(keys.allocate(LEADS, 2, 1).await, Err(unknown));
}

#[tokio::test]
async fn a_raised_tree_issues_nothing_below_not_even_from_a_block_already_taken() {
    let (_, keys) = World::with_dataset().await;
    keys.allocate(LEADS, 1, 1).await.unwrap();
    keys.raise_past_rows([(LEADS, 1, 4_999)].into_iter()).await.unwrap();
    assert_eq!(keys.allocate(LEADS, 1, 1).await, Ok(5_120));
    keys.raise_past_rows([(LEADS, 1, 99)].into_iter()).await.unwrap();
    assert_eq!(keys.allocate(LEADS, 1, 1).await, Ok(5_121), "never lowered");
}

#[tokio::test]
async fn a_start_raises_every_tree_past_the_last_gap_of_its_cover() {
    let (world, keys) = World::with_dataset().await;
    keys.advance(erase(70_000)).await.unwrap();
    world.rows().leaves.clear();
    let opened = world.open().await.unwrap();
    let first = opened.allocate(LEADS, 1, 1).await.unwrap();
    assert_eq!((first, first % LEAF_BLOCK), (70_656, 0));
}

#[tokio::test]
async fn a_used_up_tree_is_refused_and_a_new_one_begins() {
    let (_, keys) = World::with_dataset().await;
    keys.raise_past_rows([(LEADS, 1, u32::MAX - 10)].into_iter()).await.unwrap();
    let full = KeyError::Blobs(BlobsError::Exhausted);
    assert_eq!(keys.allocate(LEADS, 1, 1).await, Err(full));
    assert_eq!(keys.allocate(LEADS, 1, u32::MAX).await, Err(full));
    keys.advance(Change::AddTree(LEADS)).await.unwrap();
    assert_eq!(keys.ring().unwrap().newest_tree(LEADS), 2);
    assert_eq!(keys.allocate(LEADS, 2, 1).await, Ok(0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Two nodes take leaves of any size; a node may be replaced by a new one at any time.
    #[test]
    fn no_leaf_is_issued_twice_across_nodes_and_restarts(
        steps in prop::collection::vec((0_usize..2, 1_u32..3_000, any::<bool>()), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (world, _) = World::with_dataset().await;
            let mut nodes = [world.open().await.unwrap(), world.open().await.unwrap()];
            let mut issued = BTreeSet::new();
            for (node, size, restarts) in steps {
                if restarts {
                    nodes[node] = world.open().await.unwrap();
                }
                let count = if size < 1_500 { size % 70 + 1 } else { size };
                let first = nodes[node].allocate(LEADS, 1, count).await.unwrap();
                for leaf in first..first + count {
                    assert!(issued.insert(leaf), "{leaf} twice");
                }
            }
            let range = LeafRange { dataset: LEADS, tree: 1, first: 0, end: 1 };
            assert!(world.rows().list_leaves(TENANT).iter().all(|row| row.next_leaf >= range.end));
        });
    }
}
