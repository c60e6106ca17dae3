//! Slots as files: `slots/<tenant uuid>`, two 4 KiB copies with a checksum each (protocols.md 1.3).
//!
//! One copy: `"LVSLOT\0\1"`, u16 length of the record, the record, zeros, and in the last 32 bytes the
//! SHA-256 of everything before. Readers take the valid copy with the higher epoch. To forget, the copy
//! that is older or invalid is overwritten in place, made durable and read back, and only then the other;
//! the file never grows, shrinks or is renamed, so no old block is left to the filesystem.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use leadvault_crypto::sha256;
use leadvault_domain::TenantId;
use leadvault_keys::{Assurance, Slot, SlotError, SlotRecord};
use rustix::fs::{FlockOperation, flock};

use crate::filesystem;

/// Bytes of one copy: a page, which a disk writes at once.
const COPY_BYTES: usize = 4096;
/// The same, as a file offset.
const COPY_OFFSET: u64 = 4096;
const CHECKSUM_BYTES: usize = 32;
const MAGIC: &[u8; 8] = b"LVSLOT\0\x01";

/// The slots of a cell in one directory, shared by the nodes of one host.
#[derive(Debug, Clone)]
pub struct FileSlots {
    dir: Arc<PathBuf>,
    level: Assurance,
}

impl FileSlots {
    /// Opens the directory; makes it, mode 0700, where it is missing.
    ///
    /// # Errors
    /// [`SlotError::OnCow`] where the filesystem may keep old bytes and `allow_cow` is false;
    /// [`SlotError::Unavailable`] where it cannot be made.
    pub fn open(dir: &Path, allow_cow: bool) -> Result<Self, SlotError> {
        use std::os::unix::fs::DirBuilderExt as _;
        if !dir.exists() {
            std::fs::DirBuilder::new()
                .mode(0o700)
                .recursive(true)
                .create(dir)
                .map_err(unavailable)?;
        }
        let in_place = filesystem::overwrites_in_place(dir).map_err(|_| SlotError::Unavailable)?;
        if !in_place && !allow_cow {
            return Err(SlotError::OnCow);
        }
        let level = if in_place { Assurance::E1Local } else { Assurance::E0 };
        Ok(Self { dir: Arc::new(dir.to_owned()), level })
    }

