//! Slots as files: `<tenant uuid>`, one for each tenant, overwritten in place.
//!
//! A file holds two copies of the record (module `slot_copy`). To advance, the copy that is older or
//! invalid is overwritten, synced and read back, and only then the other one: at each moment one copy is
//! whole, and at the end neither holds the old epoch key. Readers take the whole copy with the higher
//! epoch and need no lock.
//!
//! Writers hold an exclusive `flock`. Like an OFD lock it belongs to the open file description, so it
//! keeps out other processes and other threads alike; the filesystems where the two differ are refused.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use leadvault_domain::TenantId;
use leadvault_keys::{Assurance, FailPoint, Slot, SlotError, SlotRecord};

use crate::disk::{Existing, make_dir, sync_dir, write_whole};
use crate::filesystem::overwrites_in_place;
use crate::slot_copy::{COPY_BYTES, FILE_BYTES, decode, encode};

/// Fail points inside [`Slot::advance`]: after the first copy, and after the second.
pub const SLOT_FAIL_POINTS: &[&str] = &["slot.first-copy", "slot.second-copy"];

/// How often, and how long apart, a taken lock is tried: an advance holds it for milliseconds.
const LOCK_TRIES: u32 = 1_000;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// A directory of slot files.
#[derive(Clone)]
pub struct FileSlots {
    dir: PathBuf,
    level: Assurance,
    fail_point: FailPoint,
}

impl FileSlots {
    /// Opens the directory, making it if it is missing.
    ///
    /// # Errors
    /// [`SlotError::OnCow`] on a filesystem that is not known to overwrite in place, unless `allow_cow`:
    /// the level is `E0` then. [`SlotError::Unavailable`] if the directory cannot be made or looked at.
    pub fn open(dir: &Path, allow_cow: bool) -> Result<Self, SlotError> {
        make_dir(dir).map_err(unavailable)?;
        let level = match overwrites_in_place(dir).map_err(unavailable)? {
            true => Assurance::E1,
            false if allow_cow => Assurance::E0,
            false => return Err(SlotError::OnCow),
        };
        Ok(Self { dir: dir.to_owned(), level, fail_point: Arc::new(|_| {}) })
    }

    /// With a hook at each of [`SLOT_FAIL_POINTS`].
    #[must_use]
    pub fn with_fail_points(mut self, fail_point: FailPoint) -> Self {
        self.fail_point = fail_point;
        self
    }

    fn path(&self, tenant: TenantId) -> PathBuf {
        self.dir.join(tenant.uuid().to_string())
    }

