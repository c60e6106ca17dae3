//! `leadvault restore`: puts a copy of the data store back beside the current keys (protocols.md 2.4).
//!
//! Only `data.db` of the backup is read. Its `keys.db` and `slots/`, should they be there, are never touched:
//! older keys would undo erasures. The copy is checked beside the database it replaces, takes its place by one
//! rename, and is brought up from the log's bundles; where that is refused, the database of before is put back.
//! Killed at any point, it may be run again, or the service started: both go on from what lies there.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use leadvault_crypto::Sha256Stream;
use leadvault_domain::Unobserved;
use leadvault_store::{DataStore, StoreError, StoreOptions};
use leadvault_vault::{Restored, carry_suppressions};
use serde::Serialize;

use crate::config::Config;
use crate::data_lock::DataLock;
use crate::exit::{Done, Stop};
use crate::output::print_json;
use crate::{serve, stores, telemetry};

/// Name of the data store in the data directory and in a backup.
const DATA_STORE: &str = "data.db";
/// The copy while it is checked.
const INCOMING: &str = "data.db.incoming";
/// The database that was replaced.
const BEFORE: &str = "data.db.before-restore";
/// First bytes of every SQLite database.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Bytes read at a time.
const BLOCK_BYTES: usize = 1 << 16;

/// What came of it.
#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    /// Names the copy in every tenant's log.
    backup_id: String,
    /// What became of each tenant.
    tenants: Vec<Restored>,
    /// Values of the suppression lists that the copy did not know; null where the present database could not be read.
    suppressions_carried: Option<u64>,
    /// Where the database of before lies.
    set_aside: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// 2 for a backup that cannot be read, is no data store, holds no tenant or is damaged, and while the service
