//! One pass over the files of a log, in constant memory.
//!
//! The tree is built twice side by side: from the entries, and from the level-0 tiles. Whichever of the two
//! leads to the signed root is the true one, which tells a changed bundle from a changed tile. Pruned bundles
//! are filled in from their tiles.

use crate::Hash;
use crate::checkpoint::Checkpoint;
use crate::operation::LogOperation;
use crate::publish::edge_root;
use crate::source::{LogSource, SourceError};
use crate::tile::{TILE_WIDTH, TileError, bundle_path, decode_bundle, extent, path, read_hashes};
use crate::tree::{leaf_hash, root};
use crate::verify::since::Kept;
use crate::verify::{CHECKPOINT, Failure, Fault, Stop};
use crate::view::EntryView;

/// Member of `own` in an entry `log.prune`: entries below this index have lost their contents.
const PRUNED_TO: &str = "pruned_to";

/// What a pass found.
pub(super) struct Walked {
    pub(super) entries_unknown: u64,
    pub(super) pruned_to: Option<u64>,
    pub(super) result: Result<(), Fault>,
}

/// Reads every file that `checkpoint` covers.
pub(super) fn walk(
    source: &dyn LogSource,
    checkpoint: &Checkpoint,
    kept: Option<&Kept>,
) -> Result<Walked, Stop> {
    let mut walk = Walk::new(source, checkpoint.size);
    let mut index = 0;
    let result = match walk.run(|leaf| {
        if let Some(kept) = kept {
            kept.see(index, leaf);
        }
        index += 1;
    }) {
        Ok(()) => walk.judge(&checkpoint.root),
        Err(Stop::Fault(fault)) => Err(fault),
        Err(Stop::Source(error)) => return Err(Stop::Source(error)),
    };
    let gone_to = walk.missing.last().map(|tile| walk.end_of(*tile));
    let pruned_to = gone_to.filter(|end| *end <= walk.announced_prune);
    Ok(Walked { entries_unknown: walk.entries_unknown, pruned_to, result })
}

/// A tile of level 1 or above, complete or the last of its level, as one of the two trees has it.
struct Upper {
    level: u8,
    tile: u64,
    hashes: Vec<Hash>,
}

/// One of the two trees.
#[derive(Default)]
struct Column {
    /// The incomplete tile of each level.
    levels: Vec<Vec<Hash>>,
    /// Complete tiles of each level so far.
    complete: Vec<u64>,
    /// First file above level 0 that says something else.
    differs: Option<String>,
}

impl Column {
    /// Adds the hashes of the next level-0 tile; returns the tiles above that this completes.
    fn add(&mut self, hashes: Vec<Hash>) -> Vec<Upper> {
        let mut completed = Vec::new();
        let mut carried = hashes;
        for level in 0_u8.. {
            let at = usize::from(level);
            if self.levels.len() == at {
                self.levels.push(Vec::new());
                self.complete.push(0);
            }
            let (Some(tile), Some(complete)) = (self.levels.get_mut(at), self.complete.get_mut(at))
            else {
                break;
            };
            tile.append(&mut carried);
            if tile.len() < TILE_WIDTH {
                break;
            }
            let full = std::mem::take(tile);
            carried = vec![root(&full)];
            if level > 0 {
                completed.push(Upper { level, tile: *complete, hashes: full });
            }
            *complete += 1;
        }
        completed
    }

    /// The incomplete tiles above level 0, once all leaves are in.
    fn edge(&self) -> Vec<Upper> {
        let upper = (0_u8..).zip(self.levels.iter().zip(&self.complete)).skip(1);
        upper
            .filter(|(_, (hashes, _))| !hashes.is_empty())
            .map(|(level, (hashes, tile))| Upper { level, tile: *tile, hashes: hashes.clone() })
            .collect()
    }
}

struct Walk<'a> {
    source: &'a dyn LogSource,
    size: u64,
    entries: Column,
    tiles: Column,
    /// First level-0 tile whose bundle has other leaves.
    disagreement: Option<u64>,
    /// The file of a tile whose hash in the tile above is another.
    child_differs: Option<String>,
    /// Incomplete tiles of all levels, as the files have them.
    files_edge: Vec<Vec<Hash>>,
    /// Numbers of bundles that are not there.
    missing: Vec<u64>,
    announced_prune: u64,
    entries_unknown: u64,
}

impl<'a> Walk<'a> {
    fn new(source: &'a dyn LogSource, size: u64) -> Self {
        Self {
            source,
            size,
            entries: Column::default(),
            tiles: Column::default(),
            disagreement: None,
            child_differs: None,
            files_edge: Vec::new(),
            missing: Vec::new(),
            announced_prune: 0,
            entries_unknown: 0,
        }
    }

    fn run(&mut self, mut see: impl FnMut(Hash)) -> Result<(), Stop> {
        let (full, partial) = extent(0, self.size);
        for tile in 0..full + u64::from(partial > 0) {
            let hashes = self.read_tile(0, tile)?;
            hashes.iter().copied().for_each(&mut see);
            let leaves = self.read_leaves(tile, hashes.len())?;
            if leaves.as_ref().is_some_and(|leaves| *leaves != hashes) {
                self.disagreement.get_or_insert(tile);
            }
            let from_entries = self.entries.add(leaves.unwrap_or_else(|| hashes.clone()));
            let from_tiles = self.tiles.add(hashes);
            self.compare(from_entries, from_tiles)?;
        }
        self.files_edge.push(self.tiles.levels.first().cloned().unwrap_or_default());
        self.compare(self.entries.edge(), self.tiles.edge())
    }

