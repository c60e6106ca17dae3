//! Sealed objects, `<tenant uuid>/<random name>`: export parts, artifacts, files of leads. In the directory `files/`, or in
//! a bucket that speaks the S3 protocol.
//!
//! Ciphertext only: whoever writes here has sealed the chunks. An object is written whole and never changed; it is there,
//! and durable, once [`Objects::put`] or [`ObjectWriter::finish`] returns, and not before.

use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::TryStreamExt as _;
use leadvault_domain::{Entropy, EntropyFailed, Sensitive, TenantId, Timestamp};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload, RetryConfig,
};

use crate::disk::blocking;
use crate::error::{Result, StoreError};

/// Bytes of a piece of a larger object: at least 5 MiB, which S3 asks of every piece but the last.
const PIECE_BYTES: usize = 8 << 20;
/// S3 takes 10,000 pieces: after so many each is larger by the first size, so that an object may have 430 GiB and no
/// more than 80 MiB wait in memory.
const PIECES_OF_A_SIZE: usize = 1_000;
/// For how long a request to a bucket is repeated before the call is answered: callers wait for it.
const RETRY: Duration = Duration::from_secs(15);

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

/// A bucket that speaks the S3 protocol.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// `https://host[:port]`; `http://` as well, where the caller has made sure that it stays on the machine.
    pub endpoint: String,
    /// Its name.
    pub name: String,
    /// Region that requests are signed for.
    pub region: String,
    /// Id of the access key.
    pub access_key_id: String,
    /// The access key.
    pub secret_key: Sensitive<String>,
}

/// Where sealed objects lie.
#[derive(Debug, Clone)]
pub struct Objects {
    store: Arc<OnceLock<Arc<dyn ObjectStore>>>,
    /// The directory, where it is one.
    dir: Option<Arc<PathBuf>>,
}

