//! Proofs from a published log: inclusion of one entry, consistency of two sizes, and the text of C2SP
//! tlog-proof.
//!
//! Every proof is checked against the checkpoint it is for before it is handed out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Hash;
use crate::checkpoint::Checkpoint;
use crate::source::LogSource;
use crate::tile::{TileError, TileReader};
use crate::tree::{consistency_ranges, inclusion_ranges, verify_consistency, verify_inclusion};

/// First line of a tlog-proof.
const TLOG_PROOF: &str = "c2sp.org/tlog-proof@v1";
/// Longest audit path: one hash for each bit of a size.
const PATH_MAX: usize = 64;

/// Why there is no proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The tree has no such entry, or is not that long.
    #[error("beyond the tree")]
    Beyond,
    /// A tile is missing, bad, or unreadable.
    #[error(transparent)]
    Tile(#[from] TileError),
    /// The tiles do not lead to the root of the checkpoint.
    #[error("the tiles do not lead to the root")]
    RootMismatch,
}

/// An entry's place in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// Index of the entry.
    pub index: u64,
    /// Size of the tree.
    pub size: u64,
    /// Its leaf hash.
    pub leaf_hash: Hash,
    /// From the leaf to the root.
    pub path: Vec<Hash>,
}

/// The audit path of an entry in the tree of `checkpoint`.
///
/// # Errors
/// [`ProofError`].
pub fn inclusion(
    source: &dyn LogSource,
    index: u64,
    checkpoint: &Checkpoint,
) -> Result<InclusionProof, ProofError> {
    let proof = inclusion_at(source, index, checkpoint.size, checkpoint.size)?;
    let (leaf, path, root) = (&proof.leaf_hash, &proof.path, &checkpoint.root);
    if verify_inclusion(index, checkpoint.size, leaf, path, root) {
        Ok(proof)
    } else {
        Err(ProofError::RootMismatch)
    }
}

/// The audit path of an entry in the tree of `size`, any size up to the `published` one. Its root is the
/// caller's to compare.
///
/// # Errors
/// [`ProofError`].
pub fn inclusion_at(
    source: &dyn LogSource,
    index: u64,
    size: u64,
    published: u64,
) -> Result<InclusionProof, ProofError> {
    if size > published {
        return Err(ProofError::Beyond);
    }
    let reader = TileReader::new(source, published);
    let ranges = inclusion_ranges(index, size).ok_or(ProofError::Beyond)?;
    let path: Result<_, _> = ranges.into_iter().map(|range| reader.range_root(range)).collect();
    Ok(InclusionProof { index, size, leaf_hash: reader.leaf(index)?, path: path? })
}

/// The proof that the tree of `old` is a prefix of the tree of `new`.
///
/// # Errors
/// [`ProofError`]; [`ProofError::RootMismatch`] also where it is not.
pub fn consistency(
    source: &dyn LogSource,
    old: &Checkpoint,
    new: &Checkpoint,
) -> Result<Vec<Hash>, ProofError> {
    let reader = TileReader::new(source, new.size);
    let ranges = consistency_ranges(old.size, new.size).ok_or(ProofError::Beyond)?;
    let path: Result<Vec<Hash>, _> = ranges.into_iter().map(|r| reader.range_root(r)).collect();
    let path = path?;
    if verify_consistency(old.size, new.size, &old.root, &new.root, &path) {
        Ok(path)
    } else {
        Err(ProofError::RootMismatch)
    }
}

/// Root of the first `size` entries of a log of which `published` are in tiles.
///
/// # Errors
/// [`ProofError`].
pub fn root_at(source: &dyn LogSource, size: u64, published: u64) -> Result<Hash, ProofError> {
    Ok(TileReader::new(source, published).range_root(0..size)?)
}

/// A self-contained proof: index, audit path, signed checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// Index of the entry.
    pub index: u64,
    /// From the leaf to the root of the checkpoint.
    pub path: Vec<Hash>,
    /// The signed note.
    pub checkpoint: String,
}

impl std::fmt::Display for TlogProof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{TLOG_PROOF}\nindex {}", self.index)?;
        self.path.iter().try_for_each(|hash| writeln!(f, "{}", STANDARD.encode(hash)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

impl TlogProof {
    /// Reads a proof; `None` for any other text. A line `extra` is not ours and refused.
    pub fn parse(text: &str) -> Option<Self> {
        let (head, checkpoint) = text.split_once("\n\n")?;
        let mut lines = head.split('\n');
        if lines.next()? != TLOG_PROOF {
            return None;
        }
        let index = lines.next()?.strip_prefix("index ")?.parse().ok()?;
        let path: Vec<Hash> =
            lines.map(|line| STANDARD.decode(line).ok()?.try_into().ok()).collect::<Option<_>>()?;
        let proof = Self { index, path, checkpoint: checkpoint.to_owned() };
        (proof.path.len() <= PATH_MAX && proof.to_string() == text).then_some(proof)
    }

    /// Whether `leaf` stands at the index in the tree of the checkpoint, and a known key signed that.
    pub fn verify(&self, leaf: &Hash, keys: &[crate::Vkey]) -> bool {
        Checkpoint::open(self.checkpoint.as_bytes(), keys).is_ok_and(|checkpoint| {
            verify_inclusion(self.index, checkpoint.size, leaf, &self.path, &checkpoint.root)
        })
    }
}
