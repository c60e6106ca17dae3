//! HKDF-Expand-SHA-256 (RFC 5869 2.3). Extract is left out: every key here is uniform (RFC 5869 3.3).

use ring::hkdf::{HKDF_SHA256, KeyType, Prk};
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
