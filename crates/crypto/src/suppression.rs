//! Suppression tags: what is remembered of a person who must not be taken in again (crypto.md 4.7).
//!
//! 128 bits, because a false match silently drops a person; one key per tenant, for the tenant's life.

use leadvault_domain::{Entropy, EntropyFailed};

use crate::SecretKey;
use crate::hazmat::hash::hmac_sha256;

/// A tenant's suppression key.
#[derive(Debug, Clone)]
pub struct SuppressionKey(SecretKey);

impl SuppressionKey {
    /// Kind of an e-mail address.
    pub const EMAIL: u8 = 1;
    /// Kind of a phone number.
    pub const PHONE: u8 = 2;
    /// Kind of a domain.
    pub const DOMAIN: u8 = 3;

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

    /// Tag of a normalised value of `kind`.
    pub fn tag(&self, kind: u8, value: &[u8]) -> [u8; 16] {
        let mac = hmac_sha256(self.expose(), &[b"LV1-SUP\0", &[kind], value]);
        let mut tag = [0; 16];
        tag.copy_from_slice(&mac[..16]);
        tag
    }
}