/// runs; 3 where keys, slots or log do not allow it; 4 when it could not finish.
pub(crate) fn run(config: &Path, from: &Path) -> Done {
    let config = Config::read(config)?;
    if config.postgres.is_some() {
        return Err(Stop::Usage(anyhow::anyhow!(
            "the data store is in PostgreSQL: put it back with the tools of PostgreSQL, then start the service, \
             which brings the logs up and drops what was erased since"
        )));
    }
    let backup = data_store_of(from)?;
    telemetry::start_lines(None, None);
    let _alone = DataLock::exclusive(&config.data)?;
    let present = config.data.join(DATA_STORE);
    if same_file(&backup, &present) {
        return Err(Stop::Usage(anyhow::anyhow!("the backup is the data store in use")));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("runtime")
        .map_err(Stop::Again)?;
    runtime.block_on(restore(&config, &backup, &present))
}

async fn restore(config: &Config, backup: &Path, present: &Path) -> Done {
    let incoming = config.data.join(INCOMING);
    let reached = serve::fail_point();
    say!("1/4 copying the data store of the backup");
    remove_database(&incoming)?;
    copy_database(backup, &incoming)?;
    reached("restore.copied");
    say!("2/4 checking the copy");
    if let Err(stop) = check(&incoming).await {
        remove_database(&incoming)?;
        return Err(stop);
    }
    let backup_id = digest(&incoming)?;
    let suppressions_carried = carry(present, &incoming).await?;
    reached("restore.checked");
    say!("3/4 putting it in the place of the present one");
    let before = kept_as(&config.data);
    set_aside(present, &before).await?;
    reached("restore.set_aside");
    rename(&incoming, present)?;
    reached("restore.replaced");
    say!("4/4 bringing the logs up, replaying what narrows, removing what is erased");
    match bring_up(config, &backup_id).await {
        Ok(tenants) => {
            reached("restore.brought_up");
            let set_aside = before.clone();
            print_json(&Report { ok: true, backup_id, tenants, suppressions_carried, set_aside })?;
            say!("done; the database of before is {}", before.display());
            Ok(())
        }
        Err(stop @ Stop::Refused { .. }) if before.exists() => {
            put_back(&before, present)?;
            say!("refused; the database of before is back in its place");
            Err(stop)
        }
        Err(stop) => Err(stop),
    }
}

async fn bring_up(config: &Config, backup_id: &str) -> Result<Vec<Restored>, Stop> {
    let parts = serve::parts(config, Arc::new(Unobserved)).await?;
    let (data, keys) = (parts.data.clone(), parts.key_store.clone());
    let started = leadvault_vault::start_restored(parts, backup_id).await;
    match started {
        Ok((_, tenants)) => Ok(tenants),
        Err(error) => {
            // Their files are about to be moved.
            data.close().await;
            keys.close().await;
            Err(serve::start_error(error))
        }
    }
}

/// The first free name for the database of before: one that an earlier restore kept stays as it is.
fn kept_as(data: &Path) -> PathBuf {
    let mut before = data.join(BEFORE);
    let mut n = 2_u32;
    while before.exists() {
        before = data.join(format!("{BEFORE}-{n}"));
        n += 1;
    }
    before
}

/// The data store of a backup: a directory that has one, or the file itself.
fn data_store_of(from: &Path) -> Result<PathBuf, Stop> {
    let path = if from.is_dir() { from.join(DATA_STORE) } else { from.to_owned() };
    let mut magic = [0; MAGIC.len()];
    File::open(&path)
        .and_then(|mut file| file.read_exact(&mut magic))
        .with_context(|| format!("cannot read {}", path.display()))?;
    if &magic == MAGIC {
        Ok(path)
    } else {
        Err(Stop::Usage(anyhow::anyhow!("{}: not a database", path.display())))
    }
}

/// Brings the schema of the copy up and reads all of it.
async fn check(copy: &Path) -> Result<(), Stop> {
    let options = StoreOptions { ballast_bytes: 0, ..StoreOptions::default() };
    let unusable = |what: &'static str| Stop::Usage(anyhow::anyhow!("the backup {what}"));
    let store = DataStore::open(copy, options).await.map_err(|error| match error {
        StoreError::SchemaNewer { .. } | StoreError::SchemaDiffers { .. } => {
            stores::store_error(error)
        }
        _ => unusable("is not a data store"),
    })?;
    let sound = store.is_sound().await;
    let tenants = store.list_tenants().await;
    store.close().await;
    whole(copy)?;
    if !matches!(sound, Ok(true)) {
        return Err(unusable("is damaged"));
    }
    match tenants {
        Ok(tenants) if !tenants.is_empty() => Ok(()),
        Ok(_) => Err(unusable("holds no tenant")),
        Err(_) => Err(unusable("is damaged")),
    }
}

/// Takes the suppression lists of the present database into the copy, so that nobody who was erased since comes
/// back with a file. Where the present one is lost or damaged, says so.
async fn carry(present: &Path, copy: &Path) -> Result<Option<u64>, Stop> {
    let options = StoreOptions { ballast_bytes: 0, ..StoreOptions::default() };
    let newer = if present.exists() { DataStore::look(present).await.ok() } else { None };
    let Some(newer) = newer else {
        say!(
            "the present database cannot be read: who was erased since the copy is not kept from coming in again"
        );
        return Ok(None);
    };
    let into = DataStore::open(copy, options).await.map_err(stores::store_error)?;
    let carried = carry_suppressions(&newer, &into).await;
    newer.close().await;
    into.close().await;
    whole(copy)?;
    if carried.is_err() {
        say!("the present database is damaged: who was erased since the copy may come in again");
    }
    Ok(carried.ok())
}

/// Keeps the present database under another name. It stays in its place until the copy takes it, so that
/// there is a database at every moment.
async fn set_aside(present: &Path, before: &Path) -> Result<(), Stop> {
    if !present.exists() {
        return Ok(());
    }
    // Closing moves the write-ahead log into the database. One that does not open is kept as it is, log and all.
    let options = StoreOptions { ballast_bytes: 0, ..StoreOptions::default() };
    if let Ok(store) = DataStore::open(present, options).await {
        store.close().await;
        whole(present)?;
    }
    let ([log, index], [kept_log, _]) = (beside(present), beside(before));
    link(present, before)?;
    if log.exists() {
        link(&log, &kept_log)?;
    }
    remove(&log)?;
    remove(&index)
}

/// Puts what [`set_aside`] kept back into its place.
fn put_back(before: &Path, present: &Path) -> Result<(), Stop> {
    let ([log, _], [kept_log, _]) = (beside(present), beside(before));
    remove_database(present)?;
    if kept_log.exists() {
        rename(&kept_log, &log)?;
    }
    rename(before, present)
}

fn link(file: &Path, also: &Path) -> Result<(), Stop> {
    std::fs::hard_link(file, also)
        .context("the present database cannot be kept")
        .map_err(Stop::Again)
}

/// Makes sure that a closed database is one file: what lay in its write-ahead log would stay behind.
fn whole(database: &Path) -> Result<(), Stop> {
    let [log, _] = beside(database);
    match std::fs::metadata(&log) {
        Ok(meta) if meta.len() > 0 => Err(Stop::Again(anyhow::anyhow!(
            "{} is in use: its write-ahead log cannot be moved into it",
            database.display()
        ))),
        _ => Ok(()),
    }
}

/// The write-ahead log of a database and its index.
fn beside(database: &Path) -> [PathBuf; 2] {
    ["-wal", "-shm"].map(|suffix| {
        let mut name = database.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    })
}

fn copy_database(from: &Path, to: &Path) -> Result<(), Stop> {
    let ([from_log, _], [to_log, _]) = (beside(from), beside(to));
    copy(from, to)?;
    if from_log.exists() { copy(&from_log, &to_log) } else { Ok(()) }
}

fn copy(from: &Path, to: &Path) -> Result<(), Stop> {
    std::fs::copy(from, to)
        .and_then(|_| File::open(to)?.sync_all())
        .with_context(|| format!("cannot copy {}", from.display()))
        .map_err(Stop::Again)
}

fn remove_database(database: &Path) -> Result<(), Stop> {
    remove(database)?;
    beside(database).iter().try_for_each(|path| remove(path))
}

fn remove(path: &Path) -> Result<(), Stop> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            let error =
                anyhow::Error::new(error).context(format!("cannot remove {}", path.display()));
            Err(Stop::Again(error))
        }
        _ => Ok(()),
    }
}

/// Renames, durably.
fn rename(from: &Path, to: &Path) -> Result<(), Stop> {
    let dir = to.parent().unwrap_or(Path::new("."));
    std::fs::rename(from, to)
        .and_then(|()| File::open(dir)?.sync_all())
        .with_context(|| format!("cannot replace {}", to.display()))
        .map_err(Stop::Again)
}

/// SHA-256 of the copy as it was checked, 64 hexadecimal digits.
fn digest(path: &Path) -> Result<String, Stop> {
    let mut hash = Sha256Stream::new();
    let mut block = vec![0; BLOCK_BYTES];
    let mut file = File::open(path).context("the copy").map_err(Stop::Again)?;
    loop {
        let read = file.read(&mut block).context("the copy").map_err(Stop::Again)?;
        match block.get(..read) {
            Some(bytes) if read > 0 => hash.update(bytes),
            _ => return Ok(hex::encode(hash.finish())),
        }
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
