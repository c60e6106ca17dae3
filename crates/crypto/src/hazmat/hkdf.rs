//! HKDF-SHA-256 (RFC 5869). LV1 leaves Extract out, since its keys are uniform (RFC 5869 3.3); only the
//! formats of others (age) use it.

use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use zeroize::Zeroizing;

use crate::SecretKey;

/// Longest output asked of the expansion: an AES key and a commitment.
const EXPAND_BYTES_MAX: usize = 64;

struct Len(usize);

impl KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

/// Derives a key of 32 bytes from `prk` and the concatenation of `info`.
pub fn derive_key(prk: &SecretKey, info: &[&[u8]]) -> SecretKey {
    let mut out = Zeroizing::new([0; 32]);
    expand(prk.expose(), info, out.as_mut_slice());
    SecretKey::from_bytes(*out)
}

/// Derives `N` bytes (at most 64) from `prk` and the concatenation of `info`.
pub fn derive_bytes<const N: usize>(prk: &SecretKey, info: &[&[u8]]) -> [u8; N] {
    const { assert!(N > 0 && N <= EXPAND_BYTES_MAX) };
    let mut out = [0; N];
    expand(prk.expose(), info, &mut out);
    out
}

/// Fills `out` with the expansion of `prk` over `info`.
#[expect(clippy::expect_used, reason = "ring refuses outputs above 255 x 32 bytes only")]
pub(crate) fn expand(prk: &[u8], info: &[&[u8]], out: &mut [u8]) {
    Prk::new_less_safe(HKDF_SHA256, prk)
        .expand(info, Len(out.len()))
        .and_then(|okm| okm.fill(out))
        .expect("outputs are a few dozen bytes");
}

/// Extract and expand to 32 bytes, for keys that are not uniform.
#[expect(clippy::expect_used, reason = "32 bytes are below ring's limit")]
pub(crate) fn extract_and_expand(salt: &[u8], input: &[u8], info: &[u8]) -> SecretKey {
    let mut out = Zeroizing::new([0; 32]);
    Salt::new(HKDF_SHA256, salt)
        .extract(input)
        .expand(&[info], Len(out.len()))
        .and_then(|okm| okm.fill(out.as_mut_slice()))
        .expect("32 bytes");
    SecretKey::from_bytes(*out)
}
