//! The LV1 container: one key per write, bound to its context, committing (crypto.md 1.3).
//!
//! ```text
//! blob    = header[24] || N[24] || C[32] || ct[n] || tag[16]
//! K || C  = HKDF-Expand(prk, label || header || tenant || dataset || record || N, 64)
//! ct||tag = AES-256-GCM(K, N[12..24], plaintext, "LV1-AAD\0" || header || tenant || dataset || record)
//! ```
//! One candidate key per open, named by the caller, never found by trying. The commitment is compared,
//! in constant time, before AES runs: a ciphertext made to open under two keys opens under none.
//! Freshness is not promised: an older authentic revision opens where the caller asks for it.

use leadvault_domain::{Entropy, EntropyFailed};
use zeroize::Zeroizing;

use crate::hazmat::aead::{self, TAG_BYTES};
use crate::hazmat::hash::constant_time_eq;
use crate::hazmat::hkdf::expand;
use crate::header::{CTX_BYTES, HEADER_BYTES};
use crate::{Context, Header, SecretKey, padding};

const SALT_BYTES: usize = 24;
const COMMITMENT_BYTES: usize = 32;
/// Where the ciphertext begins.
pub(crate) const BODY_AT: usize = HEADER_BYTES + SALT_BYTES + COMMITMENT_BYTES;

/// What a blob is longer than its (padded) plaintext.
pub const OVERHEAD_BYTES: usize = BODY_AT + TAG_BYTES;

/// Longest plaintext: larger objects are independent chunks (protocols.md 5).
pub const PLAIN_BYTES_MAX: usize = 1 << 20;

/// Nothing was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyFailed),
    /// Longer than [`PLAIN_BYTES_MAX`].
    #[error("plaintext of {bytes} bytes is too large to seal")]
    TooLarge {
        /// Length of the plaintext.
        bytes: usize,
    },
    /// The header sets a field its kind does not use.
    #[error("header field set that the kind {kind:?} does not use")]
    Header {
        /// Kind of the header.
        kind: crate::Kind,
    },
}

/// A blob did not open. One text for everybody; the code is for metrics only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sealed data does not open")]
pub enum OpenError {
    /// Not LV1 as this version writes it: length, magic, version, suite, kind, flags, reserved.
    Format,
    /// A well-formed header, but not the one asked for.
    Context,
    /// Sealed under another key, for other ids, or altered in salt or commitment.
    Commitment,
    /// Ciphertext or tag altered.
    Tag,
    /// Authentic, but not padded as this version pads.
    Padding,
}

impl OpenError {
    /// Stable code for metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Context => "context",
            Self::Commitment => "commitment",
            Self::Tag => "tag",
            Self::Padding => "padding",
        }
    }
}