    fn path(&self, tenant: TenantId) -> PathBuf {
        self.dir.join(tenant.uuid().to_string())
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, SlotError> + Send + 'static,
    ) -> Result<T, SlotError> {
        tokio::task::spawn_blocking(work).await.map_err(|_| SlotError::Unavailable)?
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function of map_err")]
fn unavailable(_: std::io::Error) -> SlotError {
    SlotError::Unavailable
}

fn encode(record: &SlotRecord) -> Result<[u8; COPY_BYTES], SlotError> {
    let bytes = record.to_bytes();
    let length = u16::try_from(bytes.len()).map_err(|_| SlotError::Damaged)?;
    let mut copy = [0_u8; COPY_BYTES];
    let head: Vec<u8> = [MAGIC.as_slice(), &length.to_be_bytes(), &bytes].concat();
    let body = COPY_BYTES - CHECKSUM_BYTES;
    copy.get_mut(..head.len())
        .filter(|_| head.len() <= body)
        .ok_or(SlotError::Damaged)?
        .copy_from_slice(&head);
    let (front, checksum) = copy.split_at_mut(body);
    checksum.copy_from_slice(&sha256(&[front]));
    Ok(copy)
}

fn decode(copy: &[u8]) -> Option<SlotRecord> {
    let (front, checksum) = copy.split_at_checked(COPY_BYTES - CHECKSUM_BYTES)?;
    if sha256(&[front]).as_slice() != checksum {
        return None;
    }
    let rest = front.strip_prefix(MAGIC)?;
    let (length, rest) = rest.split_at_checked(2)?;
    let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
    SlotRecord::from_bytes(rest.get(..length)?).ok()
}

/// The file of one tenant, locked while it is open.
struct Locked {
    file: File,
}

impl Locked {
    /// `None` where there is no file. An exclusive lock waits for the other processes of the host; they
    /// hold it for three writes.
    fn open(path: &Path, operation: FlockOperation) -> Result<Option<Self>, SlotError> {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(_) => return Err(SlotError::Unavailable),
        };
        flock(&file, operation).map_err(|_| SlotError::Locked)?;
        Ok(Some(Self { file }))
    }

    fn copies(&mut self) -> Result<[Option<SlotRecord>; 2], SlotError> {
        let mut bytes = vec![0_u8; 2 * COPY_BYTES];
        self.file.seek(SeekFrom::Start(0)).map_err(unavailable)?;
        let mut have = 0;
        while let Some(rest) = bytes.get_mut(have..).filter(|r| !r.is_empty()) {
            match self.file.read(rest).map_err(unavailable)? {
                0 => break,
                n => have += n,
            }
        }
        let (a, b) = bytes.split_at(COPY_BYTES);
        Ok([decode(a), decode(b)])
    }

    /// Overwrites one copy in place, makes it durable and reads it back.
    fn overwrite(&mut self, which: u64, copy: &[u8; COPY_BYTES]) -> Result<(), SlotError> {
        let at = SeekFrom::Start(which * COPY_OFFSET);
        self.file.seek(at).map_err(unavailable)?;
        self.file.write_all(copy).map_err(unavailable)?;
        self.file.sync_data().map_err(unavailable)?;
        let mut back = [0_u8; COPY_BYTES];
        self.file.seek(at).map_err(unavailable)?;
        self.file.read_exact(&mut back).map_err(unavailable)?;
        if back == *copy { Ok(()) } else { Err(SlotError::Damaged) }
    }
}

fn newest(copies: &[Option<SlotRecord>; 2]) -> Option<&SlotRecord> {
    copies.iter().flatten().max_by_key(|r| r.epoch)
}

fn read(path: &Path) -> Result<Option<SlotRecord>, SlotError> {
    let Some(mut locked) = Locked::open(path, FlockOperation::LockShared)? else {
        return Ok(None);
    };
    let copies = locked.copies()?;
    newest(&copies).cloned().map(Some).ok_or(SlotError::Damaged)
}

fn create(path: &Path, dir: &Path, first: &SlotRecord) -> Result<(), SlotError> {
    let copy = encode(first)?;
    let mut file =
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path).map_err(
            |e| match e.kind() {
                std::io::ErrorKind::AlreadyExists => SlotError::Exists,
                _ => SlotError::Unavailable,
            },
        )?;
    // Real writes, so that the blocks are there before the first forgetting needs them.
    file.write_all(&copy).and_then(|()| file.write_all(&copy)).map_err(unavailable)?;
    file.sync_all().map_err(unavailable)?;
    File::open(dir).and_then(|d| d.sync_all()).map_err(unavailable)
}

fn advance(path: &Path, next: &SlotRecord) -> Result<(), SlotError> {
    let mut locked =
        Locked::open(path, FlockOperation::LockExclusive)?.ok_or(SlotError::Missing)?;
    let copies = locked.copies()?;
    let held = newest(&copies).ok_or(SlotError::Damaged)?;
    if next.epoch < held.epoch {
        return Err(SlotError::LowerEpoch { held: held.epoch, offered: next.epoch });
    }
    if next.epoch == held.epoch && next != held {
        return Err(SlotError::OtherRecord { epoch: held.epoch });
    }
    // The older or invalid copy first: until the new one is durable, the other stays readable.
    let epoch = |which: usize| copies.get(which).and_then(Option::as_ref).map_or(0, |r| r.epoch);
    let order = if epoch(0) <= epoch(1) { [0_u64, 1] } else { [1, 0] };
    let copy = encode(next)?;
    for which in order {
        locked.overwrite(which, &copy)?;
    }
    Ok(())
}

fn destroy(path: &Path, dir: &Path) -> Result<(), SlotError> {
    let Some(mut locked) = Locked::open(path, FlockOperation::LockExclusive)? else {
        return Ok(());
    };
    for which in [0, 1] {
        locked.overwrite(which, &[0_u8; COPY_BYTES])?;
    }
    std::fs::remove_file(path).map_err(unavailable)?;
    File::open(dir).and_then(|d| d.sync_all()).map_err(unavailable)
}

#[async_trait::async_trait]
impl Slot for FileSlots {
    async fn read(&self, tenant: TenantId) -> Result<Option<SlotRecord>, SlotError> {
        let path = self.path(tenant);
        self.blocking(move || read(&path)).await
    }

    async fn create(&self, tenant: TenantId, first: &SlotRecord) -> Result<(), SlotError> {
        let (path, dir, first) = (self.path(tenant), Arc::clone(&self.dir), first.clone());
        self.blocking(move || create(&path, &dir, &first)).await
    }

    async fn advance(&self, tenant: TenantId, next: &SlotRecord) -> Result<(), SlotError> {
        let (path, next) = (self.path(tenant), next.clone());
        self.blocking(move || advance(&path, &next)).await
    }

