//! A root key in a file: 32 bytes, raw or as 64 hex digits, readable by its owner alone.
//!
//! Root key and slot then lie on one machine; an image of its disk taken before undoes an erasure. Hence
//! the level `E1-local`, whatever the slot.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use leadvault_crypto::{SecretKey, SystemEntropy, open, seal};
use leadvault_domain::{Entropy, TenantId};
use leadvault_keys::{Assurance, RootError, RootKey, WrapContext};
use zeroize::Zeroizing;

use crate::disk::{Existing, write_whole};

/// Permission bits of group and others.
const OPEN_TO_OTHERS: u32 = 0o077;
/// A key file is 32 bytes, or 64 hex digits with at most a line end; more is something else.
const FILE_BYTES_MAX: u64 = 80;

/// A root key held in this process, from a file.
pub struct FileRoot {
    key: SecretKey,
    entropy: Arc<dyn Entropy>,
    unwraps: Mutex<HashMap<TenantId, u64>>,
}

impl FileRoot {
    /// Makes a key and its file (hex, mode 0600), durable when it returns.
    ///
    /// # Errors
    /// [`RootError::Exists`] where there is a file already; it is not touched.
    pub fn create(path: &Path) -> Result<Self, RootError> {
        let entropy = Arc::new(SystemEntropy);
        let key = SecretKey::make(&*entropy).map_err(|_| RootError::Unavailable)?;
        let mut text = Zeroizing::new(hex::encode(key.expose()));
        text.push('\n');
        write_whole(path, text.as_bytes(), Existing::Refuse).map_err(|error| {
            match error.kind() {
                std::io::ErrorKind::AlreadyExists => RootError::Exists,
                _ => RootError::Unavailable,
            }
        })?;
        Ok(Self { key, entropy, unwraps: Mutex::default() })
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`RootError::Mode`] if group or others may read, write or execute it; [`RootError::Malformed`] if it
    /// holds no key; [`RootError::Unavailable`] if it cannot be read.
    pub fn open(path: &Path) -> Result<Self, RootError> {
        let file = File::open(path).map_err(|_| RootError::Unavailable)?;
        // Of the file that was opened, not of whatever the path names a moment later.
        let mode = file.metadata().map_err(|_| RootError::Unavailable)?.permissions().mode();
        if mode & OPEN_TO_OTHERS != 0 {
            return Err(RootError::Mode);
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(128));
        file.take(FILE_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(|_| RootError::Unavailable)?;
        let entropy = Arc::new(SystemEntropy);
        Ok(Self { key: parse(&bytes)?, entropy, unwraps: Mutex::default() })
    }
}

fn parse(bytes: &[u8]) -> Result<SecretKey, RootError> {
    if let Ok(raw) = <[u8; 32]>::try_from(bytes) {
        return Ok(SecretKey::from_bytes(raw));
    }
    let mut key = Zeroizing::new([0; 32]);
    hex::decode_to_slice(bytes.trim_ascii(), key.as_mut_slice())
        .map_err(|_| RootError::Malformed)?;
    Ok(SecretKey::from_bytes(*key))
}

#[async_trait]
impl RootKey for FileRoot {
    async fn wrap(&self, context: &WrapContext, plain: &SecretKey) -> Result<Vec<u8>, RootError> {
        let (header, ids) = (context.header(), context.context());
        seal(&self.key, &header, &ids, plain.expose(), self.entropy.as_ref())
            .map_err(|_| RootError::Unavailable)
    }

    async fn unwrap(&self, context: &WrapContext, wrapped: &[u8]) -> Result<SecretKey, RootError> {
        let plain = open(&self.key, &context.header(), &context.context(), wrapped)
            .map_err(|_| RootError::Unopenable)?;
        let key = Zeroizing::new(
            <[u8; 32]>::try_from(plain.as_slice()).map_err(|_| RootError::Unopenable)?,
        );
        if let Some(tenant) = context.tenant {
            let mut unwraps = self.unwraps.lock().unwrap_or_else(PoisonError::into_inner);
            let count = unwraps.entry(tenant).or_default();
            *count = count.saturating_add(1);
        }
        Ok(SecretKey::from_bytes(*key))
    }

    async fn health(&self) -> Result<(), RootError> {
        Ok(())
    }

    fn level(&self) -> Assurance {
        Assurance::E1Local
    }

    fn provider(&self) -> &'static str {
        "file"
    }

    fn unwraps(&self, tenant: TenantId) -> u64 {
        let unwraps = self.unwraps.lock().unwrap_or_else(PoisonError::into_inner);
        unwraps.get(&tenant).copied().unwrap_or_default()
    }
}

impl std::fmt::Debug for FileRoot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FileRoot(..)")
    }
}
