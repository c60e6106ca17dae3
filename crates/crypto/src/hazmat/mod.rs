//! Bare primitives, on ring but for X25519 and the digest that is put aside. Private: nothing here knows a context, a nonce rule or a format.
//!
//! Everything that would have to change to run on another provider of the same interface is here, in
//! `entropy` and in `sign`.

pub(crate) mod aead;
pub(crate) mod chacha;
pub(crate) mod hash;
pub(crate) mod hkdf;
#[cfg(test)]
mod referees;
pub(crate) mod resumable;
pub(crate) mod x25519;