/// Seals `plain` under a fresh salt.
///
/// # Errors
/// [`SealError`]: no randomness, too long, or a header its kind does not allow.
pub fn seal(
    prk: &SecretKey,
    header: &Header,
    ctx: &Context,
    plain: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, SealError> {
    let mut salt = [0; SALT_BYTES];
    entropy.fill(&mut salt)?;
    seal_with_salt(prk, header, ctx, plain, &salt)
}

/// [`seal`] with the salt given: for known answers only, a salt must never serve twice.
pub(crate) fn seal_with_salt(
    prk: &SecretKey,
    header: &Header,
    ctx: &Context,
    plain: &[u8],
    salt: &[u8; SALT_BYTES],
) -> Result<Vec<u8>, SealError> {
    let too_large = SealError::TooLarge { bytes: plain.len() };
    if plain.len() > PLAIN_BYTES_MAX {
        return Err(too_large);
    }
    if !header.is_canonical() {
        return Err(SealError::Header { kind: header.kind });
    }
    let bound = ctx.bytes(header);
    let keys = Keys::derive(prk, header, &bound, salt);
    let body = if header.kind.is_padded() { padding::padded_len(plain.len()) } else { plain.len() };
    let mut out = Vec::with_capacity(OVERHEAD_BYTES + body);
    out.extend_from_slice(&header.to_bytes());
    out.extend_from_slice(salt);
    out.extend_from_slice(keys.commitment());
    out.extend_from_slice(plain);
    if header.kind.is_padded() {
        padding::pad(&mut out, plain.len());
    }
    let (_, text) = out.split_at_mut(BODY_AT);
    let tag =
        aead::seal_in_place(keys.aes(), nonce(salt), &aad(&bound), text).map_err(|_| too_large)?;
    out.extend_from_slice(&tag);
    Ok(out)
}

/// Opens a blob that must carry exactly `expect` and belong to `ctx`.
///
/// # Errors
/// [`OpenError`]; which variant is no business of a client.
pub fn open(
    prk: &SecretKey,
    expect: &Header,
    ctx: &Context,
    blob: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let (header, rest) = blob.split_first_chunk().ok_or(OpenError::Format)?;
    let (salt, rest) = rest.split_first_chunk::<SALT_BYTES>().ok_or(OpenError::Format)?;
    let (commitment, text_and_tag) =
        rest.split_first_chunk::<COMMITMENT_BYTES>().ok_or(OpenError::Format)?;
    let plain_bytes = text_and_tag.len().checked_sub(TAG_BYTES).ok_or(OpenError::Format)?;
    if plain_bytes > padding::padded_len(PLAIN_BYTES_MAX) {
        return Err(OpenError::Format);
    }
    if Header::parse(header).ok_or(OpenError::Format)? != *expect {
        return Err(OpenError::Context);
    }
    let bound = ctx.bytes(expect);
    let keys = Keys::derive(prk, expect, &bound, salt);
    if !constant_time_eq(keys.commitment(), commitment) {
        return Err(OpenError::Commitment);
    }
    let mut plain = Zeroizing::new(text_and_tag.to_vec());
    aead::open_in_place(keys.aes(), nonce(salt), &aad(&bound), &mut plain)
        .map_err(|_| OpenError::Tag)?;
    plain.truncate(plain_bytes);
    if expect.kind.is_padded() {
        let len = padding::unpadded_len(&plain).ok_or(OpenError::Padding)?;
        plain.truncate(len);
    }
    Ok(plain)
}

/// AES key and commitment of one write.
struct Keys(Zeroizing<[[u8; 32]; 2]>);

impl Keys {
    fn derive(
        prk: &SecretKey,
        header: &Header,
        bound: &[u8; CTX_BYTES],
        salt: &[u8; SALT_BYTES],
    ) -> Self {
        let mut keys = Zeroizing::new([[0; 32]; 2]);
        expand(prk.expose(), &[header.kind.label(), bound, salt], keys.as_flattened_mut());
        Self(keys)
    }

    fn aes(&self) -> &[u8; 32] {
        &self.0[0]
    }

    fn commitment(&self) -> &[u8; 32] {
        &self.0[1]
    }
}

/// Every intermediate value of one seal, for the known answers.
pub(crate) struct Parts {
    pub(crate) info: Vec<u8>,
    pub(crate) aad: Vec<u8>,
    pub(crate) aes: Zeroizing<[u8; 32]>,
    pub(crate) commitment: [u8; 32],
}

/// What [`seal_with_salt`] computes on its way.
pub(crate) fn parts(
    prk: &SecretKey,
    header: &Header,
    ctx: &Context,
    salt: &[u8; SALT_BYTES],
) -> Parts {
    let bound = ctx.bytes(header);
    let keys = Keys::derive(prk, header, &bound, salt);
    Parts {
        info: [header.kind.label().as_slice(), &bound, salt].concat(),
        aad: aad(&bound).to_vec(),
        aes: Zeroizing::new(*keys.aes()),
        commitment: *keys.commitment(),
    }
}

/// The last 12 bytes of the salt; the key is fresh per salt, so no nonce meets its key twice.
fn nonce(salt: &[u8; SALT_BYTES]) -> [u8; 12] {
    let mut out = [0; 12];
    out.copy_from_slice(&salt[12..]);
    out
}

fn aad(bound: &[u8; CTX_BYTES]) -> [u8; CTX_BYTES + 8] {
    let mut out = [0; CTX_BYTES + 8];
    out[..8].copy_from_slice(b"LV1-AAD\0");
    out[8..].copy_from_slice(bound);
    out
}
