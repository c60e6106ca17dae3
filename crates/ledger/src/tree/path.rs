//! Audit paths and consistency proofs (RFC 6962 2.1.1, 2.1.2), and their verifiers (RFC 9162 2.1.3.2,
//! 2.1.4.2).
//!
//! A proof is a list of subtree roots. Which subtrees is arithmetic on sizes ([`inclusion_ranges`],
//! [`consistency_ranges`]); where their roots come from, memory or tiles, is the caller's business.

use std::ops::Range;

use super::{empty_root, node_hash, root, split};
use crate::Hash;

/// Leaf ranges whose roots make the audit path of leaf `m` in a tree of `n`, from the leaf upwards.
/// `None` unless `m < n`.
pub fn inclusion_ranges(m: u64, n: u64) -> Option<Vec<Range<u64>>> {
    if m >= n {
        return None;
    }
    let (mut low, mut high, mut ranges) = (0, n, Vec::new());
    while high - low > 1 {
        let middle = low + split(high - low);
        if m < middle {
            ranges.push(middle..high);
            high = middle;
        } else {
            ranges.push(low..middle);
            low = middle;
        }
    }
    ranges.reverse();
    Some(ranges)
}

/// Leaf ranges whose roots prove that the tree of `m` is a prefix of the tree of `n`. `None` unless
/// `m <= n`; empty where nothing needs proof.
pub fn consistency_ranges(m: u64, n: u64) -> Option<Vec<Range<u64>>> {
    if m > n {
        return None;
    }
    let (mut low, mut high, mut ranges) = (0, n, Vec::new());
    if m == 0 || m == n {
        return Some(ranges);
    }
    while m != high {
        let middle = low + split(high - low);
        if m <= middle {
            ranges.push(middle..high);
            high = middle;
        } else {
            ranges.push(low..middle);
            low = middle;
        }
    }
    if low > 0 {
        ranges.push(low..high);
    }
    ranges.reverse();
    Some(ranges)
}

/// The audit path of leaf `m` over leaf hashes in memory. `None` unless `m` is one of them.
pub fn inclusion(m: u64, leaves: &[Hash]) -> Option<Vec<Hash>> {
    roots_of(inclusion_ranges(m, u64::try_from(leaves.len()).ok()?)?, leaves)
}

/// The consistency proof of the first `m` leaves over leaf hashes in memory. `None` where there are fewer.
pub fn consistency(m: u64, leaves: &[Hash]) -> Option<Vec<Hash>> {
    roots_of(consistency_ranges(m, u64::try_from(leaves.len()).ok()?)?, leaves)
}

fn roots_of(ranges: Vec<Range<u64>>, leaves: &[Hash]) -> Option<Vec<Hash>> {
    let slice = |range: Range<u64>| {
        leaves.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
    };
    ranges.into_iter().map(|range| slice(range).map(root)).collect()
}

/// Whether `path` leads from `leaf` at `m` to the root of a tree of `n`.
pub fn verify_inclusion(m: u64, n: u64, leaf: &Hash, path: &[Hash], root: &Hash) -> bool {
    if m >= n {
        return false;
    }
    let (mut place, mut last, mut hash) = (m, n - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            hash = node_hash(sibling, &hash);
            climb(&mut place, &mut last);
        } else {
            hash = node_hash(&hash, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether `path` proves that the tree of `m` with `root_m` is a prefix of the tree of `n` with `root_n`.
pub fn verify_consistency(m: u64, n: u64, root_m: &Hash, root_n: &Hash, path: &[Hash]) -> bool {
    if m >= n || m == 0 {
        let same = m == n && root_m == root_n;
        let from_nothing = m == 0 && *root_m == empty_root() && (n > 0 || root_m == root_n);
        return path.is_empty() && (same || from_nothing);
    }
    let (first, rest) = if m.is_power_of_two() {
        (*root_m, path)
    } else {
        let Some((first, rest)) = path.split_first() else { return false };
        (*first, rest)
    };
    let (mut place, mut last) = (m - 1, n - 1);
    while place & 1 == 1 {
        place >>= 1;
        last >>= 1;
    }
    let (mut old, mut new) = (first, first);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            climb(&mut place, &mut last);
        } else {
            new = node_hash(&new, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && old == *root_m && new == *root_n
}

/// A right child on the edge of the tree skips the levels at which it has no sibling.
fn climb(place: &mut u64, last: &mut u64) {
    while *place & 1 == 0 && *place != 0 {
        *place >>= 1;
        *last >>= 1;
    }
}
