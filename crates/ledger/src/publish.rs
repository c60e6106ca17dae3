//! Planning the files of a log: which immutable files new entries make, and in which order.
//!
//! Pure: nothing is written here. The order of [`Plan::files`] is the order to write and fsync them in:
//! bundles, then tiles; [`Plan::checkpoint`] goes last, once all of them are durable, so no checkpoint ever
//! covers an entry that is not in the file store (protocols.md 2.3). Two builders plan equal bytes.

use crate::checkpoint::Checkpoint;
use crate::log_keys::LogKeys;
use crate::note::NoteError;
use crate::source::{LogSource, SourceError};
use crate::tile::{
    TILE_WIDTH, TileError, TileKind, TilePath, bundle_path, decode_bundle, extent, partial_dir,
    push_entry, read_hashes,
};
use crate::tree::{Frontier, leaf_hash, root};
use crate::{Hash, tile};
use leadvault_domain::Timestamp;

/// Levels of tiles a 64-bit size can have.
const LEVELS_MAX: u8 = 8;

/// Why a log cannot be continued from its files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TailError {
    /// A tile or bundle is missing, bad or unreadable.
    #[error(transparent)]
    Tile(#[from] TileError),
    /// The files do not agree with the frontier.
    #[error("the files do not agree with the frontier")]
    Mismatch,
    /// An entry is longer than a bundle can hold.
    #[error("an entry is longer than a bundle can hold")]
    EntryTooLarge,
}

impl From<SourceError> for TailError {
    fn from(error: SourceError) -> Self {
        Self::Tile(TileError::Source(error))
    }
}

/// One immutable file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// Path relative to the log's directory.
    pub path: String,
    /// Contents.
    pub bytes: Vec<u8>,
}

/// The right edge of a log: its frontier, and the contents of its partial tiles and bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tail {
    frontier: Frontier,
    bundle: Vec<u8>,
    levels: Vec<Vec<Hash>>,
}

/// The files that new entries make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Files to write, in this order. Writing one that is there already, with equal bytes, is no error.
    pub files: Vec<LogFile>,
    /// Directories of partial tiles that a full one supersedes; they may go once the checkpoint is out.
    pub superseded: Vec<String>,
    /// The edge to continue from.
    pub tail: Tail,
}

impl Tail {
    /// The edge of a log whose frontier is known, read from its files.
    ///
    /// # Errors
    /// [`TailError`]; nothing may be published then.
    pub fn load(source: &dyn LogSource, frontier: Frontier) -> Result<Self, TailError> {
        let size = frontier.size();
        let mut levels = Vec::new();
        for level in 0..LEVELS_MAX {
            let (full, partial) = extent(level, size);
            if full == 0 && partial == 0 {
                break;
            }
            levels.push(match partial {
                0 => Vec::new(),
                _ => read_hashes(source, level, full, size)?,
            });
        }
        let bundle = load_bundle(source, size, levels.first().map_or(&[], Vec::as_slice))?;
        let tail = Self { frontier, bundle, levels };
        if tail.edge_root() == tail.frontier.root() { Ok(tail) } else { Err(TailError::Mismatch) }
    }

    /// The frontier, as it is stored beside the log.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// Plans the files of `entries`, which follow directly after those of the frontier.
    ///
    /// # Errors
    /// [`TailError::EntryTooLarge`].
    pub fn plan<'a>(
        mut self,
        entries: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Plan, TailError> {
        let before = self.frontier.size();
        let (mut bundles, mut tiles, mut superseded) = (Vec::new(), Vec::new(), Vec::new());
        for entry in entries {
            let index = self.frontier.size() / TILE_WIDTH as u64;
            if !push_entry(&mut self.bundle, entry) {
                return Err(TailError::EntryTooLarge);
            }
            let leaf = leaf_hash(entry);
            self.frontier.push(leaf);
            self.push(leaf, before, &mut tiles, &mut superseded);
            if self.frontier.size().is_multiple_of(TILE_WIDTH as u64) {
                let bytes = std::mem::take(&mut self.bundle);
                bundles.push(LogFile { path: bundle_path(index, TILE_WIDTH), bytes });
                if extent(0, before) > (index, 0) {
                    superseded.push(partial_dir(TileKind::Entries, index));
                }
            }
        }
        if self.frontier.size() > before {
            self.partials(before, &mut bundles, &mut tiles);
        }
        bundles.append(&mut tiles);
        Ok(Plan { files: bundles, superseded, tail: self })
    }

