//! Paths of tiles: `tile/<L>/<N>[.p/<W>]` and `tile/entries/<N>[.p/<W>]`, `<N>` in groups of three digits,
//! all but the last with an `x`.

use crate::tile::TILE_WIDTH;

/// Highest tile level a 64-bit size can reach.
const LEVEL_MAX: u8 = 7;

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TileKind {
    /// Hashes of this level.
    Hashes(u8),
    /// Entries.
    Entries,
}

/// A parsed path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TilePath {
    /// Hashes or entries.
    pub kind: TileKind,
    /// Position within the level.
    pub index: u64,
    /// 1 to 256; 256 is a full tile and stands in no path.
    pub width: usize,
}

/// Path of a tile of hashes.
pub fn path(level: u8, index: u64, width: usize) -> String {
    TilePath { kind: TileKind::Hashes(level), index, width }.to_string()
}

/// Path of an entry bundle.
pub fn bundle_path(index: u64, width: usize) -> String {
    TilePath { kind: TileKind::Entries, index, width }.to_string()
}

/// Directory of the partial versions of a tile; all of them are superseded once the full one exists.
pub fn partial_dir(kind: TileKind, index: u64) -> String {
    format!("{}.p", TilePath { kind, index, width: TILE_WIDTH })
}

impl std::fmt::Display for TilePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            TileKind::Hashes(level) => write!(f, "tile/{level}/")?,
            TileKind::Entries => f.write_str("tile/entries/")?,
        }
        let mut groups = vec![self.index % 1000];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        for group in groups.iter().skip(1).rev() {
            write!(f, "x{group:03}/")?;
        }
        write!(f, "{:03}", groups.first().copied().unwrap_or(0))?;
        if self.width < TILE_WIDTH { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

impl TilePath {
    /// Reads a path; `None` unless it is written exactly as [`TilePath`] prints it.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("tile/")?;
        let (kind, rest) = rest.split_once('/')?;
        let kind = match kind {
            "entries" => TileKind::Entries,
            digits => TileKind::Hashes(digits.parse().ok().filter(|level| *level <= LEVEL_MAX)?),
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => {
                (number, width.parse().ok().filter(|w| (1..TILE_WIDTH).contains(w))?)
            }
            None => (rest, TILE_WIDTH),
        };
        let mut index: u64 = 0;
        for group in number.split('/') {
            let digits: u64 = group.strip_prefix('x').unwrap_or(group).parse().ok()?;
            index = index.checked_mul(1000)?.checked_add(digits)?;
        }
        let parsed = Self { kind, index, width };
        // One spelling each: leading zeros, signs and misplaced groups print differently.
        (parsed.to_string() == text).then_some(parsed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_have_the_form_of_the_specification() {
        assert_eq!(path(0, 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(path(3, 0, 5), "tile/3/000.p/5");
        assert_eq!(bundle_path(999, 1), "tile/entries/999.p/1");
        assert_eq!(partial_dir(TileKind::Hashes(1), 1000), "tile/1/x001/000.p");
        for bad in [
            "",
            "tile",
            "tile/0",
            "tile/8/000",
            "tile/0/0",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/05",
            "tile/0/001/000",
            "tile/0/x000/001",
            "tile/+1/000",
            "tile/0/000/",
            "tile/0/x001/x000",
            "/tile/0/000",
            "tile/0/../0/000",
            "tile/data/000",
        ] {
            assert_eq!(TilePath::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_path_reads_back(level in 0_u8..8, index in any::<u64>(), width in 1_usize..257, bundle: bool) {
            let kind = if bundle { TileKind::Entries } else { TileKind::Hashes(level) };
            let path = TilePath { kind, index, width };
            prop_assert_eq!(TilePath::parse(&path.to_string()), Some(path));
        }

        #[test]
        fn random_paths_never_panic(text in "(tile/)?[0-9x/.p]{0,24}", any in ".{0,40}") {
            for text in [text, any] {
                if let Some(path) = TilePath::parse(&text) {
                    prop_assert_eq!(path.to_string(), text);
                }
            }
        }
    }
}
