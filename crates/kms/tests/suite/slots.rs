//! Slot files: in place, two copies, never backwards.

use std::fs::{OpenOptions, read};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use leadvault_domain::{DirectoryId, SlotId, TenantId};
use leadvault_keys::{Assurance, Slot, SlotError, SlotRecord};
use leadvault_kms::{FileSlots, SLOT_FAIL_POINTS};

const TENANT: TenantId = TenantId::from_bytes([1; 16]);

fn record(epoch: u32) -> SlotRecord {
    let mut sealed = [0; 128];
    sealed.fill(0x80 | u8::try_from(epoch % 100).unwrap());
    SlotRecord {
        slot_id: SlotId::from_bytes([2; 16]),
        epoch,
        kek_gen: 1,
        directory: DirectoryId::from_bytes([3; 16]),
        sealed: sealed.to_vec(),
    }
}

/// Slots that work on whatever filesystem the tests run on.
fn open(dir: &Path) -> FileSlots {
    FileSlots::open(dir, true).unwrap()
}

fn file(dir: &Path) -> PathBuf {
    dir.join(TENANT.uuid().to_string())
}

fn holds(dir: &Path, record: &SlotRecord) -> usize {
    let bytes = read(file(dir)).unwrap();
    bytes.windows(record.sealed.len()).filter(|window| *window == record.sealed).count()
}

#[tokio::test]
async fn a_record_reads_back_and_a_tenant_without_one_has_none() {
    let dir = tempfile::tempdir().unwrap();
    let slots = open(dir.path());
    assert_eq!(slots.read(TENANT).await, Ok(None));
    assert_eq!(slots.advance(TENANT, &record(2)).await, Err(SlotError::Missing));
    slots.create(TENANT, &record(1)).await.unwrap();
    assert_eq!(slots.read(TENANT).await, Ok(Some(record(1))));
    assert_eq!(slots.create(TENANT, &record(1)).await, Err(SlotError::Exists));
    assert_eq!(slots.list().await, Ok(vec![TENANT]));
    let meta = file(dir.path()).metadata().unwrap();
    assert_eq!((meta.len(), meta.permissions().mode() & 0o777), (8_192, 0o600));
    assert!(meta.blocks() * 512 >= 8_192, "its blocks are allocated by real writes");
}

#[tokio::test]
async fn after_an_advance_no_byte_of_the_old_wrap_is_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let slots = open(dir.path());
    slots.create(TENANT, &record(1)).await.unwrap();
    assert_eq!(holds(dir.path(), &record(1)), 2, "control: both copies hold it before");
    let inode = file(dir.path()).metadata().unwrap().ino();
    slots.advance(TENANT, &record(2)).await.unwrap();
    assert_eq!(holds(dir.path(), &record(1)), 0);
    assert_eq!(holds(dir.path(), &record(2)), 2);
    assert_eq!(file(dir.path()).metadata().unwrap().ino(), inode, "overwritten, not replaced");
    assert!(!read(file(dir.path())).unwrap().windows(8).any(|window| window == [0x81; 8]));
}

#[tokio::test]
async fn a_lower_epoch_and_another_record_of_the_same_epoch_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let slots = open(dir.path());
    slots.create(TENANT, &record(5)).await.unwrap();
    let lower = SlotError::LowerEpoch { held: 5, offered: 4 };
    assert_eq!(slots.advance(TENANT, &record(4)).await, Err(lower));
    let other = SlotRecord { kek_gen: 2, ..record(5) };
    assert_eq!(slots.advance(TENANT, &other).await, Err(SlotError::OtherRecord { epoch: 5 }));
    assert_eq!(slots.advance(TENANT, &record(5)).await, Ok(()));
    assert_eq!(slots.read(TENANT).await, Ok(Some(record(5))));
}

#[tokio::test]
async fn a_crash_between_the_copies_leaves_one_whole_and_the_same_record_finishes_it() {
    let dir = tempfile::tempdir().unwrap();
    let calm = open(dir.path());
    calm.create(TENANT, &record(1)).await.unwrap();
    for epoch in 2..6 {
        let torn = open(dir.path()).with_fail_points(Arc::new(|step| {
            assert_ne!(step, SLOT_FAIL_POINTS[0], "planted");
        }));
        assert_eq!(torn.advance(TENANT, &record(epoch)).await, Err(SlotError::Unavailable));
        assert_eq!(holds(dir.path(), &record(epoch - 1)), 1, "control: the old one is still there");
        assert_eq!(calm.read(TENANT).await, Ok(Some(record(epoch))));
        calm.advance(TENANT, &record(epoch)).await.unwrap();
        assert_eq!(
            (holds(dir.path(), &record(epoch - 1)), holds(dir.path(), &record(epoch))),
            (0, 2)
        );
    }
}

