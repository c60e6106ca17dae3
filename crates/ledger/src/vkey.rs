//! Verification keys of signed notes: `<name>+<key id, 8 hex>+<base64(0x01 ‖ Ed25519 key)>`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use leadvault_crypto::{VerifyingKey, sha256};

/// Type byte of an Ed25519 key (C2SP signed-note).
const ED25519: u8 = 0x01;
/// Longest name of a key, in bytes: a host, a UUID, and room.
const NAME_BYTES_MAX: usize = 512;

/// A text that is no verification key, or two keys that cannot be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a verification key")]
pub struct VkeyError;

/// A key that may sign notes under one name.
#[derive(Debug, Clone)]
pub struct Vkey {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

impl Vkey {
    /// The key of `name`.
    ///
    /// # Errors
    /// [`VkeyError`] where no note could carry that name.
    pub fn new(name: &str, key: VerifyingKey) -> Result<Self, VkeyError> {
        if !is_name(name) {
            return Err(VkeyError);
        }
        Ok(Self { name: name.to_owned(), id: derive_key_id(name, &key), key })
    }

    /// Reads one key.
    ///
    /// # Errors
    /// [`VkeyError`] where the form is wrong or the key id is not the one of name and key.
    pub fn parse(text: &str) -> Result<Self, VkeyError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(VkeyError);
        };
        let typed = STANDARD.decode(key).map_err(|_| VkeyError)?;
        let (kind, raw) = typed.split_first().ok_or(VkeyError)?;
        let raw: [u8; 32] = raw.try_into().map_err(|_| VkeyError)?;
        let vkey = Self::new(name, VerifyingKey::from_bytes(raw))?;
        if *kind != ED25519 || hex::encode(vkey.id) != id {
            return Err(VkeyError);
        }
        Ok(vkey)
    }

    /// Reads a vkey file: one key a line, of one name. During 30 days after a rotation there are two.
    ///
    /// # Errors
    /// [`VkeyError`] where a line is no key, names differ, there is none, or two share a key id.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, VkeyError> {
        let mut keys: Vec<Self> = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let key = Self::parse(line)?;
            if keys.iter().any(|other| other.name != key.name || other.id == key.id) {
                return Err(VkeyError);
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(VkeyError) } else { Ok(keys) }
    }

    /// The name: the origin of the log.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// First four bytes of SHA-256(name ‖ LF ‖ 0x01 ‖ key).
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// The key.
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }
}

impl std::fmt::Display for Vkey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}+{}+{}", self.name, hex::encode(self.id), encode_key(&self.key))
    }
}

/// base64(0x01 ‖ key): how a vkey and the entry `log.key` write a key.
pub fn encode_key(key: &VerifyingKey) -> String {
    let mut typed = vec![ED25519];
    typed.extend(key.bytes());
    STANDARD.encode(typed)
}

pub(crate) fn derive_key_id(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let digest = sha256(&[name.as_bytes(), b"\n", &[ED25519], key.bytes()]);
    let [a, b, c, d, ..] = digest;
    [a, b, c, d]
}

/// A name has no white space, no control character and no `+`.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && !name.chars().any(|c| c == '+' || c.is_whitespace() || c.is_control())
}
