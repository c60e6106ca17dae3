//! Roots and proofs against two other implementations of RFC 6962.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use leadvault_ledger::Hash;
use leadvault_ledger::tree::{
    consistency, empty_root, inclusion, leaf_hash, node_hash, root, verify_consistency,
    verify_inclusion,
};
use leadvault_ledger::vectors::check_log_section;
use proptest::prelude::*;
use serde_json::Value;
use sha2::Sha256;

type Referee = MemoryBackedTree<Sha256, Vec<u8>>;

fn entry(i: u32) -> Vec<u8> {
    i.to_be_bytes().to_vec()
}

fn leaves(n: u32) -> Vec<Hash> {
    (0..n).map(|i| leaf_hash(&entry(i))).collect()
}

fn referee(n: u32) -> Referee {
    let mut tree = Referee::new();
    (0..n).for_each(|i| tree.push(entry(i)));
    tree
}

#[test]
fn the_known_answers_hold_and_a_changed_one_does_not() {
    let text = include_str!("../../../crypto/testdata/crypto_vectors.json");
    let vectors: Value = serde_json::from_str(text).unwrap();
    let section = vectors["log"].clone();
    let members = section.as_object().unwrap().len();
    assert_eq!(check_log_section(&section), (members, Vec::new()));
    for name in
        ["root_3", "inclusion_2_in_5", "consistency_3_5", "vkey", "checkpoint", "leaf_hashes"]
    {
        let planted = serde_json::to_string(&section[name]).unwrap().replacen('e', "f", 1);
        let mut changed = section.clone();
        changed[name] = serde_json::from_str(&planted).unwrap();
        assert_eq!(check_log_section(&changed), (members, vec![format!("log.{name}")]));
    }
    let mut unknown = section.clone();
    unknown["root_6"] = section["root_5"].clone();
    unknown["colour"] = Value::Null;
    assert_eq!(check_log_section(&unknown).1, ["log.colour", "log.root_6"]);
    assert_eq!(check_log_section(&Value::Null).1, ["log"]);
}

#[test]
fn the_root_of_nothing_and_of_one() {
    assert_eq!(root(&[]), empty_root());
    assert_eq!(root(&[[7; 32]]), [7; 32]);
    assert_eq!(inclusion(0, &[]), None);
}

#[test]
fn consistency_from_nothing_and_with_itself_needs_no_proof() {
    let (all, none) = (leaves(5), empty_root());
    assert_eq!(consistency(0, &all), Some(Vec::new()));
    assert!(verify_consistency(0, 5, &none, &root(&all), &[]));
    assert!(verify_consistency(5, 5, &root(&all), &root(&all), &[]));
    assert!(!verify_consistency(0, 5, &root(&all), &root(&all), &[]));
    assert!(!verify_consistency(0, 0, &none, &root(&all), &[]));
    assert!(!verify_consistency(5, 5, &root(&all), &root(&all), &[[0; 32]]));
    assert!(!verify_consistency(6, 5, &root(&all), &root(&all), &[]));
    assert_eq!(consistency(6, &all), None);
}

/// Negative cases of crypto.md 5.6: truncated, extended, swapped, overflowing, leaf taken for node.
#[test]
fn proofs_that_are_not_the_proof_are_refused() {
    for n in 1..40_u32 {
        let (all, size) = (leaves(n), u64::from(n));
        let top = root(&all);
        for m in 0..n {
            let (place, leaf) = (u64::from(m), all[m as usize]);
            let path = inclusion(place, &all).unwrap();
            assert!(verify_inclusion(place, size, &leaf, &path, &top));
            let longer = [path.clone(), vec![top]].concat();
            assert!(!verify_inclusion(place, size, &leaf, &longer, &top));
            assert!(!verify_inclusion(place, size, &top, &path, &leaf) || n == 1);
            assert!(!verify_inclusion(place, u64::MAX, &leaf, &path, &top));
            assert!(!verify_inclusion(u64::MAX, u64::MAX, &leaf, &path, &top));
            assert!(!verify_inclusion(size, size, &leaf, &path, &top));
            if let Some((_, shorter)) = path.split_last() {
                assert!(!verify_inclusion(place, size, &leaf, shorter, &top));
                let node = leaf_hash(&[leaf.as_slice(), &path[0]].concat());
                assert!(!verify_inclusion(place / 2, size.div_ceil(2), &node, &path[1..], &top));
            }
            let old = root(&all[..m as usize]);
            let path = consistency(place, &all).unwrap();
            assert!(verify_consistency(place, size, &old, &top, &path));
            assert!(!verify_consistency(place, size, &top, &old, &path));
            let longer = [path.clone(), vec![top]].concat();
            assert!(!verify_consistency(place, size, &old, &top, &longer));
            if let Some((_, shorter)) = path.split_last() {
                assert!(!verify_consistency(place, size, &old, &top, shorter));
                assert!(!verify_consistency(place, u64::MAX, &old, &top, &path));
            }
        }
    }
}

#[test]
fn a_leaf_is_not_a_node() {
    let pair = [[1_u8; 32], [2; 32]];
    assert_ne!(node_hash(&pair[0], &pair[1]), leaf_hash(&pair.concat()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn roots_and_proofs_are_those_of_ct_merkle(n in 1_u32..700, pick in any::<prop::sample::Index>()) {
        let (all, tree) = (leaves(n), referee(n));
        let top = tree.root();
        prop_assert_eq!(&root(&all)[..], top.as_bytes().as_slice());
        let m = u32::try_from(pick.index(n as usize)).unwrap();
        let theirs = tree.prove_inclusion(m as usize);
        prop_assert_eq!(inclusion(u64::from(m), &all).unwrap().concat(), theirs.as_bytes());
        if m > 0 {
            let theirs = tree.prove_consistency((n - m) as usize);
            prop_assert_eq!(consistency(u64::from(m), &all).unwrap().concat(), theirs.as_bytes());
        }
    }

    #[test]
    fn our_proofs_satisfy_tlog_tiles(n in 1_u32..700, pick in any::<prop::sample::Index>()) {
        let all = leaves(n);
        let m = u32::try_from(pick.index(n as usize)).unwrap();
        let theirs = |hash: Hash| tlog_tiles::Hash(hash);
        let (size, place) = (u64::from(n), u64::from(m));
        let path: Vec<_> = inclusion(place, &all).unwrap().into_iter().map(theirs).collect();
        let (top, leaf) = (theirs(root(&all)), theirs(all[m as usize]));
        prop_assert!(tlog_tiles::check_record(&path, size, top, place, leaf).is_ok());
        if m > 0 {
            let path: Vec<_> = consistency(place, &all).unwrap().into_iter().map(theirs).collect();
            let old = theirs(root(&all[..m as usize]));
            prop_assert!(tlog_tiles::check_tree(&path, size, top, place, old).is_ok());
        }
    }

    #[test]
    fn random_proofs_never_panic(
        m in any::<u64>(), n in any::<u64>(), path in prop::collection::vec(any::<[u8; 32]>(), 0..70),
    ) {
        prop_assert!(!verify_inclusion(m, n, &[1; 32], &path, &[2; 32]));
        prop_assert!(!verify_consistency(m, n, &[1; 32], &[2; 32], &path));
    }
}
