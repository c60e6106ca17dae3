//! The puncturable PRF (crypto.md 3.2): a binary tree of 2^32 leaves, of which a cover of seeds is kept.
//!
//! ```text
//! child(seed, depth, bit) = HMAC(seed, "LV1-GGM\0" || u8 depth of the parent || u8 bit)
//! ```
//! Invariant: the kept nodes are aligned and disjoint, and no kept node is an ancestor of a punctured
//! leaf, so what is gone cannot be computed again. Every live leaf lies under exactly one kept node.
//! What is not here: storage of covers, epochs, and forgetting of old copies (crate `keys`).

use std::collections::BTreeMap;
use std::collections::btree_map;

use crate::SecretKey;
use crate::hazmat::hash::{MacKey, Sha256Stream};
use crate::hazmat::hkdf::derive_key;

/// Levels below the root.
const DEPTH_MAX: u8 = 32;
/// Leaves of a whole tree.
const LEAVES: u64 = 1 << DEPTH_MAX;

/// The seeds of all live leaves of one tree, or of a part of it.
#[derive(Clone, Default)]
pub struct Cover {
    /// By first leaf.
    nodes: BTreeMap<u32, (u8, SecretKey)>,
}

/// A list of nodes that is no cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CoverError {
    /// Deeper than a leaf.
    #[error("node at leaf {first}: depth {depth} is below the leaves")]
    Depth {
        /// First leaf of the node.
        first: u32,
        /// Its depth.
        depth: u8,
    },
    /// The first leaf is not a multiple of the width.
    #[error("node at leaf {first} is not aligned to depth {depth}")]
    Unaligned {
        /// First leaf of the node.
        first: u32,
        /// Its depth.
        depth: u8,
    },
    /// Two nodes share a leaf.
    #[error("node at leaf {first} overlaps another")]
    Overlap {
        /// First leaf of the later node.
        first: u32,
    },
}

/// Number of leaves under a node; in 64 bits, the root has 2^32.
fn width(depth: u8) -> u64 {
    LEAVES >> depth.min(DEPTH_MAX)
}

fn end(first: u32, depth: u8) -> u64 {
    u64::from(first) + width(depth)
}

fn is_aligned(first: u32, depth: u8) -> bool {
    u64::from(first).is_multiple_of(width(depth))
}

pub(crate) fn child(seed: &SecretKey, depth: u8, bit: u8) -> SecretKey {
    step(&MacKey::new(seed.expose()), depth, bit)
}

fn step(key: &MacKey, depth: u8, bit: u8) -> SecretKey {
    let mut message = *b"LV1-GGM\0__";
    message[8..].copy_from_slice(&[depth, bit]);
    SecretKey::from_bytes(key.mac(&[&message]))
}

/// Both children under one key setup, as nodes.
fn both(node: &Node) -> [Node; 2] {
    let key = MacKey::new(node.seed.expose());
    let right = node.first | u32::try_from(width(node.depth + 1)).unwrap_or(0);
    [(0, node.first), (1, right)].map(|(bit, first)| Node {
        first,
        depth: node.depth + 1,
        seed: step(&key, node.depth, bit),
    })
}

struct Node {
    first: u32,
    depth: u8,
    seed: SecretKey,
}

impl Node {
    fn end(&self) -> u64 {
        end(self.first, self.depth)
    }
}

impl Cover {
    /// A whole tree from its root.
    pub fn new(root: SecretKey) -> Self {
        Self { nodes: BTreeMap::from([(0, (0, root))]) }
    }

    /// A tree without a live leaf.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Takes nodes `(first leaf, depth, seed)` read from a sealed page or directory, in any order.
    ///
    /// # Errors
    /// [`CoverError`] where they are not aligned and disjoint.
    pub fn from_nodes(
        nodes: impl IntoIterator<Item = (u32, u8, SecretKey)>,
    ) -> Result<Self, CoverError> {
        let mut map = BTreeMap::new();
        for (first, depth, seed) in nodes {
            if depth > DEPTH_MAX {
                return Err(CoverError::Depth { first, depth });
            }
            if !is_aligned(first, depth) {
                return Err(CoverError::Unaligned { first, depth });
            }
            if map.insert(first, (depth, seed)).is_some() {
                return Err(CoverError::Overlap { first });
            }
        }
        let mut free = 0;
        for (first, (depth, _)) in &map {
            if u64::from(*first) < free {
                return Err(CoverError::Overlap { first: *first });
            }
            free = end(*first, *depth);
        }
        Ok(Self { nodes: map })
    }

    /// The nodes `(first leaf, depth, seed)`, ascending.
    pub fn nodes(&self) -> impl Iterator<Item = (u32, u8, &SecretKey)> {
        self.nodes.iter().map(|(first, (depth, seed))| (*first, *depth, seed))
    }

    /// Number of kept nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether no leaf is live.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The key of leaf `index`; nothing once it is punctured.
    pub fn eval(&self, index: u32) -> Option<SecretKey> {
        let (_, mut depth, seed) = self.find(index)?;
        let mut seed = seed.clone();
        while depth < DEPTH_MAX {
            seed = child(&seed, depth, bit(index, depth));
            depth += 1;
        }
        Some(seed)
    }

    /// Whether leaf `index` has a key, without computing it.
    pub fn is_live(&self, index: u32) -> bool {
        self.find(index).is_some()
    }

