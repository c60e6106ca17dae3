//! The signing keys of a cell's logs, and the names of the logs.
//!
//! One key signs for all logs of a cell, the operator log included; each log has its own origin and so its
//! own key id. After a rotation the key before it signs a second line for 30 days (protocols.md 2.3). The key
//! is no tenant's: the logs outlive a shred.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use leadvault_crypto::{SigningKey, VerifyingKey, minisign, sha256};
use leadvault_domain::{TenantId, TenantNo, Timestamp};

use crate::note::{Note, NoteError, SignatureLine};
use crate::vkey::{Vkey, derive_key_id, encode_key, is_name};

/// Number of the cell's operator log.
pub const OPERATOR_LOG: TenantNo = TenantNo(0);
/// How long the key before a rotation goes on signing, in seconds.
const OVERLAP_SECONDS: i64 = 30 * 24 * 3600;

/// A host that cannot be part of an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host cannot be part of an origin")]
pub struct LogKeysError;

/// Host, current key, and the key before it.
pub struct LogKeys {
    host: String,
    signers: RwLock<Arc<Signers>>,
    origins: RwLock<HashMap<TenantNo, Arc<str>>>,
}

struct Signers {
    current: Arc<SigningKey>,
    previous: Option<Previous>,
}

struct Previous {
    key: Arc<SigningKey>,
    until: Timestamp,
}

impl std::fmt::Debug for LogKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogKeys").field("host", &self.host).finish_non_exhaustive()
    }
}

impl LogKeys {
    /// The keys of the cell at `host` (`vault.example`).
    ///
    /// # Errors
    /// [`LogKeysError`] where no origin can be made of the host.
    pub fn new(host: &str, current: SigningKey) -> Result<Self, LogKeysError> {
        Self::of(host, Signers { current: Arc::new(current), previous: None })
    }

    /// The same after a rotation at `rotated_at`.
    ///
    /// # Errors
    /// [`LogKeysError`] where no origin can be made of the host.
    pub fn rotated(
        host: &str,
        current: SigningKey,
        previous: SigningKey,
        rotated_at: Timestamp,
    ) -> Result<Self, LogKeysError> {
        let until = rotated_at.plus_seconds(OVERLAP_SECONDS);
        let previous = Some(Previous { key: Arc::new(previous), until });
        Self::of(host, Signers { current: Arc::new(current), previous })
    }

    fn of(host: &str, signers: Signers) -> Result<Self, LogKeysError> {
        if !is_name(host) {
            return Err(LogKeysError);
        }
        let operator: Arc<str> = format!("{host}/o").into();
        Ok(Self {
            host: host.to_owned(),
            signers: RwLock::new(Arc::new(signers)),
            origins: RwLock::new(HashMap::from([(OPERATOR_LOG, operator)])),
        })
    }

    /// Makes `next` the current key. Before, in every log, an entry `log.key` was committed and published
    /// under the old key, whose `own.key` is [`LogKeys::key_text`] of the new one.
    pub fn rotate(&self, next: SigningKey, now: Timestamp) {
        let mut signers = self.signers.write().unwrap_or_else(PoisonError::into_inner);
        let previous = Previous {
            key: Arc::clone(&signers.current),
            until: now.plus_seconds(OVERLAP_SECONDS),
        };
        *signers = Arc::new(Signers { current: Arc::new(next), previous: Some(previous) });
    }

    /// How an entry `log.key` writes a key.
    pub fn key_text(key: &VerifyingKey) -> String {
        encode_key(key)
    }

    /// Origin of a tenant's log, or of the operator log.
    pub fn origin(&self, log: Option<TenantId>) -> String {
        log.map_or_else(
            || format!("{}/o", self.host),
            |tenant| format!("{}/t/{}", self.host, tenant.uuid()),
        )
    }

    /// Tells which tenant's log a number is. The journal takes entries of known logs only.
    pub fn add_log(&self, log: TenantNo, tenant: TenantId) {
        self.add_origin(log, self.origin(Some(tenant)));
    }

    fn add_origin(&self, log: TenantNo, origin: String) {
        let mut origins = self.origins.write().unwrap_or_else(PoisonError::into_inner);
        origins.insert(log, origin.into());
    }

    /// Origin of a log by its number; `None` until [`LogKeys::add_log`] has told it.
    pub fn origin_of(&self, log: TenantNo) -> Option<Arc<str>> {
        self.origins.read().unwrap_or_else(PoisonError::into_inner).get(&log).cloned()
    }

    /// The current verification key of an origin, without a line end.
    pub fn vkey(&self, origin: &str) -> String {
        vkey_text(origin, &self.signers().current.verifying_key())
    }

    /// The vkey file of an origin: the current key, and for 30 days after a rotation the one before it.
    pub fn vkey_file(&self, origin: &str, now: Timestamp) -> String {
        self.signers().live(now).map(|key| vkey_text(origin, &key.verifying_key()) + "\n").collect()
    }

    /// A text as a signed note of `origin`, with one signature line, or two for 30 days after a rotation.
    ///
    /// # Errors
    /// [`NoteError::Malformed`] where the text could not be read back.
    pub fn sign_note(&self, origin: &str, text: &str, now: Timestamp) -> Result<String, NoteError> {
        let signers = self.signers();
        let lines = signers.live(now).map(|key| SignatureLine {
            name: origin.to_owned(),
            key_id: derive_key_id(origin, &key.verifying_key()),
            signature: key.sign(text.as_bytes()).to_vec(),
        });
        Note::new(text, lines.collect()).map(|note| note.to_string())
    }

    /// Signs a message whose first bytes name what it is (`LV1-…` and a zero byte), under the current key.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signers().current.sign(message)
    }

    /// A minisign signature file over a text that leaves the house (the manifest of an export). Its key id is
    /// the first eight bytes of SHA-256 of the key. A manifest begins with a hex digit, so no text signed
    /// here is one of [`LogKeys::sign`] or a note.
    pub fn sign_file(&self, text: &[u8], trusted_comment: &str) -> String {
        let key = Arc::clone(&self.signers().current);
        minisign::sign(&key, file_key_id(&key.verifying_key()), text, trusted_comment)
    }

    /// The public key of [`LogKeys::sign_file`], as `minisign -P` takes it.
    pub fn file_key(&self) -> String {
        let key = self.verifying_key();
        let text = minisign::public_key_text(&key, file_key_id(&key));
        text.lines().last().unwrap_or_default().to_owned()
    }

    /// The current verification key.
    pub fn verifying_key(&self) -> VerifyingKey {
        self.signers().current.verifying_key()
    }

    fn signers(&self) -> Arc<Signers> {
        Arc::clone(&self.signers.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The first eight bytes of SHA-256 of a key.
fn file_key_id(key: &VerifyingKey) -> [u8; 8] {
    let mut id = [0; 8];
    id.iter_mut().zip(sha256(&[key.bytes()])).for_each(|(to, from)| *to = from);
    id
}

impl Signers {
    fn live(&self, now: Timestamp) -> impl Iterator<Item = &SigningKey> {
        let previous = self.previous.as_ref().filter(|p| now < p.until).map(|p| &*p.key);
        std::iter::once(&*self.current).chain(previous)
    }
}

/// The text of a key, whatever the name: [`Vkey`] refuses names that no note could carry.
fn vkey_text(origin: &str, key: &VerifyingKey) -> String {
    Vkey::new(origin, *key).map_or_else(|_| String::new(), |vkey| vkey.to_string())
}
