//! The directory: every key of a tenant, sealed under the epoch key (crypto.md 3.3).
//!
//! Roots, page keys, index keys and the suppression key are random; nothing here is derived from a key
//! that lives longer. A directory of an older epoch opens under no key that still exists.
//!
//! ```text
//! payload (frozen, big-endian; every list ascending and without repeats)
//! u8  format = 01
//! u32 epoch
//! u32 structural epoch       last epoch at which a dataset, tree or tag key came or went
//! 32  K_sup
//! u32 datasets × ( u32 number | 16 id
//!                  u32 tag keys × ( u32 index epoch | 32 K_idx )
//!                  u32 trees × ( u32 tree
//!                                u32 upper nodes × ( u32 first | u8 depth <= 18 | 32 seed )
//!                                u32 pages × ( u32 page number | 16 page id | 32 PK | u32 version | 32 SHA-256 ) ) )
//! ```
//! Dataset 0 is the tenant's system tree; its id is the tenant's, and it has no tag key.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::Arc;

use leadvault_crypto::{IndexKey, SuppressionKey};
use leadvault_domain::{DatasetNo, Entropy, PageId, TenantId};
use zeroize::Zeroizing;

use crate::KeyError;
use crate::page::{NODE_BYTES, PAGE_DEPTH, PageRef, read_nodes, write_nodes};
use crate::tree::{Page, Tree};
use crate::wire::{Reader, Writer};

/// Most datasets of a tenant, the system tree not counted (protocols.md 1.1).
pub(crate) const DATASETS_MAX: usize = 1_000;
/// A directory above this is worth a warning: it is rewritten by each erasure.
pub(crate) const DIRECTORY_BYTES_WARN: usize = 100_000;

const FORMAT: u8 = 1;
const PAGE_REF_BYTES: usize = 4 + 16 + 32 + 4 + 32;
const TAG_KEY_BYTES: usize = 4 + 32;
/// A page number has 18 bits.
const PAGE_NO_MAX: u32 = (1 << PAGE_DEPTH) - 1;

/// The keys of one dataset.
#[derive(Clone)]
pub(crate) struct Dataset<P> {
    pub(crate) id: [u8; 16],
    pub(crate) tag_keys: BTreeMap<u32, IndexKey>,
    pub(crate) trees: BTreeMap<u32, Arc<Tree<P>>>,
}

/// All keys of a tenant; `P` as in [`Tree`].
#[derive(Clone)]
pub(crate) struct Directory<P> {
    pub(crate) epoch: u32,
    pub(crate) structural_epoch: u32,
    pub(crate) suppression: SuppressionKey,
    pub(crate) datasets: BTreeMap<DatasetNo, Dataset<P>>,
}

impl<P> Dataset<P> {
    /// Tree 1 under a random root; tag key 1 unless it is the system tree.
    pub(crate) fn make(id: [u8; 16], tagged: bool, e: &dyn Entropy) -> Result<Self, KeyError> {
        let mut tag_keys = BTreeMap::new();
        if tagged {
            tag_keys.insert(1, IndexKey::make(e)?);
        }
        let trees = BTreeMap::from([(1, Arc::new(Tree::make(e)?))]);
        Ok(Self { id, tag_keys, trees })
    }
}

impl<P> Directory<P> {
    /// The directory a tenant is born with.
    pub(crate) fn make(tenant: TenantId, entropy: &dyn Entropy) -> Result<Self, KeyError> {
        let system = Dataset::make(tenant.bytes(), false, entropy)?;
        Ok(Self {
            epoch: 1,
            structural_epoch: 1,
            suppression: SuppressionKey::make(entropy)?,
            datasets: BTreeMap::from([(DatasetNo::SYSTEM, system)]),
        })
    }
}

impl Directory<Page> {
    /// Ids of all pages it names.
    pub(crate) fn page_ids(&self) -> Vec<PageId> {
        let trees = self.datasets.values().flat_map(|d| d.trees.values());
        trees.flat_map(|tree| tree.pages.values().map(|page| page.at.id)).collect()
    }
}

impl Borrow<PageRef> for Page {
    fn borrow(&self) -> &PageRef {
        &self.at
    }
}

