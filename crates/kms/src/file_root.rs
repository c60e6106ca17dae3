//! A root key in a file: 32 bytes in hexadecimal, mode 0600. For one machine; it caps every level at E1-local.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use leadvault_crypto::{SecretKey, open, seal};
use leadvault_domain::Entropy;
use leadvault_keys::{Assurance, RootError, RootKey, WrapContext};
use zeroize::Zeroizing;

/// Permission bits that must all be clear: group and others.
const OPEN_TO_OTHERS: u32 = 0o077;

/// A root key that was read from its file.
#[derive(Debug)]
pub struct FileRoot {
    key: SecretKey,
    entropy: Arc<dyn Entropy>,
}

impl FileRoot {
    /// Makes a new key file.
    ///
    /// # Errors
    /// [`RootError::Exists`] where there is one; [`RootError::Unavailable`] where it cannot be written.
    pub fn create(path: &Path, entropy: &dyn Entropy) -> Result<(), RootError> {
        let key = SecretKey::make(entropy).map_err(|_| RootError::Unavailable)?;
        let text = Zeroizing::new(hex::encode(key.expose()));
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(
                |e| match e.kind() {
                    std::io::ErrorKind::AlreadyExists => RootError::Exists,
                    _ => RootError::Unavailable,
                },
            )?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(|_| RootError::Unavailable)
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`RootError::Mode`] where group or others may read it; [`RootError::Malformed`] where it holds no
    /// key; [`RootError::Unavailable`] where it cannot be read.
    pub fn open(path: &Path, entropy: Arc<dyn Entropy>) -> Result<Self, RootError> {
        let meta = std::fs::metadata(path).map_err(|_| RootError::Unavailable)?;
        if meta.permissions().mode() & OPEN_TO_OTHERS != 0 {
            return Err(RootError::Mode);
        }
        let text = Zeroizing::new(std::fs::read(path).map_err(|_| RootError::Unavailable)?);
        let mut key = Zeroizing::new([0_u8; 32]);
        hex::decode_to_slice(text.trim_ascii(), key.as_mut_slice())
            .map_err(|_| RootError::Malformed)?;
        Ok(Self { key: SecretKey::from_bytes(*key), entropy })
    }
}

#[async_trait::async_trait]
impl RootKey for FileRoot {
    async fn wrap(&self, context: &WrapContext, plain: &SecretKey) -> Result<Vec<u8>, RootError> {
        let (header, ids) = (context.header(), context.context());
        seal(&self.key, &header, &ids, plain.expose(), self.entropy.as_ref())
            .map_err(|_| RootError::Unavailable)
    }

    async fn unwrap(&self, context: &WrapContext, wrapped: &[u8]) -> Result<SecretKey, RootError> {
        let plain = open(&self.key, &context.header(), &context.context(), wrapped)
            .map_err(|_| RootError::Unopenable)?;
        let bytes: [u8; 32] = plain.as_slice().try_into().map_err(|_| RootError::Unopenable)?;
        Ok(SecretKey::from_bytes(bytes))
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
}

#[cfg(test)]
mod tests {
    use leadvault_crypto::SystemEntropy;
    use leadvault_domain::TenantId;

    use super::*;

    fn made(dir: &Path) -> FileRoot {
        let path = dir.join("root.key");
        FileRoot::create(&path, &SystemEntropy).unwrap();
        FileRoot::open(&path, Arc::new(SystemEntropy)).unwrap()
    }

    #[tokio::test]
    async fn a_wrap_opens_in_its_own_context_only() {
        let dir = tempfile::tempdir().unwrap();
        let root = made(dir.path());
        let key = SecretKey::make(&SystemEntropy).unwrap();
        let tenant = TenantId::from_bytes([1; 16]);
        let context = WrapContext::tenant_kek(tenant, 1);
        let wrapped = root.wrap(&context, &key).await.unwrap();
        assert!(root.unwrap(&context, &wrapped).await.unwrap().ct_eq(&key));
        for other in [
            WrapContext::tenant_kek(tenant, 2),
            WrapContext::tenant_kek(TenantId::from_bytes([2; 16]), 1),
            WrapContext::log_signing_key(1),
        ] {
            assert_eq!(root.unwrap(&other, &wrapped).await.err(), Some(RootError::Unopenable));
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        made(dir.path());
        let path = dir.path().join("root.key");
        for mode in [0o640, 0o604, 0o660] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let refused = FileRoot::open(&path, Arc::new(SystemEntropy)).err();
            assert_eq!(refused, Some(RootError::Mode));
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(FileRoot::open(&path, Arc::new(SystemEntropy)).is_ok());
        assert_eq!(FileRoot::create(&path, &SystemEntropy).err(), Some(RootError::Exists));
    }

    #[test]
    fn anything_but_a_key_is_malformed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("root.key");
        for text in ["", "00", "zz"] {
            let _ = std::fs::remove_file(&path);
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let refused = FileRoot::open(&path, Arc::new(SystemEntropy)).err();
            assert_eq!(refused, Some(RootError::Malformed));
        }
    }
}