impl Objects {
    /// Objects in a directory, which is made with the first of them.
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        Self { store: Arc::default(), dir: Some(Arc::new(dir.into())) }
    }

    /// Objects in a bucket. Nothing is asked of it yet.
    ///
    /// # Errors
    /// [`StoreError::Address`] for an endpoint that is none.
    pub fn in_bucket(bucket: &Bucket) -> Result<Self> {
        let retry = RetryConfig { max_retries: 3, retry_timeout: RETRY, ..RetryConfig::default() };
        let store = AmazonS3Builder::new()
            .with_endpoint(&bucket.endpoint)
            .with_allow_http(bucket.endpoint.starts_with("http://"))
            .with_bucket_name(&bucket.name)
            .with_region(&bucket.region)
            .with_access_key_id(&bucket.access_key_id)
            .with_secret_access_key(bucket.secret_key.expose())
            .with_retry(retry)
            .build()
            .map_err(|_| StoreError::Address)?;
        let store: Arc<dyn ObjectStore> = Arc::new(store);
        Ok(Self { store: Arc::new(store.into()), dir: None })
    }

    /// Writes a whole object under a name that nothing has.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`], of a bucket [`StoreError::Unavailable`].
    pub async fn put(&self, tenant: TenantId, name: ObjectName, bytes: Vec<u8>) -> Result<()> {
        let (store, at) = (self.store().await?, at(tenant, name));
        let put = store.put_opts(&at, PutPayload::from(bytes), PutMode::Create.into()).await;
        put.map(drop).map_err(|_| self.unwritable())
    }

    /// Begins an object that comes in pieces.
    pub fn begin(&self, tenant: TenantId, name: ObjectName) -> ObjectWriter {
        ObjectWriter {
            objects: self.clone(),
            tenant,
            name,
            open: Vec::new(),
            pieces: 0,
            upload: None,
        }
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
        let (store, at) = (self.store().await?, at(tenant, name));
        let end = offset.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
        let error = match store.get_range(&at, offset..end).await {
            Ok(bytes) => return Ok(Some(bytes.into())),
            Err(error) => error,
        };
        // A range behind the end has an error of its own in each store; the length tells.
        match found(Err::<(), _>(error)) {
            Ok(_) => Ok(None),
            Err(error) => match self.len(tenant, name).await? {
                Some(whole) if whole > offset => Err(error),
                whole => Ok(whole.map(|_| Vec::new())),
            },
        }
    }

    /// The length of an object; `None` without it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn len(&self, tenant: TenantId, name: ObjectName) -> Result<Option<u64>> {
        let head = self.store().await?.head(&at(tenant, name)).await;
        Ok(found(head)?.map(|meta| meta.size))
    }

    /// Removes an object; nothing to remove is fine.
    ///
    /// # Errors
    /// As [`Objects::put`].
    pub async fn delete(&self, tenant: TenantId, name: ObjectName) -> Result<()> {
        let gone = self.store().await?.delete(&at(tenant, name)).await;
        found(gone).map(drop).map_err(|_| self.unwritable())
    }

    /// Removes every object of a tenant, and of a directory whatever a crash left beside them.
    ///
    /// # Errors
    /// As [`Objects::put`].
    pub async fn delete_tenant(&self, tenant: TenantId) -> Result<()> {
        if let Some(dir) = &self.dir {
            let path = dir.join(tenant.uuid().to_string());
            let gone = blocking(move || std::fs::remove_dir_all(&path)).await?;
            return match gone {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(StoreError::Unwritable)
                }
                _ => Ok(()),
            };
        }
        for object in self.list(tenant).await? {
            let gone = self.store().await?.delete(&object.location).await;
            found(gone).map_err(|_| self.unwritable())?;
        }
        Ok(())
    }

    /// The objects of a tenant that were written before an instant, by the clock of where they lie.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn list_before(
        &self,
        tenant: TenantId,
        before: Timestamp,
    ) -> Result<Vec<ObjectName>> {
        let old = |object: &ObjectMeta| {
            let written = object.last_modified.timestamp_micros();
            let name = object.location.filename().and_then(ObjectName::parse);
            name.filter(|_| written < before.micros())
        };
        Ok(self.list(tenant).await?.iter().filter_map(old).collect())
    }

    /// Removes what pieces of objects a crash left in a directory before an instant. Those of a bucket are its own to
    /// remove: a rule of its life cycle does.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`].
    pub async fn delete_unfinished(&self, tenant: TenantId, before: Timestamp) -> Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let path = dir.join(tenant.uuid().to_string());
        let swept = blocking(move || sweep_unfinished(&path, before)).await?;
        match swept {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StoreError::Unwritable)
            }
            _ => Ok(()),
        }
    }

    async fn list(&self, tenant: TenantId) -> Result<Vec<ObjectMeta>> {
        let prefix = Path::from(tenant.uuid().to_string());
        let listed = self.store().await?.list(Some(&prefix)).try_collect().await;
        Ok(found(listed)?.unwrap_or_default())
    }

    async fn store(&self) -> Result<Arc<dyn ObjectStore>> {
        if let Some(store) = self.store.get() {
            return Ok(Arc::clone(store));
        }
        let dir = self.dir.clone().ok_or(StoreError::Unavailable)?;
        let made = blocking(move || {
            std::fs::create_dir_all(dir.as_path())?;
            LocalFileSystem::new_with_prefix(dir.as_path()).map_err(std::io::Error::other)
        });
        let made = made.await?.map_err(|_| StoreError::Unwritable)?.with_fsync(true);
        Ok(Arc::clone(self.store.get_or_init(|| Arc::new(made))))
    }

    /// What is full or broken is the disk; a bucket is away.
    const fn unwritable(&self) -> StoreError {
        if self.dir.is_some() { StoreError::Unwritable } else { StoreError::Unavailable }
    }
}

fn at(tenant: TenantId, name: ObjectName) -> Path {
    Path::from_iter([tenant.uuid().to_string(), name.to_string()])
}

/// Absence is an answer.
fn found<T>(result: object_store::Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(_) => Err(StoreError::Unavailable),
    }
}