    async fn destroy(&self, tenant: TenantId) -> Result<(), SlotError> {
        let (path, dir) = (self.path(tenant), Arc::clone(&self.dir));
        self.blocking(move || destroy(&path, &dir)).await
    }

    fn level(&self) -> Assurance {
        self.level
    }

    async fn list(&self) -> Result<Vec<TenantId>, SlotError> {
        let dir = Arc::clone(&self.dir);
        self.blocking(move || {
            let mut tenants = Vec::new();
            for entry in std::fs::read_dir(dir.as_path()).map_err(unavailable)? {
                let name = entry.map_err(unavailable)?.file_name();
                let uuid = name.to_str().and_then(parse_uuid);
                tenants.extend(uuid);
            }
            tenants.sort();
            Ok(tenants)
        })
        .await
    }
}

/// A file name that is a UUID in its usual form.
fn parse_uuid(name: &str) -> Option<TenantId> {
    let digits: String = name.split('-').collect();
    let bytes: [u8; 16] = hex::decode(digits).ok()?.try_into().ok()?;
    let id = TenantId::from_bytes(bytes);
    (id.uuid().to_string() == name).then_some(id)
}

#[cfg(test)]
mod tests {
    use leadvault_domain::{DirectoryId, SlotId};
    use leadvault_keys::SEALED_KEY_BYTES;

    use super::*;

    fn record(epoch: u32) -> SlotRecord {
        SlotRecord {
            slot_id: SlotId::from_bytes([1; 16]),
            epoch,
            kek_gen: 1,
            directory: DirectoryId::from_bytes([2; 16]),
            sealed: vec![u8::try_from(epoch & 0xff).unwrap(); SEALED_KEY_BYTES],
        }
    }

    fn holds(path: &Path, record: &SlotRecord) -> bool {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(record.sealed.len()).any(|w| w == record.sealed)
    }

    #[tokio::test]
    async fn after_an_advance_no_byte_of_the_old_record_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let slots = FileSlots::open(dir.path(), true).unwrap();
        let tenant = TenantId::from_bytes([9; 16]);
        slots.create(tenant, &record(1)).await.unwrap();
        let path = slots.path(tenant);
        // The control: before the advance the old record is there to be found.
        assert!(holds(&path, &record(1)));
        slots.advance(tenant, &record(2)).await.unwrap();
        assert!(!holds(&path, &record(1)) && holds(&path, &record(2)));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 2 * COPY_OFFSET);
        assert_eq!(slots.read(tenant).await.unwrap(), Some(record(2)));
        assert_eq!(slots.list().await.unwrap(), vec![tenant]);
    }

    #[tokio::test]
    async fn lower_epochs_and_other_records_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let slots = FileSlots::open(dir.path(), true).unwrap();
        let tenant = TenantId::from_bytes([9; 16]);
        assert_eq!(slots.advance(tenant, &record(1)).await, Err(SlotError::Missing));
        slots.create(tenant, &record(5)).await.unwrap();
        assert_eq!(slots.create(tenant, &record(5)).await, Err(SlotError::Exists));
        let lower = SlotError::LowerEpoch { held: 5, offered: 4 };
        assert_eq!(slots.advance(tenant, &record(4)).await, Err(lower));
        let other = SlotRecord { kek_gen: 2, ..record(5) };
        assert_eq!(slots.advance(tenant, &other).await, Err(SlotError::OtherRecord { epoch: 5 }));
        slots.advance(tenant, &record(5)).await.unwrap();
        slots.destroy(tenant).await.unwrap();
        assert_eq!(slots.read(tenant).await.unwrap(), None);
    }

    #[tokio::test]
    async fn one_torn_copy_leaves_the_other_readable_and_two_are_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let slots = FileSlots::open(dir.path(), true).unwrap();
        let tenant = TenantId::from_bytes([9; 16]);
        slots.create(tenant, &record(3)).await.unwrap();
        let path = slots.path(tenant);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[100] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(slots.read(tenant).await.unwrap(), Some(record(3)));
        // Advancing repairs the torn copy.
        slots.advance(tenant, &record(3)).await.unwrap();
        bytes = std::fs::read(&path).unwrap();
        assert_eq!(decode(&bytes[..COPY_BYTES]), Some(record(3)));
        bytes[100] ^= 1;
        bytes[COPY_BYTES + 100] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(slots.read(tenant).await, Err(SlotError::Damaged));
    }
}
