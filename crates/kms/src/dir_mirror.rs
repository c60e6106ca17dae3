//! The mirror as a directory, meant for another disk: `keys restore --mirror` rebuilds the key store from it.
//!
//! ```text
//! <dir>/<tenant uuid>/set-<epoch, ten digits>     module `mirror_set`; written last, so a set is whole or absent
//!                     page-<page uuid>            u64 microseconds since 1970 | blob; never rewritten
//!                     lock                        held while sets are written or swept
//! ```
//! The blobs are ciphertext under epoch keys that the slot forgets: an old set is useless, not dangerous.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use leadvault_domain::{PageId, TenantId, Timestamp};
use leadvault_keys::{Mirror, MirrorError, PageRow, TenantRows};

use crate::disk::{Existing, make_dir, sync_dir, write_whole};
use crate::mirror_set::{decode, encode};

const SET: &str = "set-";
const PAGE: &str = "page-";

/// A directory of mirrored key stores.
#[derive(Debug, Clone)]
pub struct DirMirror {
    dir: PathBuf,
}

impl DirMirror {
    /// Opens the directory, making it if it is missing.
    ///
    /// # Errors
    /// [`MirrorError::Unavailable`] if it cannot be made.
    pub fn open(dir: &Path) -> Result<Self, MirrorError> {
        make_dir(dir).map_err(unavailable)?;
        Ok(Self { dir: dir.to_owned() })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, MirrorError> + Send + 'static,
    ) -> Result<T, MirrorError> {
        let mirror = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&mirror)).await;
        done.unwrap_or(Err(MirrorError::Unavailable))
    }

    fn of(&self, tenant: TenantId) -> PathBuf {
        self.dir.join(tenant.uuid().to_string())
    }

    fn store_now(&self, rows: &TenantRows, live_pages: &[PageId]) -> Result<(), MirrorError> {
        let dir = self.of(rows.head.tenant);
        make_dir(&dir).map_err(unavailable)?;
        let _lock = lock(&dir)?;
        for page in &rows.pages {
            let path = page_path(&dir, page.page);
            if !path.exists() {
                let micros = page.inserted_at.micros().to_be_bytes();
                let bytes = [micros.as_slice(), &page.blob].concat();
                write_whole(&path, &bytes, Existing::Replace).map_err(unavailable)?;
            }
        }
        if !live_pages.iter().all(|page| page_path(&dir, *page).exists()) {
            return Err(MirrorError::Damaged);
        }
        let bytes = encode(rows, live_pages)?;
        let path = set_path(&dir, rows.head.epoch);
        write_whole(&path, &bytes, Existing::Replace).map_err(unavailable)?;
        sync_dir(&self.dir).map_err(unavailable)
    }

    fn epochs_now(&self, tenant: TenantId) -> Result<Vec<u32>, MirrorError> {
        let mut epochs: Vec<u32> = names(&self.of(tenant))?
            .iter()
            .filter_map(|name| name.strip_prefix(SET)?.parse().ok())
            .collect();
        epochs.sort_unstable_by(|a, b| b.cmp(a));
        Ok(epochs)
    }

    fn load_now(&self, tenant: TenantId, epoch: u32) -> Result<TenantRows, MirrorError> {
        let dir = self.of(tenant);
        let (mut rows, pages) = read_set(&dir, epoch)?;
        if rows.head.tenant != tenant || rows.head.epoch != epoch {
            return Err(MirrorError::Damaged);
        }
        for page in pages {
            let bytes = read(&page_path(&dir, page))?;
            let (micros, blob) = bytes.split_first_chunk().ok_or(MirrorError::Damaged)?;
            let inserted_at = Timestamp::from_micros(i64::from_be_bytes(*micros));
            rows.pages.push(PageRow { tenant, page, blob: blob.to_vec(), inserted_at });
        }
        Ok(rows)
    }

    fn tenants_now(&self) -> Result<Vec<TenantId>, MirrorError> {
        let mut tenants = Vec::new();
        for name in names(&self.dir)? {
            let Ok(uuid) = uuid::Uuid::try_parse(&name) else { continue };
            let tenant = TenantId::from_uuid(uuid);
            if !self.epochs_now(tenant)?.is_empty() {
                tenants.push(tenant);
            }
        }
        tenants.sort_unstable();
        Ok(tenants)
    }

    fn keep_only_now(&self, tenant: TenantId, epoch: u32) -> Result<(), MirrorError> {
        let dir = self.of(tenant);
        if !dir.exists() {
            return Ok(());
        }
        let _lock = lock(&dir)?;
        let (keep, drop): (Vec<u32>, Vec<u32>) =
            self.epochs_now(tenant)?.into_iter().partition(|of| *of >= epoch);
        let mut live = BTreeSet::new();
        for epoch in keep {
            // An unreadable set keeps every page: what it needs is not known.
            let (_, pages) = read_set(&dir, epoch)?;
            live.extend(pages.into_iter().map(page_name));
        }
        for epoch in drop {
            std::fs::remove_file(set_path(&dir, epoch)).map_err(unavailable)?;
        }
        for name in names(&dir)? {
            if name.starts_with(PAGE) && !live.contains(&name) {
                std::fs::remove_file(dir.join(name)).map_err(unavailable)?;
            }
        }
        Ok(())
    }

    fn delete_now(&self, tenant: TenantId) -> Result<(), MirrorError> {
        match std::fs::remove_dir_all(self.of(tenant)) {
            Ok(()) => sync_dir(&self.dir).map_err(unavailable),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(unavailable(error)),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn unavailable(error: io::Error) -> MirrorError {
    tracing::warn!(mirror.error = %error.kind(), "mirror input or output failed");
    MirrorError::Unavailable
}

fn page_name(page: PageId) -> String {
    format!("{PAGE}{}", page.uuid())
}

fn page_path(dir: &Path, page: PageId) -> PathBuf {
    dir.join(page_name(page))
}

fn set_path(dir: &Path, epoch: u32) -> PathBuf {
    dir.join(format!("{SET}{epoch:010}"))
}

fn read_set(dir: &Path, epoch: u32) -> Result<(TenantRows, Vec<PageId>), MirrorError> {
    decode(&read(&set_path(dir, epoch))?)
}

fn read(path: &Path) -> Result<Vec<u8>, MirrorError> {
    std::fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => MirrorError::Damaged,
        _ => unavailable(error),
    })
}