/// Pieces are written aside, as `<name>#<number>`.
fn sweep_unfinished(dir: &FilePath, before: Timestamp) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let is_piece = entry.file_name().to_str().is_some_and(|name| name.contains('#'));
        let written = entry.metadata()?.modified()?;
        let age = written.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let micros = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
        if is_piece && micros < before.micros() {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// An object that comes in pieces. Nobody finds it before it is finished; one that is dropped never is.
pub struct ObjectWriter {
    objects: Objects,
    tenant: TenantId,
    name: ObjectName,
    open: Vec<u8>,
    pieces: usize,
    upload: Option<Box<dyn MultipartUpload>>,
}

impl std::fmt::Debug for ObjectWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectWriter").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ObjectWriter {
    /// Takes the next bytes; a piece of them waits in memory, 8 MiB at first.
    ///
    /// # Errors
    /// As [`Objects::put`].
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.open.extend_from_slice(bytes);
        let piece_bytes = PIECE_BYTES.saturating_mul(1 + self.pieces / PIECES_OF_A_SIZE);
        if self.open.len() < piece_bytes {
            return Ok(());
        }
        self.pieces = self.pieces.saturating_add(1);
        let piece = std::mem::replace(&mut self.open, Vec::with_capacity(PIECE_BYTES));
        self.send(piece).await
    }

    /// Makes the object: from here on it is there, and durable.
    ///
    /// # Errors
    /// As [`Objects::put`].
    pub async fn finish(mut self) -> Result<()> {
        let rest = std::mem::take(&mut self.open);
        if self.upload.is_none() {
            return self.objects.put(self.tenant, self.name, rest).await;
        }
        if !rest.is_empty() {
            self.send(rest).await?;
        }
        let Some(mut upload) = self.upload.take() else { return Ok(()) };
        upload.complete().await.map(drop).map_err(|_| self.objects.unwritable())
    }

    async fn send(&mut self, piece: Vec<u8>) -> Result<()> {
        let unwritable = self.objects.unwritable();
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => {
                let store = self.objects.store().await?;
                let begun = store.put_multipart(&at(self.tenant, self.name)).await;
                none.insert(begun.map_err(|_| unwritable)?)
            }
        };
        let sent = upload.put_part(PutPayload::from(piece)).await;
        if sent.is_err() {
            // What cannot be taken back now is swept later.
            let _ = upload.abort().await;
        }
        sent.map_err(|_| unwritable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: TenantId = TenantId::from_bytes([1; 16]);
    const OTHER: TenantId = TenantId::from_bytes([2; 16]);
    const NAME: ObjectName = ObjectName([0xab; 16]);

    #[tokio::test]
    async fn an_object_is_there_when_it_is_whole_and_read_in_ranges() {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::in_dir(dir.path().join("files"));
        assert_eq!(objects.read(TENANT, NAME, 0, 4).await, Ok(None));
        objects.put(TENANT, NAME, b"hello world".to_vec()).await.unwrap();
        assert_eq!(objects.len(TENANT, NAME).await, Ok(Some(11)));
        assert_eq!(objects.read(TENANT, NAME, 4, 4).await, Ok(Some(b"o wo".to_vec())));
        assert_eq!(objects.read(TENANT, NAME, 9, 99).await, Ok(Some(b"ld".to_vec())));
        assert_eq!(objects.read(TENANT, NAME, 11, 9).await, Ok(Some(Vec::new())), "at its end");
        assert_eq!(objects.len(OTHER, NAME).await, Ok(None));
        // Nothing takes the place of an object.
        let again = objects.put(TENANT, NAME, b"other".to_vec()).await;
        assert_eq!(again, Err(StoreError::Unwritable));
        objects.delete(TENANT, NAME).await.unwrap();
        objects.delete(TENANT, NAME).await.unwrap();
        assert_eq!(objects.len(TENANT, NAME).await, Ok(None));
    }

    #[tokio::test]
    async fn an_object_in_pieces_is_found_when_it_is_finished() {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::in_dir(dir.path());
        let bytes: Vec<u8> = (0..=250_u8).cycle().take(2 * PIECE_BYTES + 7).collect();
        let mut writer = objects.begin(TENANT, NAME);
        for piece in bytes.chunks(1 << 20) {
            writer.write(piece).await.unwrap();
        }
        assert_eq!(objects.len(TENANT, NAME).await, Ok(None));
        writer.finish().await.unwrap();
        assert_eq!(objects.read(TENANT, NAME, 0, bytes.len()).await, Ok(Some(bytes)));
        let small = ObjectName([1; 16]);
        objects.begin(TENANT, small).finish().await.unwrap();
        assert_eq!(objects.len(TENANT, small).await, Ok(Some(0)));
    }

    /// Runs where `LEADVAULT_TEST_S3_ENDPOINT` names a server with a bucket `leads` that honours `If-None-Match`, as
    /// `moto_server` of PyPI does.
    #[tokio::test]
    async fn a_bucket_keeps_the_first_of_two_objects_of_one_name() {
        let Ok(endpoint) = std::env::var("LEADVAULT_TEST_S3_ENDPOINT") else { return };
        // Another test may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let text = str::to_owned;
        let bucket = Bucket {
            endpoint,
            name: text("leads"),
            region: text("us-east-1"),
            access_key_id: text("vault"),
            secret_key: text("secret").into(),
        };
        let objects = Objects::in_bucket(&bucket).unwrap();
        objects.put(TENANT, NAME, b"first".to_vec()).await.unwrap();
        let second = objects.put(TENANT, NAME, b"second".to_vec()).await;
        assert_eq!(second, Err(StoreError::Unavailable));
        assert_eq!(objects.read(TENANT, NAME, 0, 9).await, Ok(Some(b"first".to_vec())));
        assert_eq!(objects.read(TENANT, NAME, 5, 9).await, Ok(Some(Vec::new())), "at its end");
        let (pieces, bytes) = (ObjectName([7; 16]), vec![7; PIECE_BYTES + 9]);
        let mut writer = objects.begin(TENANT, pieces);
        writer.write(&bytes).await.unwrap();
        writer.write(b"end").await.unwrap();
        writer.finish().await.unwrap();
        let end = objects.read(TENANT, pieces, bytes.len() as u64 - 1, 9).await;
        assert_eq!(end, Ok(Some(b"\x07end".to_vec())));
        let all = objects.list_before(TENANT, Timestamp::from_micros(i64::MAX)).await.unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(objects.read(OTHER, NAME, 0, 9).await, Ok(None));
        objects.delete_tenant(TENANT).await.unwrap();
        assert_eq!(objects.len(TENANT, NAME).await, Ok(None));
    }

    #[tokio::test]
    async fn what_is_old_is_listed_and_what_a_crash_left_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::in_dir(dir.path());
        objects.put(TENANT, NAME, vec![1]).await.unwrap();
        let mut unfinished = objects.begin(TENANT, ObjectName([2; 16]));
        unfinished.write(&vec![0; PIECE_BYTES]).await.unwrap();
        drop(unfinished);
        let of_tenant = dir.path().join(TENANT.uuid().to_string());
        let count = || std::fs::read_dir(&of_tenant).unwrap().count();
        let piece = of_tenant.join(format!("{}#1", ObjectName([3; 16])));
        std::fs::write(&piece, b"half").unwrap();
        let (old, new) = (Timestamp::from_micros(1), Timestamp::from_micros(i64::MAX));
        assert_eq!(objects.list_before(TENANT, new).await, Ok(vec![NAME]));
        assert_eq!(objects.list_before(TENANT, old).await, Ok(Vec::new()));
        assert_eq!(objects.list_before(OTHER, new).await, Ok(Vec::new()));
        objects.delete_unfinished(TENANT, old).await.unwrap();
        assert!(piece.exists(), "it may be under way");
        objects.delete_unfinished(TENANT, new).await.unwrap();
        assert_eq!(count(), 1, "what is whole stays");
        objects.delete_tenant(TENANT).await.unwrap();
        objects.delete_tenant(TENANT).await.unwrap();
        assert!(!of_tenant.exists());
    }
}