    /// Runs file work where it may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, SlotError> + Send + 'static,
    ) -> Result<T, SlotError> {
        let slots = self.clone();
        tokio::task::spawn_blocking(move || work(&slots))
            .await
            .unwrap_or(Err(SlotError::Unavailable))
    }

    fn read_now(&self, tenant: TenantId) -> Result<Option<SlotRecord>, SlotError> {
        let file = match File::open(self.path(tenant)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unavailable(error)),
        };
        if let Some(record) = best(&copies(&file, tenant)?) {
            return Ok(Some(record));
        }
        // Both copies may have been seen half-written, one after the other: look again without a writer.
        lock(&file)?;
        best(&copies(&file, tenant)?).map(Some).ok_or(SlotError::Damaged)
    }

    fn create_now(&self, tenant: TenantId, first: &SlotRecord) -> Result<(), SlotError> {
        let block = encode(tenant, first);
        let both = [block.as_slice(), block.as_slice()].concat();
        write_whole(&self.path(tenant), &both, Existing::Refuse).map_err(|error| {
            match error.kind() {
                io::ErrorKind::AlreadyExists => SlotError::Exists,
                _ => unavailable(error),
            }
        })
    }

    fn advance_now(&self, tenant: TenantId, next: &SlotRecord) -> Result<(), SlotError> {
        let file = self.open_locked(tenant)?.ok_or(SlotError::Missing)?;
        let present = copies(&file, tenant)?;
        let held = best(&present).ok_or(SlotError::Damaged)?;
        if held.epoch > next.epoch {
            return Err(SlotError::LowerEpoch { held: held.epoch, offered: next.epoch });
        }
        if held.epoch == next.epoch && held != *next {
            return Err(SlotError::OtherRecord { epoch: held.epoch });
        }
        let block = encode(tenant, next);
        let first = usize::from(present[0].as_ref() == Some(&held));
        for (index, step) in [first, 1 - first].into_iter().zip(SLOT_FAIL_POINTS) {
            if present[index].as_ref() != Some(next) {
                overwrite(&file, index, &block)?;
            }
            (self.fail_point)(step);
        }
        Ok(())
    }

    fn destroy_now(&self, tenant: TenantId) -> Result<(), SlotError> {
        let Some(file) = self.open_locked(tenant)? else { return Ok(()) };
        for index in [0, 1] {
            overwrite(&file, index, &[0; COPY_BYTES])?;
        }
        std::fs::remove_file(self.path(tenant)).map_err(unavailable)?;
        sync_dir(&self.dir).map_err(unavailable)
    }

    fn list_now(&self) -> Result<Vec<TenantId>, SlotError> {
        let mut tenants = Vec::new();
        for entry in std::fs::read_dir(&self.dir).map_err(unavailable)? {
            let name = entry.map_err(unavailable)?.file_name();
            // Anything else in the directory (an unfinished file) is nobody's slot.
            let uuid = name.to_str().and_then(|name| uuid::Uuid::try_parse(name).ok());
            tenants.extend(uuid.map(TenantId::from_uuid));
        }
        tenants.sort_unstable();
        Ok(tenants)
    }

    /// The file under its lock; `None` if there is none, or it was destroyed while the lock was waited for.
    fn open_locked(&self, tenant: TenantId) -> Result<Option<File>, SlotError> {
        let file = match OpenOptions::new().read(true).write(true).open(self.path(tenant)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unavailable(error)),
        };
        lock(&file)?;
        let links = file.metadata().map_err(unavailable)?.nlink();
        Ok((links > 0).then_some(file))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn unavailable(error: io::Error) -> SlotError {
    tracing::warn!(slot.error = %error.kind(), "slot file input or output failed");
    SlotError::Unavailable
}

fn best(copies: &[Option<SlotRecord>; 2]) -> Option<SlotRecord> {
    copies.iter().flatten().max_by_key(|record| record.epoch).cloned()
}

fn copies(file: &File, tenant: TenantId) -> Result<[Option<SlotRecord>; 2], SlotError> {
    let mut bytes = vec![0; FILE_BYTES];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok([None, None]),
        Err(error) => return Err(unavailable(error)),
    }
    let (a, b) = bytes.split_at(COPY_BYTES);
    Ok([decode(tenant, a), decode(tenant, b)])
}

/// Overwrites one copy, waits for the disk, and reads it back.
fn overwrite(file: &File, index: usize, block: &[u8]) -> Result<(), SlotError> {
    let at = if index == 0 { 0 } else { COPY_BYTES as u64 };
    file.write_all_at(block, at).map_err(unavailable)?;
    file.sync_data().map_err(unavailable)?;
    let mut again = vec![0; COPY_BYTES];
    file.read_exact_at(&mut again, at).map_err(unavailable)?;
    if again == block { Ok(()) } else { Err(SlotError::Damaged) }
}

/// Takes the exclusive lock; released when the file is closed.
fn lock(file: &File) -> Result<(), SlotError> {
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(std::fs::TryLockError::Error(error)) => return Err(unavailable(error)),
        }
    }
    Err(SlotError::Locked)
}

#[async_trait]
impl Slot for FileSlots {
    async fn read(&self, tenant: TenantId) -> Result<Option<SlotRecord>, SlotError> {
        self.blocking(move |slots| slots.read_now(tenant)).await
    }

    async fn create(&self, tenant: TenantId, first: &SlotRecord) -> Result<(), SlotError> {
        let first = first.clone();
        self.blocking(move |slots| slots.create_now(tenant, &first)).await
    }

    async fn advance(&self, tenant: TenantId, next: &SlotRecord) -> Result<(), SlotError> {
        let next = next.clone();
        self.blocking(move |slots| slots.advance_now(tenant, &next)).await
    }

    async fn destroy(&self, tenant: TenantId) -> Result<(), SlotError> {
        self.blocking(move |slots| slots.destroy_now(tenant)).await
    }

    fn level(&self) -> Assurance {
        self.level
    }

    async fn list(&self) -> Result<Vec<TenantId>, SlotError> {
        self.blocking(Self::list_now).await
    }
}

impl std::fmt::Debug for FileSlots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileSlots").field("level", &self.level).finish_non_exhaustive()
    }
}