    /// Adds a leaf; a full tile becomes a file and one hash of the level above.
    fn push(
        &mut self,
        leaf: Hash,
        before: u64,
        tiles: &mut Vec<LogFile>,
        superseded: &mut Vec<String>,
    ) {
        let mut carried = leaf;
        for level in 0..LEVELS_MAX {
            if self.levels.len() == usize::from(level) {
                self.levels.push(Vec::new());
            }
            let Some(hashes) = self.levels.get_mut(usize::from(level)) else { return };
            hashes.push(carried);
            if hashes.len() < TILE_WIDTH {
                return;
            }
            let full = std::mem::take(hashes);
            carried = root(&full);
            let index = extent(level, self.frontier.size()).0 - 1;
            tiles
                .push(LogFile { path: tile::path(level, index, TILE_WIDTH), bytes: full.concat() });
            if extent(level, before) > (index, 0) {
                superseded.push(partial_dir(TileKind::Hashes(level), index));
            }
        }
    }

    /// The partial tiles and the partial bundle of the new edge, where they differ from the old one.
    fn partials(&self, before: u64, bundles: &mut Vec<LogFile>, tiles: &mut Vec<LogFile>) {
        let size = self.frontier.size();
        let (full, width) = extent(0, size);
        if width > 0 {
            bundles.push(LogFile { path: bundle_path(full, width), bytes: self.bundle.clone() });
        }
        for (level, hashes) in (0..LEVELS_MAX).zip(&self.levels) {
            let now = extent(level, size);
            if now.1 > 0 && now != extent(level, before) {
                let path = tile::path(level, now.0, now.1);
                tiles.push(LogFile { path, bytes: hashes.concat() });
            }
        }
    }

    /// The root that the partial tiles lead to.
    fn edge_root(&self) -> Hash {
        edge_root(&self.levels)
    }

    /// The checkpoint of this edge.
    pub fn checkpoint(&self, origin: &str) -> Checkpoint {
        let (size, root) = (self.frontier.size(), self.frontier.root());
        Checkpoint { origin: origin.to_owned(), size, root }
    }
}

impl Plan {
    /// The file `checkpoint`: to be replaced last, after all other files are durable.
    ///
    /// # Errors
    /// [`NoteError::Malformed`] where no note can carry the origin.
    pub fn checkpoint(
        &self,
        keys: &LogKeys,
        origin: &str,
        now: Timestamp,
    ) -> Result<LogFile, NoteError> {
        let text = self.tail.checkpoint(origin).to_string();
        let note = keys.sign_note(origin, &text, now)?;
        Ok(LogFile { path: "checkpoint".to_owned(), bytes: note.into_bytes() })
    }
}

/// Root of a tree from the partial tiles of all its levels. The partial tile of a level follows, in leaf
/// order, after everything the levels above it stand for.
pub(crate) fn edge_root(levels: &[Vec<Hash>]) -> Hash {
    let mut edge: Option<Hash> = None;
    for hashes in levels {
        // The subtree to the right is smaller than one hash of this level: it joins as the last leaf.
        let mut joined = hashes.clone();
        joined.extend(edge);
        if !joined.is_empty() {
            edge = Some(root(&joined));
        }
    }
    edge.unwrap_or_else(crate::tree::empty_root)
}

/// Paths of bundles whose entries all lie below `pruned_to`: what a pruner removes after the entry
/// `log.prune` is published. Bundles are removed whole; hash tiles never.
pub fn prunable_bundles(from: u64, pruned_to: u64) -> impl Iterator<Item = String> {
    let width = TILE_WIDTH as u64;
    (from / width..pruned_to / width)
        .map(|index| TilePath { kind: TileKind::Entries, index, width: TILE_WIDTH }.to_string())
}

/// The entries of the partial bundle, checked against the partial tile.
fn load_bundle(source: &dyn LogSource, size: u64, hashes: &[Hash]) -> Result<Vec<u8>, TailError> {
    let (full, width) = extent(0, size);
    if width == 0 {
        return Ok(Vec::new());
    }
    let path = bundle_path(full, width);
    let bytes = match source.read(&path)? {
        Some(bytes) => bytes,
        None => source
            .read(&bundle_path(full, TILE_WIDTH))?
            .ok_or_else(|| TileError::Missing(path.clone()))?,
    };
    let entries = decode_bundle(&bytes).ok_or(TileError::Bad(path))?;
    let kept = entries.get(..width).ok_or(TailError::Mismatch)?;
    if !kept.iter().map(|entry| leaf_hash(entry)).eq(hashes.iter().copied()) {
        return Err(TailError::Mismatch);
    }
    let mut bundle = Vec::new();
    if kept.iter().all(|entry| push_entry(&mut bundle, entry)) {
        Ok(bundle)
    } else {
        Err(TailError::EntryTooLarge)
    }
}