#[tokio::test]
async fn a_torn_copy_is_not_read_and_is_the_one_overwritten_next() {
    for torn in [0_u64, 4_096] {
        let dir = tempfile::tempdir().unwrap();
        let slots = open(dir.path());
        slots.create(TENANT, &record(1)).await.unwrap();
        let raw = OpenOptions::new().write(true).open(file(dir.path())).unwrap();
        raw.write_all_at(&[0xee; 2_000], torn + 50).unwrap();
        assert_eq!(slots.read(TENANT).await, Ok(Some(record(1))));
        let dying = open(dir.path()).with_fail_points(Arc::new(|_| panic!("planted")));
        assert!(dying.advance(TENANT, &record(2)).await.is_err());
        // Had the whole copy been chosen first, a crash while it was written would have lost everything.
        assert_eq!((holds(dir.path(), &record(1)), holds(dir.path(), &record(2))), (1, 1));
        slots.advance(TENANT, &record(2)).await.unwrap();
        assert_eq!(holds(dir.path(), &record(2)), 2);
    }
}

#[tokio::test]
async fn a_file_without_a_whole_copy_is_damaged_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let slots = open(dir.path());
    slots.create(TENANT, &record(1)).await.unwrap();
    let raw = OpenOptions::new().write(true).open(file(dir.path())).unwrap();
    raw.write_all_at(&[0; 8_192], 0).unwrap();
    assert_eq!(slots.read(TENANT).await, Err(SlotError::Damaged));
    assert_eq!(slots.advance(TENANT, &record(2)).await, Err(SlotError::Damaged));
    raw.set_len(100).unwrap();
    assert_eq!(slots.read(TENANT).await, Err(SlotError::Damaged));
}

#[tokio::test]
async fn another_tenants_file_under_this_name_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let slots = open(dir.path());
    slots.create(TENANT, &record(1)).await.unwrap();
    let other = TenantId::from_bytes([9; 16]);
    std::fs::copy(file(dir.path()), dir.path().join(other.uuid().to_string())).unwrap();
    assert_eq!(slots.read(other).await, Err(SlotError::Damaged));
}

#[tokio::test]
async fn a_destroyed_slot_is_gone_and_destroying_it_again_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let slots = open(dir.path());
    slots.create(TENANT, &record(1)).await.unwrap();
    let kept_open = std::fs::File::open(file(dir.path())).unwrap();
    slots.destroy(TENANT).await.unwrap();
    let mut bytes = vec![1; 8_192];
    kept_open.read_exact_at(&mut bytes, 0).unwrap();
    assert!(bytes.iter().all(|byte| *byte == 0), "overwritten before it was unlinked");
    slots.destroy(TENANT).await.unwrap();
    assert_eq!(slots.read(TENANT).await, Ok(None));
    assert_eq!(slots.list().await, Ok(Vec::new()));
}

#[tokio::test]
async fn writers_wait_for_the_lock_of_another_process() {
    let dir = tempfile::tempdir().unwrap();
    let slots = open(dir.path());
    slots.create(TENANT, &record(1)).await.unwrap();
    let foreign = OpenOptions::new().read(true).write(true).open(file(dir.path())).unwrap();
    foreign.lock().unwrap();
    let next = record(2);
    let waiting = slots.clone();
    let advance = tokio::spawn(async move { waiting.advance(TENANT, &next).await });
    tokio::time::sleep(std::time::Duration::from_millis(60)).await;
    assert!(!advance.is_finished());
    assert_eq!(slots.read(TENANT).await, Ok(Some(record(1))), "readers do not wait");
    drop(foreign);
    advance.await.unwrap().unwrap();
    assert_eq!(slots.read(TENANT).await, Ok(Some(record(2))));
}

#[tokio::test]
async fn readers_beside_a_busy_writer_always_see_a_whole_record() {
    let dir = tempfile::tempdir().unwrap();
    let slots = open(dir.path());
    slots.create(TENANT, &record(1)).await.unwrap();
    let writing = slots.clone();
    let writer = tokio::spawn(async move {
        for epoch in 2..80 {
            writing.advance(TENANT, &record(epoch)).await.unwrap();
        }
    });
    let mut last = 1;
    while !writer.is_finished() {
        let seen = slots.read(TENANT).await.unwrap().unwrap();
        assert!(seen.epoch >= last && seen == record(seen.epoch));
        last = seen.epoch;
    }
    writer.await.unwrap();
}

#[tokio::test]
async fn the_level_says_what_the_filesystem_is_worth() {
    let dir = tempfile::tempdir().unwrap();
    let strict = FileSlots::open(dir.path(), false);
    let loose = open(dir.path());
    match strict {
        Ok(slots) => {
            assert_eq!((slots.level(), loose.level()), (Assurance::E1, Assurance::E1));
        }
        Err(refused) => {
            assert_eq!((refused, loose.level()), (SlotError::OnCow, Assurance::E0));
        }
    }
    // /proc is on no list: an unknown filesystem is refused, or taken at level E0.
    let unknown = Path::new("/proc/self");
    assert_eq!(FileSlots::open(unknown, false).err(), Some(SlotError::OnCow));
    assert_eq!(FileSlots::open(unknown, true).unwrap().level(), Assurance::E0);
}
