//! A page: the cover of 2^14 leaves, once something inside was punctured (crypto.md 3.3).
//!
//! A page is sealed as LV1 kind 12 under a key of its own that is new on every rewrite, and written as a
//! new row; the directory names its id, key, version and SHA-256. An old page opens under no key that is
//! left once the directory that named it opens under none.
//!
//! ```text
//! payload (frozen)   u8 format = 01 | u32 n | n × ( u32 first leaf | u8 depth | seed[32] )   ascending
//! ```
//! The same node list stands in the directory for the nodes that span whole pages.

use leadvault_crypto::{Cover, SecretKey, sha256};
use leadvault_domain::{Entropy, PageId};

use crate::KeyError;
use crate::envelope::{PagePlace, make_id};
use crate::wire::{Reader, Writer};

/// Depth of the node that is one page.
pub(crate) const PAGE_DEPTH: u8 = 18;
/// Leaves of one page.
pub(crate) const PAGE_LEAVES: u64 = 1 << 14;
/// Bytes of one written node.
pub(crate) const NODE_BYTES: usize = 4 + 1 + 32;

const FORMAT: u8 = 1;

/// Number of the page that holds a leaf.
pub(crate) const fn page_of(leaf: u32) -> u32 {
    leaf >> 14
}

/// First leaf of a page.
pub(crate) const fn first_leaf(page_no: u32) -> u32 {
    page_no << 14
}

/// What the directory knows of a page.
#[derive(Clone)]
pub(crate) struct PageRef {
    pub(crate) id: PageId,
    pub(crate) key: SecretKey,
    pub(crate) version: u32,
    pub(crate) hash: [u8; 32],
}

/// Seals a cover as a new page of the next version. Returns what the directory names, and the blob.
pub(crate) fn seal_page(
    place: &PagePlace,
    version_before: u32,
    cover: &Cover,
    entropy: &dyn Entropy,
) -> Result<(PageRef, Vec<u8>), KeyError> {
    let version = version_before.checked_add(1).ok_or(KeyError::CounterExhausted)?;
    let key = SecretKey::make(entropy)?;
    let mut out = Writer::with_capacity(1 + 4 + cover.len() * NODE_BYTES);
    out.u8(FORMAT);
    write_nodes(&mut out, cover)?;
    let blob = place.seal(&key, version, &out.finish(), entropy)?;
    let id = PageId::from_bytes(make_id(entropy)?);
    let hash = sha256(&[&blob]);
    Ok((PageRef { id, key, version, hash }, blob))
}

/// Opens the blob of a page, after its hash was compared with the one the directory names.
pub(crate) fn open_page(place: &PagePlace, at: &PageRef, blob: &[u8]) -> Result<Cover, KeyError> {
    if sha256(&[blob]) != at.hash {
        return Err(KeyError::PageDamaged { tenant: place.tenant, page: at.id });
    }
    let plain = place.open(&at.key, at.version, blob)?;
    let mut from = Reader::new(&plain);
    if from.u8()? != FORMAT {
        return Err(KeyError::Malformed);
    }
    let cover = read_nodes(&mut from)?;
    from.finish()?;
    let inside = |(first, depth, _): (u32, u8, &SecretKey)| {
        depth >= PAGE_DEPTH && page_of(first) == place.page_no
    };
    if cover.nodes().all(inside) { Ok(cover) } else { Err(KeyError::Malformed) }
}

pub(crate) fn write_nodes(out: &mut Writer, cover: &Cover) -> Result<(), KeyError> {
    out.count(cover.len())?;
    for (first, depth, seed) in cover.nodes() {
        out.u32(first);
        out.u8(depth);
        out.bytes(seed.expose());
    }
    Ok(())
}

/// Reads a node list; unsorted, unaligned and overlapping ones are refused.
pub(crate) fn read_nodes(from: &mut Reader<'_>) -> Result<Cover, KeyError> {
    let n = from.count(NODE_BYTES)?;
    let mut nodes = Vec::with_capacity(n);
    let mut last = None;
    for _ in 0..n {
        let first = from.u32()?;
        if last.is_some_and(|last| first <= last) {
            return Err(KeyError::Malformed);
        }
        last = Some(first);
        nodes.push((first, from.u8()?, from.key()?));
    }
    Cover::from_nodes(nodes).map_err(|_| KeyError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use leadvault_domain::TenantId;

    fn cover() -> Cover {
        let mut cover = Cover::new(SecretKey::from_bytes([5; 32]))
            .carve(first_leaf(3), PAGE_DEPTH)
            .unwrap_or_default();
        cover.puncture(first_leaf(3) + 9);
        cover
    }

    fn place() -> PagePlace {
        PagePlace { tenant: TenantId::from_bytes([1; 16]), dataset: [2; 16], tree: 1, page_no: 3 }
    }

    #[test]
    fn the_payload_is_frozen() {
        let nodes = [(0x4000, 18, [7; 32]), (0x8000, 31, [8; 32])];
        let cover = Cover::from_nodes(nodes.map(|(f, d, s)| (f, d, SecretKey::from_bytes(s))));
        let mut out = Writer::with_capacity(0);
        write_nodes(&mut out, &cover.unwrap()).unwrap();
        let expected =
            format!("000000020000400012{}000080001f{}", "07".repeat(32), "08".repeat(32));
        assert_eq!(hex::encode(&*out.finish()), expected);
    }

    #[test]
    fn a_sealed_page_opens_in_its_place_and_nowhere_else() {
        let entropy = leadvault_crypto::SystemEntropy;
        let (at, blob) = seal_page(&place(), 4, &cover(), &entropy).unwrap();
        assert_eq!(at.version, 5);
        let opened = open_page(&place(), &at, &blob).unwrap();
        assert_eq!(opened.len(), 14);
        assert!(opened.is_live(first_leaf(3)) && !opened.is_live(first_leaf(3) + 9));
        assert!(opened.eval(first_leaf(3)).unwrap().ct_eq(&cover().eval(first_leaf(3)).unwrap()));
        for other in [
            PagePlace { page_no: 4, ..place() },
            PagePlace { tree: 2, ..place() },
            PagePlace { dataset: [3; 16], ..place() },
        ] {
            assert_eq!(open_page(&other, &at, &blob).err(), Some(KeyError::Unopenable));
        }
    }

    #[test]
    fn every_rewrite_has_a_new_id_and_a_new_key_and_a_changed_byte_is_noticed() {
        let entropy = leadvault_crypto::SystemEntropy;
        let (a, mut blob) = seal_page(&place(), 0, &cover(), &entropy).unwrap();
        let (b, _) = seal_page(&place(), 0, &cover(), &entropy).unwrap();
        assert!(a.id != b.id && !a.key.ct_eq(&b.key));
        blob[90] ^= 1;
        assert!(matches!(open_page(&place(), &a, &blob), Err(KeyError::PageDamaged { .. })));
    }

    #[test]
    fn a_page_version_at_its_limit_is_refused() {
        let entropy = leadvault_crypto::SystemEntropy;
        let refused = seal_page(&place(), u32::MAX, &cover(), &entropy).err();
        assert_eq!(refused, Some(KeyError::CounterExhausted));
    }
}
