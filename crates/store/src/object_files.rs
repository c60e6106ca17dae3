//! Sealed objects under `files/<tenant uuid>/<random name>`: export parts, artifacts, attachments.
//!
//! Ciphertext only: whoever writes here has sealed the chunks. A file is written at offsets, so that an
//! interrupted upload goes on, and is durable after [`ObjectFiles::sync`].

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use leadvault_domain::{Entropy, EntropyFailed, TenantId, Timestamp};

use crate::data_store::DataStore;
use crate::disk::{blocking, sync_dir};
use crate::error::{Result, StoreError};

/// Random name of an object. Says nothing about what it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ObjectName(pub [u8; 16]);

impl ObjectName {
    /// A new name.
    ///
    /// # Errors
    /// [`EntropyFailed`] without randomness.
    pub fn make(entropy: &dyn Entropy) -> Result<Self, EntropyFailed> {
        let mut name = [0; 16];
        entropy.fill(&mut name)?;
        Ok(Self(name))
    }

    /// The name that is spelled so; `None` for anything else.
    fn parse(text: &str) -> Option<Self> {
        let name = Self(u128::from_str_radix(text, 16).ok()?.to_be_bytes());
        (name.to_string() == text).then_some(name)
    }
}

impl std::fmt::Display for ObjectName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for ObjectName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// The directory of sealed objects.
#[derive(Debug, Clone)]
pub struct ObjectFiles {
    root: PathBuf,
}

impl DataStore {
    /// The directory of sealed objects beside this store.
    pub fn objects(&self) -> ObjectFiles {
        ObjectFiles { root: self.files().to_owned() }
    }
}

impl ObjectFiles {
    /// Objects under `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Writes bytes at an offset, making the file where it is new. Not durable before
    /// [`ObjectFiles::sync`].
    ///
    /// # Errors
    /// [`StoreError::Unwritable`].
    pub async fn write(
        &self,
        tenant: TenantId,
        name: ObjectName,
        offset: u64,
        bytes: Vec<u8>,
    ) -> Result<()> {
        let path = self.path(tenant, name);
        blocking(move || {
            let parent = path.parent().unwrap_or(Path::new("."));
            fs::create_dir_all(parent)?;
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
            file.write_all_at(&bytes, offset)
        })
        .await?
        .map_err(|_| StoreError::Unwritable)
    }

    /// Makes an object durable, and its name.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`].
    pub async fn sync(&self, tenant: TenantId, name: ObjectName) -> Result<()> {
        let path = self.path(tenant, name);
        blocking(move || {
            File::open(&path)?.sync_all()?;
            path.parent().map_or(Ok(()), sync_dir)
        })
        .await?
        .map_err(|_| StoreError::Unwritable)
    }

    /// At most `len` bytes from an offset; fewer at the end, `None` without the object.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn read(
        &self,
        tenant: TenantId,
        name: ObjectName,
        offset: u64,
        len: usize,
    ) -> Result<Option<Vec<u8>>> {
        let path = self.path(tenant, name);
        let read = blocking(move || {
            let file = File::open(&path)?;
            let mut bytes = vec![0; len];
            let mut filled = 0;
            while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
                let at = offset + u64::try_from(filled).map_err(io::Error::other)?;
                match file.read_at(rest, at)? {
                    0 => break,
                    n => filled += n,
                }
            }
            bytes.truncate(filled);
            Ok(bytes)
        });
        found(read.await?)
    }

    /// The length of an object; `None` without it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn len(&self, tenant: TenantId, name: ObjectName) -> Result<Option<u64>> {
        let path = self.path(tenant, name);
        found(blocking(move || fs::metadata(&path).map(|m| m.len())).await?)
    }

    /// The objects of a tenant that were last written before an instant, by the clock of the file system.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn list_before(
        &self,
        tenant: TenantId,
        before: Timestamp,
    ) -> Result<Vec<ObjectName>> {
        let path = self.root.join(tenant.uuid().to_string());
        let listed = blocking(move || {
            let mut names = Vec::new();
            for entry in fs::read_dir(&path)? {
                let entry = entry?;
                let written = entry.metadata()?.modified()?;
                let age = written.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                let micros = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
                let name = entry.file_name().to_str().and_then(ObjectName::parse);
                names.extend(name.filter(|_| micros < before.micros()));
            }
            Ok(names)
        });
        found(listed.await?).map(Option::unwrap_or_default)
    }

    /// Removes an object; nothing to remove is fine.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`].
    pub async fn delete(&self, tenant: TenantId, name: ObjectName) -> Result<()> {
        let path = self.path(tenant, name);
        let gone = blocking(move || fs::remove_file(&path)).await?;
        found(gone).map(drop).map_err(|_| StoreError::Unwritable)
    }

    /// Removes every object of a tenant.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`].
    pub async fn delete_tenant(&self, tenant: TenantId) -> Result<()> {
        let path = self.root.join(tenant.uuid().to_string());
        let gone = blocking(move || fs::remove_dir_all(&path)).await?;
        found(gone).map(drop).map_err(|_| StoreError::Unwritable)
    }

    fn path(&self, tenant: TenantId, name: ObjectName) -> PathBuf {
        self.root.join(tenant.uuid().to_string()).join(name.to_string())
    }
}

/// Absence is an answer.
fn found<T>(result: io::Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(_) => Err(StoreError::Unavailable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_object_is_written_at_offsets_and_read_in_ranges() {
        let dir = tempfile::tempdir().unwrap();
        let files = ObjectFiles::new(dir.path());
        let (tenant, name) = (TenantId::from_bytes([1; 16]), ObjectName([0xab; 16]));
        assert_eq!(files.read(tenant, name, 0, 4).await, Ok(None));
        files.write(tenant, name, 0, b"hello ".to_vec()).await.unwrap();
        files.write(tenant, name, 6, b"world".to_vec()).await.unwrap();
        files.sync(tenant, name).await.unwrap();
        assert_eq!(files.len(tenant, name).await, Ok(Some(11)));
        assert_eq!(files.read(tenant, name, 4, 4).await, Ok(Some(b"o wo".to_vec())));
        assert_eq!(files.read(tenant, name, 9, 99).await, Ok(Some(b"ld".to_vec())));
        assert_eq!(files.len(TenantId::from_bytes([2; 16]), name).await, Ok(None));
        let (old, new) = (Timestamp::from_micros(1), Timestamp::from_micros(i64::MAX));
        assert_eq!(files.list_before(tenant, new).await, Ok(vec![name]));
        assert_eq!(files.list_before(tenant, old).await, Ok(Vec::new()));
        assert_eq!(files.list_before(TenantId::from_bytes([2; 16]), new).await, Ok(Vec::new()));
        files.delete(tenant, name).await.unwrap();
        files.delete(tenant, name).await.unwrap();
        assert_eq!(files.len(tenant, name).await, Ok(None));
    }
}