    /// Forgets leaf `index`; returns the number of nodes added, 0 where it was gone already.
    pub fn puncture(&mut self, index: u32) -> usize {
        let Some((_, depth, _)) = self.find(index) else { return 0 };
        self.puncture_range(u64::from(index), u64::from(index) + 1);
        usize::from(DEPTH_MAX - depth)
    }

    /// Forgets leaves `first..end`. Adds at most 62 nodes, whatever the width.
    pub fn puncture_range(&mut self, first: u64, end: u64) {
        drop(self.cut(first, end));
    }

    /// Removes everything under the node `(first, depth)`, splitting an ancestor where needed, and
    /// returns it as a cover of its own. Nothing where there is no such node or no live leaf under it.
    pub fn carve(&mut self, first: u32, depth: u8) -> Option<Self> {
        if depth > DEPTH_MAX || !is_aligned(first, depth) {
            return None;
        }
        let carved = self.cut(u64::from(first), end(first, depth));
        (!carved.is_empty()).then_some(carved)
    }

    /// Leaf keys of `first..end` in ascending order, without the punctured: about two HMACs per leaf.
    pub fn leaves(&self, first: u64, end: u64) -> Leaves<'_> {
        let end = end.min(LEAVES);
        Leaves { nodes: self.touching(first, end), stack: Vec::new(), first, end }
    }

    /// The flat commitment to this state (crypto.md 3.3); visits every node.
    pub fn commitment(
        &self,
        tenant: &[u8; 16],
        dataset: &[u8; 16],
        tree: u32,
        epoch: u64,
    ) -> [u8; 32] {
        let mut hash = Sha256Stream::new();
        for part in [b"LV1-STATE\0".as_slice(), tenant, dataset] {
            hash.update(part);
        }
        hash.update(&tree.to_be_bytes());
        hash.update(&epoch.to_be_bytes());
        for (first, depth, seed) in self.nodes() {
            hash.update(&[depth]);
            hash.update(&first.to_be_bytes());
            hash.update(derive_key(seed, &[b"LV1-NCM\0"]).expose());
        }
        hash.finish()
    }

    /// The node that holds leaf `index`. The greatest first leaf below it may end before it.
    fn find(&self, index: u32) -> Option<(u32, u8, &SecretKey)> {
        let (first, (depth, seed)) = self.nodes.range(..=index).next_back()?;
        (u64::from(index) < end(*first, *depth)).then_some((*first, *depth, seed))
    }

    /// The nodes that share a leaf with `first..end`.
    fn touching(&self, first: u64, end: u64) -> btree_map::Range<'_, u32, (u8, SecretKey)> {
        let (Ok(start), Some(last)) = (u32::try_from(first), end.checked_sub(1)) else {
            return self.nothing();
        };
        let last = u32::try_from(last).unwrap_or(u32::MAX);
        if last < start {
            return self.nothing();
        }
        let start = self.find(start).map_or(start, |(node, _, _)| node);
        self.nodes.range(start..=last)
    }

    fn nothing(&self) -> btree_map::Range<'_, u32, (u8, SecretKey)> {
        self.nodes.range(0..0)
    }

    /// Moves `first..end` out of this cover; what of a boundary node lies outside stays.
    fn cut(&mut self, first: u64, end: u64) -> Self {
        let mut inside = Self::empty();
        let touched: Vec<u32> = self.touching(first, end).map(|(node, _)| *node).collect();
        for key in touched {
            let Some((depth, seed)) = self.nodes.remove(&key) else { continue };
            let mut stack = vec![Node { first: key, depth, seed }];
            while let Some(node) = stack.pop() {
                let start = u64::from(node.first);
                if start >= first && node.end() <= end {
                    inside.nodes.insert(node.first, (node.depth, node.seed));
                } else if start >= end || node.end() <= first {
                    self.nodes.insert(node.first, (node.depth, node.seed));
                } else {
                    stack.extend(both(&node));
                }
            }
        }
        inside
    }
}

/// Bit of `index` that chooses the child below `depth`; most significant first.
fn bit(index: u32, depth: u8) -> u8 {
    u8::from(index << depth >> 31 == 1)
}

impl std::fmt::Debug for Cover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cover").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Depth-first walk over the live leaves of a range; see [`Cover::leaves`].
pub struct Leaves<'a> {
    nodes: btree_map::Range<'a, u32, (u8, SecretKey)>,
    /// Right siblings still to visit, at most one per level.
    stack: Vec<Node>,
    first: u64,
    end: u64,
}

impl Leaves<'_> {
    fn is_wanted(&self, node: &Node) -> bool {
        u64::from(node.first) < self.end && node.end() > self.first
    }
}

impl Iterator for Leaves<'_> {
    type Item = (u32, SecretKey);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let node = if let Some(node) = self.stack.pop() {
                node
            } else {
                let (first, (depth, seed)) = self.nodes.next()?;
                Node { first: *first, depth: *depth, seed: seed.clone() }
            };
            if node.depth == DEPTH_MAX {
                return Some((node.first, node.seed));
            }
            let [left, right] = both(&node);
            if self.is_wanted(&right) {
                self.stack.push(right);
            }
            if self.is_wanted(&left) {
                self.stack.push(left);
            }
        }
    }
}

impl std::fmt::Debug for Leaves<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leaves")
            .field("first", &self.first)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
