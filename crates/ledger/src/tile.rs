//! Tiles and entry bundles of C2SP tlog-tiles: their paths, their contents, and reading subtrees from them.
//!
//! A tile holds up to 256 hashes of one level; level `L` counts subtrees of `256^L` leaves. A partial tile
//! has its width in its path (`.p/<W>`), so every file is immutable. A bundle holds the 256 entries of a
//! level-0 tile, each prefixed by its length in 16 bits, big-endian.

mod bundle;
mod path;
mod reader;

use crate::Hash;

pub use bundle::{decode_bundle, encode_bundle, push_entry};
pub use path::{TileKind, TilePath, bundle_path, partial_dir, path};
pub(crate) use reader::read_hashes;
pub use reader::{TileError, TileReader};

/// Hashes in a full tile.
pub const TILE_WIDTH: usize = 256;
/// Binary logarithm of [`TILE_WIDTH`].
pub const TILE_HEIGHT: u32 = 8;

/// The hashes of a tile of `width`; `None` where the length does not fit.
pub fn decode_hashes(bytes: &[u8], width: usize) -> Option<&[Hash]> {
    let (hashes, over) = bytes.as_chunks::<32>();
    (over.is_empty() && hashes.len() == width).then_some(hashes)
}

/// Whole tiles before a tree of `size` at tile level `level`, and the width of the partial one after them.
pub fn extent(level: u8, size: u64) -> (u64, usize) {
    let shift = TILE_HEIGHT * u32::from(level);
    let hashes = if shift >= u64::BITS { 0 } else { size >> shift };
    (hashes >> TILE_HEIGHT, usize::try_from(hashes & 0xff).unwrap_or(0))
}
