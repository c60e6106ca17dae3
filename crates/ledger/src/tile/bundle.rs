//! Entry bundles: each entry behind its length in 16 bits, big-endian.

use crate::tile::TILE_WIDTH;

/// Appends one entry to a bundle. Entries are never longer than 65,535 bytes (`EntryError::TooLarge`); a
/// longer one is not appended and `false` comes back.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> bool {
    let Ok(length) = u16::try_from(entry.len()) else { return false };
    bundle.extend(length.to_be_bytes());
    bundle.extend(entry);
    true
}

/// A bundle of these entries; `None` if one is too long.
pub fn encode_bundle<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut bundle = Vec::new();
    entries.into_iter().all(|entry| push_entry(&mut bundle, entry)).then_some(bundle)
}

/// The entries of a bundle. `None` where an entry is longer than what is left of the bundle, or there are
/// more than a tile holds.
pub fn decode_bundle(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        if entries.len() == TILE_WIDTH {
            return None;
        }
        entries.push(entry);
        bytes = rest;
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_bundle_reads_back(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..70), 0..257)) {
            let bundle = encode_bundle(entries.iter().map(Vec::as_slice)).unwrap();
            let read = decode_bundle(&bundle);
            if entries.len() > TILE_WIDTH {
                prop_assert_eq!(read, None);
            } else {
                prop_assert_eq!(read.unwrap(), entries);
            }
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Some(entries) = decode_bundle(&bytes) {
                prop_assert_eq!(encode_bundle(entries).unwrap(), bytes);
            }
        }
    }

    #[test]
    fn an_entry_longer_than_the_bundle_is_refused() {
        assert_eq!(decode_bundle(&[0, 3, b'a', b'b']), None);
        assert_eq!(decode_bundle(&[0]), None);
        assert_eq!(decode_bundle(&[0, 2, b'a', b'b']), Some(vec![b"ab".as_slice()]));
        assert!(!push_entry(&mut Vec::new(), &vec![0; 65_536]));
    }
}
