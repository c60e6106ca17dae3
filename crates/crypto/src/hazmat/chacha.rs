//! ChaCha20-Poly1305 (RFC 8439), for the formats of others only: LV1 uses AES-256-GCM.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use super::aead::{AeadFailed, TAG_BYTES};
use crate::SecretKey;

/// A key; the caller never gives it one nonce twice.
pub(crate) struct ChaCha(LessSafeKey);

impl ChaCha {
    #[expect(clippy::expect_used, reason = "ring refuses keys of another length than 32 only")]
    pub(crate) fn new(key: &SecretKey) -> Self {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key.expose()).expect("a key has 32 bytes");
        Self(LessSafeKey::new(key))
    }

    /// Encrypts `text` in place and returns the tag.
    #[expect(clippy::expect_used, reason = "ring refuses messages above 256 GiB only")]
    pub(crate) fn seal_in_place(&self, nonce: [u8; 12], text: &mut [u8]) -> [u8; TAG_BYTES] {
        let tag = self
            .0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), text)
            .expect("callers seal keys and chunks of 64 KiB");
        let mut out = [0; TAG_BYTES];
        out.copy_from_slice(tag.as_ref());
        out
    }

    /// Decrypts `text || tag` in place and returns the plaintext.
    pub(crate) fn open_in_place<'t>(
        &self,
        nonce: [u8; 12],
        text_and_tag: &'t mut [u8],
    ) -> Result<&'t [u8], AeadFailed> {
        self.0
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::empty(), text_and_tag)
            .map(|text| &*text)
            .map_err(|_| AeadFailed)
    }
}