/// File names of a directory; none if it does not exist.
fn names(dir: &Path) -> Result<Vec<String>, MirrorError> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unavailable(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(unavailable)?.file_name().into_string().ok());
    }
    Ok(names)
}

/// The tenant's lock: a sweep must not take pages whose set another node is about to write.
fn lock(dir: &Path) -> Result<File, MirrorError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(dir.join("lock"))
        .map_err(unavailable)?;
    file.lock().map_err(unavailable)?;
    Ok(file)
}

#[async_trait]
impl Mirror for DirMirror {
    async fn store(&self, rows: &TenantRows, live_pages: &[PageId]) -> Result<(), MirrorError> {
        let (rows, live_pages) = (rows.clone(), live_pages.to_vec());
        self.blocking(move |mirror| mirror.store_now(&rows, &live_pages)).await
    }

    async fn epochs(&self, tenant: TenantId) -> Result<Vec<u32>, MirrorError> {
        self.blocking(move |mirror| mirror.epochs_now(tenant)).await
    }

    async fn load(&self, tenant: TenantId, epoch: u32) -> Result<TenantRows, MirrorError> {
        self.blocking(move |mirror| mirror.load_now(tenant, epoch)).await
    }

    async fn tenants(&self) -> Result<Vec<TenantId>, MirrorError> {
        self.blocking(Self::tenants_now).await
    }

    async fn keep_only(&self, tenant: TenantId, epoch: u32) -> Result<(), MirrorError> {
        self.blocking(move |mirror| mirror.keep_only_now(tenant, epoch)).await
    }

    async fn delete(&self, tenant: TenantId) -> Result<(), MirrorError> {
        self.blocking(move |mirror| mirror.delete_now(tenant)).await
    }
}
