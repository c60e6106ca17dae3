//! The only crate that names ring: LV1 container, puncturable tree, tags, signatures, exports' wrapping.
//!
//! Pure and synchronous: no I/O, no clock, no SQL. Three floors: `hazmat` (private: bare primitives on
//! ring), keys ([`SecretKey`], [`Cover`], [`IndexKey`], [`SuppressionKey`], [`SigningKey`]), and what
//! the other crates use ([`seal`], [`open`], tags, references, [`age`], [`minisign`], [`normalise`]).
//! Integers are big-endian everywhere; every construction has known answers in
//! `testdata/crypto_vectors.json`, which [`vectors`] checks.

#[cfg(test)]
mod adversarial;
pub mod age;
mod cover;
mod entropy;
mod hazmat;
mod header;
mod lead_ref;
mod lv1;
pub mod minisign;
pub mod normalise;
mod padding;
mod secret;
mod sign;
mod suppression;
mod tag;
pub mod vectors;

pub use cover::{Cover, CoverError, Leaves};
pub use entropy::SystemEntropy;
pub use hazmat::hash::{Sha256Stream, constant_time_eq, hmac_sha256, sha256};
pub use hazmat::hkdf::{derive_bytes, derive_key};
pub use hazmat::resumable::Sha256Resumable;
pub use header::{Context, Header, Kind};
pub use lead_ref::{LeadRef, lead_ref};
pub use lv1::{OVERHEAD_BYTES, OpenError, PLAIN_BYTES_MAX, SealError, open, seal};
pub use padding::padded_len;
pub use secret::SecretKey;
pub use sign::{SigningKey, VerifyingKey};
pub use suppression::SuppressionKey;
pub use tag::{FieldKey, IndexKey, Tag, TagForm, tag_bits};
