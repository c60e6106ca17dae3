//! Blind index: equality tags of normalised values within one dataset (crypto.md 4.2).
//!
//! ```text
//! K_f = HKDF-Expand(K_idx, "LV1-BIK\0" || u16 field || u16 norm_version || u32 index_epoch, 32)
//! tag = first L bits of HMAC(K_f, "LV1-BIX\0" || u16 partition || value)
//! ```
//! The product uses L = 64, partition 0. Leaks equal values within a dataset and, to whoever holds the
//! key, membership: hence the rotation.

use leadvault_domain::{Entropy, EntropyFailed, TagKind};

use crate::SecretKey;
use crate::hazmat::hash::hmac_sha256;
use crate::hazmat::hkdf::derive_key;
use crate::normalise::NORM_VERSION;

/// A tag as the data store compares it: the big-endian 64 bits, read as signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub i64);

/// The index key of one dataset and index epoch.
#[derive(Debug, Clone)]
pub struct IndexKey(SecretKey);

impl IndexKey {
    /// Draws a fresh key.
    ///
    /// # Errors
    /// [`EntropyFailed`] when the system has no randomness to give.
    pub fn make(entropy: &dyn Entropy) -> Result<Self, EntropyFailed> {
        SecretKey::make(entropy).map(Self)
    }

    /// Takes over bytes read from the directory.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(SecretKey::from_bytes(bytes))
    }

    /// Shows the bytes, to be sealed again.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// Tag of a normalised value.
    pub fn tag(&self, kind: TagKind, index_epoch: u32, normalised: &[u8]) -> Tag {
        self.field_key(kind, index_epoch).tag(normalised)
    }

    /// The key of one tag kind, for many values.
    pub fn field_key(&self, kind: TagKind, index_epoch: u32) -> FieldKey {
        let form = TagForm { field: kind.0, norm_version: NORM_VERSION, index_epoch, partition: 0 };
        FieldKey(form.key(self))
    }
}

/// The key of one tag kind under an [`IndexKey`].
#[derive(Debug, Clone)]
pub struct FieldKey(SecretKey);

impl FieldKey {
    /// Tag of a normalised value.
    pub fn tag(&self, normalised: &[u8]) -> Tag {
        let mac = mac(&self.0, 0, normalised);
        let mut first = [0; 8];
        first.copy_from_slice(&mac[..8]);
        Tag(i64::from_be_bytes(first))
    }
}

/// The parameters of a tag in general.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagForm {
    /// Field, a [`TagKind`] in the product.
    pub field: u16,
    /// Version of the normalisation.
    pub norm_version: u16,
    /// Epoch of the index key.
    pub index_epoch: u32,
    /// Partition; 0 in the product.
    pub partition: u16,
}

impl TagForm {
    fn key(&self, index: &IndexKey) -> SecretKey {
        derive_key(
            &index.0,
            &[
                b"LV1-BIK\0",
                &self.field.to_be_bytes(),
                &self.norm_version.to_be_bytes(),
                &self.index_epoch.to_be_bytes(),
            ],
        )
    }
}

/// The construction in general: the first `bits` (at most 256) bits, byte-aligned, low bits masked.
pub fn tag_bits(index: &IndexKey, form: &TagForm, bits: u16, value: &[u8]) -> Vec<u8> {
    let bits = usize::from(bits.min(256));
    let mut tag = mac(&form.key(index), form.partition, value).to_vec();
    tag.truncate(bits.div_ceil(8));
    if let (Some(last), odd @ 1..) = (tag.last_mut(), bits % 8) {
        *last &= 0xff << (8 - odd);
    }
    tag
}

fn mac(key: &SecretKey, partition: u16, value: &[u8]) -> [u8; 32] {
    hmac_sha256(key.expose(), &[b"LV1-BIX\0", &partition.to_be_bytes(), value])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_tag_is_the_general_form_at_64_bits() {
        let index = IndexKey::from_bytes([9; 32]);
        let form = TagForm {
            field: TagKind::PHONE.0,
            norm_version: NORM_VERSION,
            index_epoch: 3,
            partition: 0,
        };
        let Tag(tag) = index.tag(TagKind::PHONE, 3, b"+442079460000");
        assert_eq!(tag.to_be_bytes().to_vec(), tag_bits(&index, &form, 64, b"+442079460000"));
    }

    #[test]
    fn kind_epoch_value_and_key_each_change_the_tag() {
        let index = IndexKey::from_bytes([9; 32]);
        let tag = index.tag(TagKind::EMAIL, 1, b"ada@example.com");
        assert_ne!(tag, index.tag(TagKind::DOMAIN, 1, b"ada@example.com"));
        assert_ne!(tag, index.tag(TagKind::EMAIL, 2, b"ada@example.com"));
        assert_ne!(tag, index.tag(TagKind::EMAIL, 1, b"bob@example.com"));
        assert_ne!(tag, IndexKey::from_bytes([8; 32]).tag(TagKind::EMAIL, 1, b"ada@example.com"));
    }
}
