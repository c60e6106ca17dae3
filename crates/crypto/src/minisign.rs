//! minisign signature files in the legacy `Ed` form: the signature is over the data itself.
//!
//! ```text
//! untrusted comment: …
//! base64("Ed" || key_id[8] || ed25519(data)[64])
//! trusted comment: …
//! base64(ed25519(signature || trusted comment)[64])
//! ```
//! The pre-hashed `ED` form needs BLAKE2b, which ring has not; minisign verifies both. Data is held in
//! memory whole: what is signed here is a manifest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::{SigningKey, VerifyingKey};

const ALGORITHM: [u8; 2] = *b"Ed";
const UNTRUSTED: &str = "untrusted comment: ";
const TRUSTED: &str = "trusted comment: ";
/// Algorithm, key id and signature.
const SIGNATURE_BYTES: usize = 2 + 8 + 64;
/// Algorithm, key id and public key.
const PUBLIC_KEY_BYTES: usize = 2 + 8 + 32;

/// A signature file that does not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MinisignError {
    /// Not four lines of this form, or not the legacy algorithm.
    #[error("not a legacy minisign signature file")]
    Format,
    /// The signature is not this key's over the data.
    #[error("signature over the data does not verify")]
    Data,
    /// The signature is not this key's over the trusted comment.
    #[error("signature over the trusted comment does not verify")]
    Comment,
}

/// Signs `data`; control characters in the comment become blanks, so that it stays one line.
pub fn sign(key: &SigningKey, key_id: [u8; 8], data: &[u8], trusted_comment: &str) -> String {
    let comment = trusted_comment.replace(char::is_control, " ");
    let signature = key.sign(data);
    let global = key.sign(&[signature.as_slice(), comment.as_bytes()].concat());
    let line = BASE64.encode([ALGORITHM.as_slice(), &key_id, &signature].concat());
    let id = id_text(key_id);
    let global = BASE64.encode(global);
    format!("{UNTRUSTED}signature from key {id}\n{line}\n{TRUSTED}{comment}\n{global}\n")
}

/// Verifies a signature file over `data`, its trusted comment too.
///
/// # Errors
/// [`MinisignError`].
pub fn verify(key: &VerifyingKey, data: &[u8], sig_file: &str) -> Result<(), MinisignError> {
    let (signature, comment, global) = parse(sig_file).ok_or(MinisignError::Format)?;
    if !key.verify(data, &signature) {
        return Err(MinisignError::Data);
    }
    if !key.verify(&[signature.as_slice(), comment.as_bytes()].concat(), &global) {
        return Err(MinisignError::Comment);
    }
    Ok(())
}

/// The public key file of a key, as `minisign -p` reads it.
pub fn public_key_text(key: &VerifyingKey, key_id: [u8; 8]) -> String {
    let line = BASE64.encode([ALGORITHM.as_slice(), &key_id, key.bytes()].concat());
    format!("{UNTRUSTED}minisign public key {}\n{line}\n", id_text(key_id))
}

/// Reads a public key file, or its second line alone.
///
/// # Errors
/// [`MinisignError::Format`].
pub fn parse_public_key(text: &str) -> Result<([u8; 8], VerifyingKey), MinisignError> {
    let line = text.trim().lines().last().ok_or(MinisignError::Format)?;
    let bytes: [u8; PUBLIC_KEY_BYTES] = decode(line).ok_or(MinisignError::Format)?;
    let [algorithm_0, algorithm_1, rest @ ..] = bytes;
    let (id, key) = rest.split_first_chunk().ok_or(MinisignError::Format)?;
    let key = key.try_into().map_err(|_| MinisignError::Format)?;
    if [algorithm_0, algorithm_1] != ALGORITHM {
        return Err(MinisignError::Format);
    }
    Ok((*id, VerifyingKey::from_bytes(key)))
}

fn parse(file: &str) -> Option<([u8; 64], &str, [u8; 64])> {
    let mut lines = file.lines();
    lines.next()?.strip_prefix(UNTRUSTED)?;
    let signature: [u8; SIGNATURE_BYTES] = decode(lines.next()?)?;
    let comment = lines.next()?.strip_prefix(TRUSTED)?;
    let global = decode(lines.next()?)?;
    let rest = signature.strip_prefix(&ALGORITHM)?.get(8..)?;
    (lines.next().is_none()).then_some((rest.try_into().ok()?, comment, global))
}

fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE64.decode(text).ok()?.try_into().ok()
}

/// minisign prints key ids as a little-endian number.
fn id_text(key_id: [u8; 8]) -> String {
    format!("{:016X}", u64::from_le_bytes(key_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretKey;

    const ID: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

    fn key() -> SigningKey {
        SigningKey::from_seed(&SecretKey::from_bytes([7; 32]))
    }

    #[test]
    fn another_implementation_verifies_data_and_comment() {
        let file = sign(&key(), ID, b"manifest", "export\nof today");
        let public = public_key_text(&key().verifying_key(), ID);
        let theirs = minisign_verify::PublicKey::decode(&public).unwrap();
        let signature = minisign_verify::Signature::decode(&file).unwrap();
        assert_eq!(signature.trusted_comment(), "export of today");
        theirs.verify(b"manifest", &signature, true).unwrap();
        assert!(theirs.verify(b"manifesto", &signature, true).is_err());
        assert_eq!(parse_public_key(&public), Ok((ID, key().verifying_key())));
    }

    #[test]
    fn a_signature_verifies_and_each_altered_part_is_named() {
        let file = sign(&key(), ID, b"manifest", "comment");
        let public = key().verifying_key();
        assert_eq!(verify(&public, b"manifest", &file), Ok(()));
        assert_eq!(verify(&public, b"manifesto", &file), Err(MinisignError::Data));
        let other = file.replace("comment: comment", "comment: other");
        assert_eq!(verify(&public, b"manifest", &other), Err(MinisignError::Comment));
        let stranger = SigningKey::from_seed(&SecretKey::from_bytes([8; 32])).verifying_key();
        assert_eq!(verify(&stranger, b"manifest", &file), Err(MinisignError::Data));
        for broken in [file.replace("RWQ", "RUQ"), format!("{file}more\n"), String::new()] {
            assert_eq!(
                verify(&public, b"manifest", &broken),
                Err(MinisignError::Format),
                "{broken}"
            );
        }
    }
}