impl<P: Borrow<PageRef>> Directory<P> {
    /// The payload.
    pub(crate) fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let mut out = Writer::with_capacity(self.bytes_max());
        out.u8(FORMAT);
        out.u32(self.epoch);
        out.u32(self.structural_epoch);
        out.bytes(self.suppression.expose());
        out.count(self.datasets.len())?;
        for (no, dataset) in &self.datasets {
            out.u32(no.0);
            out.bytes(&dataset.id);
            out.count(dataset.tag_keys.len())?;
            for (index_epoch, key) in &dataset.tag_keys {
                out.u32(*index_epoch);
                out.bytes(key.expose());
            }
            out.count(dataset.trees.len())?;
            for (tree_id, tree) in &dataset.trees {
                out.u32(*tree_id);
                write_nodes(&mut out, &tree.upper)?;
                out.count(tree.pages.len())?;
                for (page_no, page) in &tree.pages {
                    write_page_ref(&mut out, *page_no, page.borrow());
                }
            }
        }
        Ok(out.finish())
    }

    /// Enough room for the payload, so that secrets are not copied by a growing buffer.
    fn bytes_max(&self) -> usize {
        let tree =
            |t: &Arc<Tree<P>>| 12 + t.upper.len() * NODE_BYTES + t.pages.len() * PAGE_REF_BYTES;
        let dataset = |d: &Dataset<P>| {
            28 + d.tag_keys.len() * TAG_KEY_BYTES + d.trees.values().map(tree).sum::<usize>()
        };
        45 + self.datasets.values().map(dataset).sum::<usize>()
    }
}

fn write_page_ref(out: &mut Writer, page_no: u32, page: &PageRef) {
    out.u32(page_no);
    out.bytes(&page.id.bytes());
    out.bytes(page.key.expose());
    out.u32(page.version);
    out.bytes(&page.hash);
}

impl Directory<PageRef> {
    /// Reads a payload; anything but the one form that [`Directory::to_bytes`] writes is refused.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let mut from = Reader::new(bytes);
        if from.u8()? != FORMAT {
            return Err(KeyError::Malformed);
        }
        let (epoch, structural_epoch) = (from.u32()?, from.u32()?);
        let suppression = SuppressionKey::from_bytes(from.array()?);
        let datasets =
            map(&mut from, 28, |from| Ok((DatasetNo(from.u32()?), read_dataset(from)?)))?;
        from.finish()?;
        Ok(Self { epoch, structural_epoch, suppression, datasets })
    }
}

fn read_dataset(from: &mut Reader<'_>) -> Result<Dataset<PageRef>, KeyError> {
    let id = from.array()?;
    let tag_keys =
        map(from, TAG_KEY_BYTES, |from| Ok((from.u32()?, IndexKey::from_bytes(from.array()?))))?;
    let trees = map(from, 12, |from| Ok((from.u32()?, Arc::new(read_tree(from)?))))?;
    Ok(Dataset { id, tag_keys, trees })
}

fn read_tree(from: &mut Reader<'_>) -> Result<Tree<PageRef>, KeyError> {
    let upper = read_nodes(from)?;
    if upper.nodes().any(|(_, depth, _)| depth > PAGE_DEPTH) {
        return Err(KeyError::Malformed);
    }
    let pages = map(from, PAGE_REF_BYTES, |from| {
        let page_no = from.u32()?;
        let id = PageId::from_bytes(from.array()?);
        let (key, version, hash) = (from.key()?, from.u32()?, from.array()?);
        Ok((page_no, PageRef { id, key, version, hash }))
    })?;
    if pages.keys().next_back().is_some_and(|last| *last > PAGE_NO_MAX) {
        return Err(KeyError::Malformed);
    }
    Ok(Tree { upper, pages })
}

/// A counted list, strictly ascending by key.
fn map<K: Ord + Copy, V>(
    from: &mut Reader<'_>,
    each_bytes_min: usize,
    read: impl Fn(&mut Reader<'_>) -> Result<(K, V), KeyError>,
) -> Result<BTreeMap<K, V>, KeyError> {
    let n = from.count(each_bytes_min)?;
    let mut out = BTreeMap::new();
    for _ in 0..n {
        let (key, value) = read(from)?;
        if out.last_key_value().is_some_and(|(last, _)| *last >= key) {
            return Err(KeyError::Malformed);
        }
        out.insert(key, value);
    }
    Ok(out)
}
