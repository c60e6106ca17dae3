//! The tenant's log inside a package: the files that one checkpoint covers.
//!
//! Partial tiles are superseded while a copy is made; one that has gone is cut from the wider one that took its
//! place. A bundle that was pruned is left out: the verifier finds its announcement in a later entry.

use leadvault_ledger::tile::{
    TILE_WIDTH, TileKind, TilePath, bundle_path, decode_bundle, encode_bundle, extent,
};
use leadvault_ledger::{LogSource, tile};

use crate::error::Fault;

/// Levels of tiles that a 64-bit size can have.
const LEVELS_MAX: u8 = 8;
/// Length of a hash.
const HASH_BYTES: usize = 32;

/// Paths of the files that a checkpoint of `size` covers.
pub(crate) fn paths(size: u64) -> impl Iterator<Item = TilePath> {
    let bundles = tiles(TileKind::Entries, 0, size);
    bundles.chain((0..LEVELS_MAX).flat_map(move |l| tiles(TileKind::Hashes(l), l, size)))
}

fn tiles(kind: TileKind, level: u8, size: u64) -> impl Iterator<Item = TilePath> {
    let (full, partial) = extent(level, size);
    let whole = (0..full).map(move |index| TilePath { kind, index, width: TILE_WIDTH });
    let edge = (partial > 0).then_some(TilePath { kind, index: full, width: partial });
    whole.chain(edge)
}

/// The bytes of a file; `None` for a pruned bundle.
///
/// # Errors
/// [`Fault::NotReady`] for a tile that is not there or cannot be read.
pub(crate) fn read(source: &dyn LogSource, path: &TilePath) -> Result<Option<Vec<u8>>, Fault> {
    if let Some(bytes) = source.read(&path.to_string()).map_err(|_| Fault::NotReady)? {
        return Ok(Some(bytes));
    }
    for width in path.width + 1..=TILE_WIDTH {
        let wider = match path.kind {
            TileKind::Entries => bundle_path(path.index, width),
            TileKind::Hashes(level) => tile::path(level, path.index, width),
        };
        if let Some(bytes) = source.read(&wider).map_err(|_| Fault::NotReady)? {
            return cut(path, &bytes).map(Some).ok_or(Fault::NotReady);
        }
    }
    match path.kind {
        TileKind::Entries => Ok(None),
        TileKind::Hashes(_) => Err(Fault::NotReady),
    }
}

/// The narrower file inside a wider one.
fn cut(path: &TilePath, bytes: &[u8]) -> Option<Vec<u8>> {
    match path.kind {
        TileKind::Hashes(_) => bytes.get(..path.width * HASH_BYTES).map(<[u8]>::to_vec),
        TileKind::Entries => {
            let entries = decode_bundle(bytes)?;
            encode_bundle(entries.get(..path.width)?.iter().copied())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_log_of_three_hundred_entries_has_two_bundles_and_three_tiles() {
        let all: Vec<String> = paths(300).map(|p| p.to_string()).collect();
        assert_eq!(
            all,
            [
                "tile/entries/000",
                "tile/entries/001.p/44",
                "tile/0/000",
                "tile/0/001.p/44",
                "tile/1/000.p/1",
            ]
        );
        assert_eq!(paths(0).count(), 0);
    }

    #[test]
    fn a_superseded_file_is_cut_from_the_wider_one_and_a_pruned_bundle_is_left_out() {
        let wider = encode_bundle([b"a".as_slice(), b"b", b"c"]).unwrap();
        let files: BTreeMap<String, Vec<u8>> = [(bundle_path(0, 3), wider)].into();
        let narrow = TilePath { kind: TileKind::Entries, index: 0, width: 2 };
        let expected = encode_bundle([b"a".as_slice(), b"b"]).unwrap();
        assert_eq!(read(&files, &narrow), Ok(Some(expected)));
        let pruned = TilePath { kind: TileKind::Entries, index: 1, width: 256 };
        assert_eq!(read(&files, &pruned), Ok(None));
        let hashes = TilePath { kind: TileKind::Hashes(0), index: 0, width: 2 };
        assert_eq!(read(&files, &hashes), Err(Fault::NotReady));
    }
}
