//! Subtree roots from the tiles of a published log.
//!
//! Nothing read here is trusted: a proof made of it is checked against a signed root before it is used.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;

use crate::source::{LogSource, SourceError};
use crate::tile::{TILE_HEIGHT, TILE_WIDTH, decode_hashes, extent, path};
use crate::tree::{node_hash, root};
use crate::{Hash, tree};

/// Why a subtree could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// The range reaches beyond the published tree.
    #[error("beyond the published tree")]
    Beyond,
    /// A tile is not there.
    #[error("missing tile {0}")]
    Missing(String),
    /// A tile has the wrong length.
    #[error("bad tile {0}")]
    Bad(String),
    /// A tile could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// Reads subtree roots of a tree of which `published` leaves lie in tiles. Keeps the tiles it has read.
pub struct TileReader<'a> {
    source: &'a dyn LogSource,
    published: u64,
    tiles: RefCell<HashMap<(u8, u64), Vec<Hash>>>,
}

impl std::fmt::Debug for TileReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TileReader").field("published", &self.published).finish_non_exhaustive()
    }
}

impl<'a> TileReader<'a> {
    /// A reader of the tree that a checkpoint of `published` leaves covers.
    pub fn new(source: &'a dyn LogSource, published: u64) -> Self {
        Self { source, published, tiles: RefCell::default() }
    }

    /// Root over the leaves of `range`, which starts where a perfect subtree of its size may start (all
    /// ranges of `tree::inclusion_ranges` and `tree::consistency_ranges` do).
    ///
    /// # Errors
    /// [`TileError`].
    pub fn range_root(&self, range: Range<u64>) -> Result<Hash, TileError> {
        if range.end > self.published {
            return Err(TileError::Beyond);
        }
        let (mut at, mut roots) = (range.start, Vec::new());
        while at < range.end {
            let fits = u64::BITS - 1 - (range.end - at).leading_zeros();
            let level = fits.min(at.trailing_zeros());
            roots.push(self.subtree(level, at >> level)?);
            at += 1 << level;
        }
        let mut from_right = roots.iter().rev();
        let Some(last) = from_right.next() else { return Ok(tree::empty_root()) };
        Ok(from_right.fold(*last, |right, left| node_hash(left, &right)))
    }

    /// Hash of one leaf.
    ///
    /// # Errors
    /// [`TileError`].
    pub fn leaf(&self, index: u64) -> Result<Hash, TileError> {
        if index >= self.published {
            return Err(TileError::Beyond);
        }
        self.subtree(0, index)
    }

    /// Root of perfect subtree number `index` of `2^level` leaves.
    fn subtree(&self, level: u32, index: u64) -> Result<Hash, TileError> {
        let tile_level = u8::try_from(level / TILE_HEIGHT).map_err(|_| TileError::Beyond)?;
        let inside = level % TILE_HEIGHT;
        let first = index << inside;
        let tile = first >> TILE_HEIGHT;
        let offset = usize::try_from(first & 0xff).map_err(|_| TileError::Beyond)?;
        let mut tiles = self.tiles.borrow_mut();
        let hashes = match tiles.entry((tile_level, tile)) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(unknown) => {
                unknown.insert(read_hashes(self.source, tile_level, tile, self.published)?)
            }
        };
        hashes.get(offset..offset + (1 << inside)).map(root).ok_or(TileError::Beyond)
    }
}

/// The hashes of a tile as a tree of `size` needs them: the full tile where it is full, else the partial one,
/// else as much of the full one as the tree has (a longer tree may have superseded the partial tile).
pub(crate) fn read_hashes(
    source: &dyn LogSource,
    level: u8,
    tile: u64,
    size: u64,
) -> Result<Vec<Hash>, TileError> {
    let (full, partial) = extent(level, size);
    let full_path = path(level, tile, TILE_WIDTH);
    if tile < full {
        let bytes = source.read(&full_path)?.ok_or(TileError::Missing(full_path.clone()))?;
        return decoded(&bytes, TILE_WIDTH, full_path);
    }
    if tile > full || partial == 0 {
        return Err(TileError::Beyond);
    }
    let partial_path = path(level, tile, partial);
    if let Some(bytes) = source.read(&partial_path)? {
        return decoded(&bytes, partial, partial_path);
    }
    let bytes = source.read(&full_path)?.ok_or(TileError::Missing(partial_path))?;
    let mut hashes = decoded(&bytes, TILE_WIDTH, full_path)?;
    hashes.truncate(partial);
    Ok(hashes)
}

fn decoded(bytes: &[u8], width: usize, path: String) -> Result<Vec<Hash>, TileError> {
    decode_hashes(bytes, width).map(<[Hash]>::to_vec).ok_or(TileError::Bad(path))
}
