//! Ed25519 (RFC 8032): checkpoints, receipts, exports, instructions.

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::SecretKey;

/// A signing key, expanded once. ring does not wipe it, so it lives as long as its process may sign.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// Expands the seed (RFC 8032 5.1.5).
    #[expect(clippy::expect_used, reason = "ring refuses seeds of another length than 32 only")]
    pub fn from_seed(seed: &SecretKey) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(seed.expose()).expect("a seed has 32 bytes"))
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut out = [0; 64];
        out.copy_from_slice(self.0.sign(message).as_ref());
        out
    }

    /// The key that verifies.
    pub fn verifying_key(&self) -> VerifyingKey {
        let mut out = [0; 32];
        out.copy_from_slice(self.0.public_key().as_ref());
        VerifyingKey(out)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// A public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VerifyingKey([u8; 32]);

impl VerifyingKey {
    /// Takes the 32 bytes of RFC 8032; a point that is none verifies nothing.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of RFC 8032.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether `signature` is this key's over `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_verifies_and_a_changed_message_does_not() {
        let key = SigningKey::from_seed(&SecretKey::from_bytes([7; 32]));
        let signature = key.sign(b"message");
        assert!(key.verifying_key().verify(b"message", &signature));
        assert!(!key.verifying_key().verify(b"massage", &signature));
        assert!(!key.verifying_key().verify(b"message", &signature[..63]));
    }
}
