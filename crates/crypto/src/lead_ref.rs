//! The name a lead has in the log: derived from its leaf key, gone with it (crypto.md 5.3).

use std::fmt;

use crate::SecretKey;
use crate::hazmat::hkdf::derive_bytes;

/// A shreddable pseudonym of 16 bytes; text form is 32 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeadRef([u8; 16]);

/// Derives the reference of the lead whose leaf key this is. After the puncture nobody can.
pub fn lead_ref(leaf: &SecretKey, tenant: &[u8; 16], dataset: &[u8; 16]) -> LeadRef {
    LeadRef(derive_bytes(leaf, &[b"LV1-REF\0", tenant, dataset]))
}

impl LeadRef {
    /// Takes a reference back out of an entry.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads the text form; nothing for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let lower = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let mut bytes = [0; 16];
        (lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(Self(bytes))
    }
}

impl fmt::Display for LeadRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for LeadRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeadRef({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_reads_back_and_no_other_text_does() {
        let reference = lead_ref(&SecretKey::from_bytes([1; 32]), &[2; 16], &[3; 16]);
        let text = reference.to_string();
        assert_eq!(LeadRef::parse(&text), Some(reference));
        assert_eq!(LeadRef::parse(&text.to_uppercase()), None);
        assert_eq!(LeadRef::parse(text.get(1..).unwrap()), None);
    }

    #[test]
    fn one_leaf_has_unrelated_references_under_two_datasets() {
        let leaf = SecretKey::from_bytes([1; 32]);
        assert_ne!(lead_ref(&leaf, &[2; 16], &[3; 16]), lead_ref(&leaf, &[2; 16], &[4; 16]));
        assert_ne!(lead_ref(&leaf, &[2; 16], &[3; 16]), lead_ref(&leaf, &[3; 16], &[3; 16]));
    }
}
