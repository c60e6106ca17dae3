//! The files of a log directory that its checkpoint does not need: partial tiles and bundles of checkpoints
//! before it, and the copy of the verifier key.
//!
//! Nothing depends on them, so none of them may be missing; but one that is there and says something else
//! was changed by somebody, and is named.

use std::collections::BTreeSet;
use std::path::Path;

use leadvault_ledger::tile::{TileKind, TilePath};
use leadvault_ledger::{DirSource, Failure, LogSource as _, Verdict, Vkey};

/// Leaves of a full tile, and entries of a full bundle.
const WIDTH: u64 = 256;
/// Bytes of a hash.
const HASH_BYTES: usize = 32;
/// Name of the copy of the verifier key.
const VKEY: &str = "vkey";
/// Directories of tiles are not nested deeper (C2SP tlog-tiles: `tile/<level>/x001/x234/567.p/8`).
const DEPTH_MAX: usize = 12;

/// Looks at a log that verified; a file that says something else turns the verdict.
pub(crate) fn check(directory: &Path, vkey: &str, verdict: &mut Verdict) {
    let source = DirSource::new(directory);
    let read = |path: &str| source.read(path).ok().flatten();
    let found = changed_key(read(VKEY), vkey).or_else(|| {
        let mut partials = BTreeSet::new();
        collect(directory, "tile", DEPTH_MAX, &mut partials);
        partials.into_iter().find_map(|path| changed_partial(&path, verdict.size, &read))
    });
    if let Some((failure, at)) = found {
        verdict.ok = false;
        verdict.failure = Some(failure);
        verdict.at = Some(at);
    }
}

/// The copy of the key must hold a key that was given.
fn changed_key(copy: Option<Vec<u8>>, given: &str) -> Option<(Failure, String)> {
    let copy = copy?;
    let text = String::from_utf8(copy).unwrap_or_default();
    let Ok(copied) = Vkey::parse_all(&text) else {
        return Some((Failure::Malformed, VKEY.to_owned()));
    };
    let given = Vkey::parse_all(given).unwrap_or_default();
    let is_known = copied.iter().any(|key| given.iter().any(|g| g.to_string() == key.to_string()));
    if is_known { None } else { Some((Failure::UnknownKey, VKEY.to_owned())) }
}

/// Paths of the partial tiles and bundles below `inside`.
fn collect(root: &Path, inside: &str, depth: usize, partials: &mut BTreeSet<String>) {
    let Ok(entries) = std::fs::read_dir(root.join(inside)) else { return };
    for entry in entries.flatten() {
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        let path = format!("{inside}/{name}");
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 0 => collect(root, &path, depth - 1, partials),
            Ok(kind) if kind.is_file() && inside.strip_suffix(".p").is_some() => {
                partials.insert(path);
            }
            _ => {}
        }
    }
}

/// A partial file must be how the file that covers it begins. One that is wider than the checkpoint covers
/// belongs to a checkpoint that never came, and says nothing.
fn changed_partial(
    path: &str,
    size: u64,
    read: &impl Fn(&str) -> Option<Vec<u8>>,
) -> Option<(Failure, String)> {
    let parsed = TilePath::parse(path)?;
    let level = match parsed.kind {
        TileKind::Entries => 0,
        TileKind::Hashes(level) => level,
    };
    let nodes = size.checked_shr(u32::from(level) * 8).unwrap_or(0);
    let covered = nodes.saturating_sub(parsed.index.saturating_mul(WIDTH)).min(WIDTH);
    let covered = usize::try_from(covered).unwrap_or(usize::MAX);
    if parsed.width > covered {
        return None;
    }
    let failure = match parsed.kind {
        TileKind::Entries => Failure::BadBundle,
        TileKind::Hashes(_) => Failure::BadTile,
    };
    let whole = read(&TilePath { width: covered, ..parsed }.to_string());
    let whole = whole.or_else(|| read(&TilePath { width: 256, ..parsed }.to_string()));
    // A pruned bundle leaves nothing to compare with.
    let (whole, partial) = (whole?, read(path)?);
    let length_fits = match parsed.kind {
        TileKind::Hashes(_) => partial.len() == parsed.width * HASH_BYTES,
        TileKind::Entries => entries(&partial) == Some(parsed.width),
    };
    if length_fits && whole.starts_with(&partial) { None } else { Some((failure, path.to_owned())) }
}

/// Entries in a bundle; `None` where it is none.
fn entries(bundle: &[u8]) -> Option<usize> {
    leadvault_ledger::tile::decode_bundle(bundle).map(|entries| entries.len())
}
