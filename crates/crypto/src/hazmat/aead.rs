//! AES-256-GCM in place, detached tag. The caller owns the nonce rule: one key seals one message.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// Length of the tag.
pub(crate) const TAG_BYTES: usize = 16;

/// The message was longer than the mode allows, or the tag did not match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AeadFailed;

fn key(bytes: &[u8; 32]) -> Result<LessSafeKey, AeadFailed> {
    UnboundKey::new(&AES_256_GCM, bytes).map(LessSafeKey::new).map_err(|_| AeadFailed)
}

/// Encrypts `text` in place and returns the tag.
pub(crate) fn seal_in_place(
    secret: &[u8; 32],
    nonce: [u8; 12],
    aad: &[u8],
    text: &mut [u8],
) -> Result<[u8; TAG_BYTES], AeadFailed> {
    let tag = key(secret)?
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), text)
        .map_err(|_| AeadFailed)?;
    tag.as_ref().try_into().map_err(|_| AeadFailed)
}

/// Decrypts `text || tag` in place; the plaintext is `text`'s place, the tag's bytes are left behind it.
pub(crate) fn open_in_place(
    secret: &[u8; 32],
    nonce: [u8; 12],
    aad: &[u8],
    text_and_tag: &mut [u8],
) -> Result<(), AeadFailed> {
    key(secret)?
        .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(aad), text_and_tag)
        .map(|_| ())
        .map_err(|_| AeadFailed)
}
