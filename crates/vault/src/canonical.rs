//! The canonical form of JSON (RFC 8785) and the hash of an instruction over it (decisions.md 1).

use leadvault_crypto::sha256;
use leadvault_domain::Instruction;
use serde::Serialize;

use crate::error::Fault;

/// RFC 8785 bytes of a value.
///
/// # Errors
/// [`Fault::Internal`] for a value that JSON cannot hold; ours never are.
pub(crate) fn canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, Fault> {
    serde_json_canonicalizer::to_vec(value).map_err(|_| Fault::Internal("canonical"))
}

/// `hash` of an instruction: SHA-256, hex, over the canonical form without `hash`, `signature`,
/// `status`, `created_at` and `legal.challenge`.
///
/// # Errors
/// As [`canonical`].
pub(crate) fn instruction_hash(instruction: &Instruction) -> Result<String, Fault> {
    let form = leadvault_policy::hash_form(instruction);
    Ok(hex::encode(sha256(&[&canonical(&form)?])))
}
