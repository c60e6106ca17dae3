//! The puncturable tree against a naive set of punctured leaves.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside the test functions")]

use std::collections::BTreeSet;

use leadvault_crypto::{Cover, CoverError, SecretKey};
use proptest::prelude::*;

/// Depth of the small subtree the properties run on: 2^9 leaves, the first 512 or the last.
const DEPTH: u8 = 23;
const LEAVES: u64 = 1 << (32 - DEPTH);

fn seed() -> SecretKey {
    SecretKey::from_bytes([0x42; 32])
}

fn fresh(first: u32) -> Cover {
    Cover::from_nodes([(first, DEPTH, seed())]).unwrap()
}

/// All leaves of a subtree, by the naive walk.
fn keys(cover: &Cover, first: u32) -> Vec<Option<[u8; 32]>> {
    (0..LEAVES).map(|i| eval(cover, first + u32::try_from(i).unwrap())).collect()
}

fn eval(cover: &Cover, index: u32) -> Option<[u8; 32]> {
    cover.eval(index).map(|key| *key.expose())
}

fn nodes(cover: &Cover) -> Vec<(u32, u8, [u8; 32])> {
    cover.nodes().map(|(first, depth, seed)| (first, depth, *seed.expose())).collect()
}

fn width(depth: u8) -> u64 {
    1 << (32 - depth)
}

/// No two siblings, no node over a punctured leaf, disjoint and aligned.
fn assert_minimal(cover: &Cover, gone: &BTreeSet<u64>) {
    let set: BTreeSet<(u8, u64)> =
        cover.nodes().map(|(first, depth, _)| (depth, u64::from(first) / width(depth))).collect();
    for (depth, at) in &set {
        assert!(*depth == 0 || !set.contains(&(*depth, at ^ 1)), "siblings at depth {depth}");
        let (first, end) = (at * width(*depth), (at + 1) * width(*depth));
        assert!(gone.range(first..end).next().is_none(), "ancestor of a punctured leaf");
    }
    let again = cover.nodes().map(|(first, depth, seed)| (first, depth, seed.clone()));
    assert!(Cover::from_nodes(again).is_ok());
}

#[derive(Debug, Clone)]
enum Cut {
    One(u64),
    Range(u64, u64),
}

fn cuts() -> impl Strategy<Value = Vec<Cut>> {
    let one = (0..LEAVES).prop_map(Cut::One);
    let range = (0..LEAVES, 0..=LEAVES).prop_map(|(a, z)| Cut::Range(a.min(z), a.max(z)));
    proptest::collection::vec(prop_oneof![4 => one, 1 => range], 0..24)
}

fn apply(cover: &mut Cover, base: u32, cut: &Cut) {
    match *cut {
        Cut::One(i) => drop(cover.puncture(base + u32::try_from(i).unwrap())),
        Cut::Range(a, z) => cover.puncture_range(u64::from(base) + a, u64::from(base) + z),
    }
}

fn gone_by(base: u32, cuts: &[Cut]) -> BTreeSet<u64> {
    let range = |cut: &Cut| match *cut {
        Cut::One(i) => i..i + 1,
        Cut::Range(a, z) => a..z,
    };
    cuts.iter().flat_map(range).map(|i| u64::from(base) + i).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn live_leaves_keep_their_keys_and_punctured_ones_have_none(
        cuts in cuts(), at_end in any::<bool>(),
    ) {
        let base = if at_end { u32::MAX - 511 } else { 0 };
        let full = keys(&fresh(base), base);
        let mut cover = fresh(base);
        for cut in &cuts {
            apply(&mut cover, base, cut);
        }
        let gone = gone_by(base, &cuts);
        for (i, key) in keys(&cover, base).into_iter().enumerate() {
            let leaf = u64::from(base) + i as u64;
            prop_assert_eq!(key, full[i].filter(|_| !gone.contains(&leaf)));
            let leaf = u32::try_from(leaf).unwrap();
            prop_assert_eq!(cover.is_live(leaf), key.is_some());
        }
        assert_minimal(&cover, &gone);
    }

    #[test]
    fn order_and_repetition_of_punctures_are_nothing(cuts in cuts(), seed in any::<u64>()) {
        let mut once = fresh(0);
        for cut in &cuts {
            apply(&mut once, 0, cut);
        }
        let mut shuffled = cuts.clone();
        shuffled.sort_by_key(|cut| match *cut {
            Cut::One(i) => i.wrapping_mul(seed | 1),
            Cut::Range(a, z) => (a * 1000 + z).wrapping_mul(seed | 1),
        });
        let mut twice = fresh(0);
        for cut in shuffled.iter().chain(&cuts) {
            apply(&mut twice, 0, cut);
        }
        prop_assert_eq!(nodes(&once), nodes(&twice));
    }

    #[test]
    fn a_range_is_its_single_leaves(a in 0..LEAVES, z in 0..=LEAVES) {
        let (a, z) = (a.min(z), a.max(z));
        let mut range = fresh(0);
        range.puncture_range(a, z);
        let mut singles = fresh(0);
        for i in a..z {
            prop_assert!(singles.puncture(u32::try_from(i).unwrap()) <= 9);
        }
        prop_assert_eq!(nodes(&range), nodes(&singles));
    }

    #[test]
    fn leaves_gives_what_eval_gives(cuts in cuts(), a in 0..LEAVES + 9, z in 0..LEAVES + 9) {
        let mut cover = fresh(0);
        for cut in &cuts {
            apply(&mut cover, 0, cut);
        }
        let walked: Vec<_> = cover.leaves(a, z).map(|(i, key)| (i, *key.expose())).collect();
        let evaluated: Vec<_> = (a..z)
            .map(|i| u32::try_from(i).unwrap())
            .filter_map(|i| eval(&cover, i).map(|key| (i, key)))
            .collect();
        prop_assert_eq!(walked, evaluated);
    }

    #[test]
    fn carving_splits_a_cover_into_two_that_together_are_the_whole(
        cuts in cuts(), depth in DEPTH..=32_u8, at in any::<prop::sample::Index>(),
    ) {
        let first = u32::try_from(at.index(1 << (depth - DEPTH)) as u64 * width(depth)).unwrap();
        let mut whole = fresh(0);
        for cut in &cuts {
            apply(&mut whole, 0, cut);
        }
        let mut rest = whole.clone();
        let carved = rest.carve(first, depth);
        let inside = u64::from(first)..u64::from(first) + width(depth);
        let mut punctured = whole.clone();
        punctured.puncture_range(inside.start, inside.end);
        prop_assert_eq!(nodes(&rest), nodes(&punctured));
        prop_assert_eq!(carved.is_some(), inside.clone().any(|i| whole.is_live(u32::try_from(i).unwrap())));
        let carved = carved.unwrap_or_default();
        for i in 0..LEAVES {
            let leaf = u32::try_from(i).unwrap();
            let (mine, other) = if inside.contains(&i) { (&carved, &rest) } else { (&rest, &carved) };
            prop_assert_eq!(eval(mine, leaf), eval(&whole, leaf));
            prop_assert_eq!(eval(other, leaf), None);
        }
    }
}