    /// Compares tiles above level 0 with their files.
    fn compare(&mut self, entries: Vec<Upper>, tiles: Vec<Upper>) -> Result<(), Stop> {
        for (from_entries, from_tiles) in entries.into_iter().zip(tiles) {
            let (level, tile) = (from_tiles.level, from_tiles.tile);
            let file = self.read_tile(level, tile)?;
            let name = || path(level, tile, file.len());
            if file != from_entries.hashes {
                self.entries.differs.get_or_insert_with(name);
            }
            if file != from_tiles.hashes {
                self.tiles.differs.get_or_insert_with(name);
                let place = file.iter().zip(&from_tiles.hashes).position(|(a, b)| a != b);
                let child = tile * TILE_WIDTH as u64 + place.map_or(0, |p| p as u64);
                self.child_differs.get_or_insert_with(|| path(level - 1, child, TILE_WIDTH));
            }
            if file.len() < TILE_WIDTH {
                self.files_edge.resize(usize::from(level), Vec::new());
                self.files_edge.push(file);
            }
        }
        Ok(())
    }

    /// Tells which file is at fault, if one is.
    fn judge(&self, signed: &Hash) -> Result<(), Fault> {
        let gone = self.missing.iter().find(|tile| self.end_of(**tile) > self.announced_prune);
        if let Some(tile) = gone {
            return Err(Fault::new(Failure::Missing, bundle_path(*tile, self.width(*tile))));
        }
        let disagreement = self.disagreement.map(|tile| (tile, self.width(tile)));
        if edge_root(&self.tiles.levels) == *signed {
            return match (&self.tiles.differs, disagreement) {
                (Some(tile), _) => Err(Fault::new(Failure::BadTile, tile)),
                (None, Some((tile, width))) => {
                    Err(Fault::new(Failure::BadBundle, bundle_path(tile, width)))
                }
                (None, None) => Ok(()),
            };
        }
        if edge_root(&self.entries.levels) == *signed {
            let at = disagreement.map(|(tile, width)| path(0, tile, width));
            let at = at.or_else(|| self.entries.differs.clone());
            return Err(Fault::new(Failure::BadTile, at.unwrap_or_else(|| CHECKPOINT.to_owned())));
        }
        match &self.child_differs {
            Some(child) if edge_root(&self.files_edge) == *signed => {
                Err(Fault::new(Failure::BadTile, child))
            }
            _ => Err(Fault::new(Failure::RootMismatch, CHECKPOINT)),
        }
    }

    /// Index after the last entry of a bundle.
    fn end_of(&self, tile: u64) -> u64 {
        ((tile + 1) * TILE_WIDTH as u64).min(self.size)
    }

    fn width(&self, tile: u64) -> usize {
        let (full, partial) = extent(0, self.size);
        if tile < full { TILE_WIDTH } else { partial }
    }

    fn read_tile(&self, level: u8, tile: u64) -> Result<Vec<Hash>, Stop> {
        read_hashes(self.source, level, tile, self.size).map_err(|error| match error {
            TileError::Source(error) => Stop::Source(error),
            TileError::Missing(at) => Fault::new(Failure::Missing, at).into(),
            TileError::Bad(at) => Fault::new(Failure::BadTile, at).into(),
            TileError::Beyond => Fault::new(Failure::Malformed, CHECKPOINT).into(),
        })
    }

    /// Leaf hashes of the entries of a bundle; `None`, and a note of it, where the bundle is not there.
    fn read_leaves(&mut self, tile: u64, width: usize) -> Result<Option<Vec<Hash>>, Stop> {
        let Some((held, bytes)) = self.find_bundle(tile, width)? else {
            self.missing.push(tile);
            return Ok(None);
        };
        let entries = decode_bundle(&bytes)
            .filter(|entries| entries.len() == held)
            .ok_or_else(|| Fault::new(Failure::BadBundle, bundle_path(tile, held)))?;
        let covered = entries.get(..width).unwrap_or(&entries);
        for entry in covered {
            self.read_entry(entry);
        }
        Ok(Some(covered.iter().map(|entry| leaf_hash(entry)).collect()))
    }

    /// The bundle under its own width, or the full one that superseded it, and that width.
    fn find_bundle(
        &self,
        tile: u64,
        width: usize,
    ) -> Result<Option<(usize, Vec<u8>)>, SourceError> {
        for held in [width, TILE_WIDTH] {
            if let Some(bytes) = self.source.read(&bundle_path(tile, held))? {
                return Ok(Some((held, bytes)));
            }
        }
        Ok(None)
    }

    fn read_entry(&mut self, entry: &[u8]) {
        let Some(view) = EntryView::parse(entry) else {
            self.entries_unknown += 1;
            return;
        };
        if view.operation() == LogOperation::LogPrune && view.is_allow() {
            let pruned_to = view.own_number(PRUNED_TO).unwrap_or(0);
            self.announced_prune = self.announced_prune.max(pruned_to);
        }
    }
}
