//! A symmetric key of 32 uniform bytes: seed, leaf, page, epoch or wrapping key.
//!
//! Wiped on drop, opaque to `Debug`, compared only in constant time. Copies that the compiler leaves on
//! the stack or in registers are outside this promise.

use leadvault_domain::{Entropy, EntropyFailed};
use zeroize::Zeroizing;

use crate::hazmat::hash::constant_time_eq;

/// 32 secret bytes.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<[u8; 32]>);

impl SecretKey {
    /// Draws a fresh key.
    ///
    /// # Errors
    /// [`EntropyFailed`] when the system has no randomness to give.
    pub fn make(entropy: &dyn Entropy) -> Result<Self, EntropyFailed> {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(bytes.as_mut_slice())?;
        Ok(Self(bytes))
    }

    /// Takes over bytes that were read from a sealed place.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Shows the bytes, to be sealed again; each call site is a place to review.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Compares in constant time.
    pub fn ct_eq(&self, other: &Self) -> bool {
        constant_time_eq(self.0.as_slice(), other.0.as_slice())
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_byte_of_the_key() {
        assert_eq!(format!("{:?}", SecretKey::from_bytes([7; 32])), "SecretKey(..)");
    }

    #[test]
    fn keys_differing_in_one_bit_are_unequal() {
        let mut bytes = [7; 32];
        let key = SecretKey::from_bytes(bytes);
        assert!(key.ct_eq(&SecretKey::from_bytes(bytes)));
        bytes[31] ^= 1;
        assert!(!key.ct_eq(&SecretKey::from_bytes(bytes)));
    }
}