#[test]
fn puncturing_the_same_leaf_twice_adds_nothing() {
    let mut cover = Cover::new(seed());
    assert_eq!(cover.puncture(5), 32);
    let before = nodes(&cover);
    assert_eq!(cover.puncture(5), 0);
    assert_eq!(nodes(&cover), before);
}

#[test]
fn a_range_of_any_width_adds_at_most_62_nodes() {
    for (a, z) in [(1, (1 << 32) - 1), (1000, 5000), ((1 << 31) - 1, (1 << 31) + 1), (5, 1 << 33)] {
        let mut cover = Cover::new(seed());
        cover.puncture_range(a, z);
        assert!(cover.len() <= 62, "{a}..{z}: {}", cover.len());
        assert!(cover.is_live(0) && !cover.is_live(u32::try_from(a).unwrap()));
    }
}

#[test]
fn the_whole_tree_can_be_punctured_and_the_last_leaf_too() {
    let mut cover = Cover::new(seed());
    assert_eq!(cover.puncture(u32::MAX), 32);
    assert!(cover.is_live(u32::MAX - 1) && !cover.is_live(u32::MAX));
    assert_eq!(cover.leaves((1 << 32) - 3, 1 << 40).count(), 2);
    cover.puncture_range(0, u64::MAX);
    assert!(cover.is_empty() && cover.eval(0).is_none() && cover.carve(0, 0).is_none());
    assert_eq!(cover.leaves(0, 1 << 32).count(), 0);
}

#[test]
fn empty_and_reversed_ranges_change_nothing() {
    let mut cover = Cover::new(seed());
    cover.puncture(9);
    let before = nodes(&cover);
    for (a, z) in [(7, 7), (8, 3), (0, 0), (1 << 32, 1 << 33), (u64::MAX, 0)] {
        cover.puncture_range(a, z);
        assert_eq!(cover.leaves(a, z).count(), 0);
    }
    assert_eq!(nodes(&cover), before);
}

#[test]
fn a_misaligned_or_too_deep_node_is_not_carved() {
    let mut cover = Cover::new(seed());
    assert!(cover.carve(1, 18).is_none() && cover.carve(0, 33).is_none());
    assert_eq!(cover.len(), 1);
}

#[test]
fn nodes_that_are_no_cover_are_refused() {
    let refuse =
        |nodes: &[(u32, u8)]| Cover::from_nodes(nodes.iter().map(|(f, d)| (*f, *d, seed()))).err();
    assert_eq!(refuse(&[(0, 33)]), Some(CoverError::Depth { first: 0, depth: 33 }));
    assert_eq!(refuse(&[(1, 31)]), Some(CoverError::Unaligned { first: 1, depth: 31 }));
    assert_eq!(refuse(&[(0, 31), (0, 32)]), Some(CoverError::Overlap { first: 0 }));
    assert_eq!(refuse(&[(1, 32), (0, 31)]), Some(CoverError::Overlap { first: 1 }));
    assert_eq!(refuse(&[(2, 31), (1, 32), (0, 32)]), None);
    assert!(Cover::from_nodes([]).unwrap().is_empty());
}

#[test]
fn debug_shows_no_seed() {
    let mut cover = Cover::new(seed());
    cover.puncture(1);
    let shown = format!("{cover:?} {:?}", cover.leaves(0, 9));
    assert!(!shown.contains("66") && !shown.contains("42"), "{shown}");
}
