//! What an advance does to the keys, and what it leaves behind.

use leadvault_crypto::{Context, Header, Kind, SecretKey, open};
use leadvault_domain::{DatasetId, DatasetNo, LeafRange, TagKind};
use leadvault_keys::{
    Change, DirectoryRow, KeyError, KeyServices, PageRow, SlotRecord, WrapContext,
};

use crate::world::{DATASET, LEADS, TENANT, World, at, erase};

/// Every epoch key that the slot's copies still hold, by the KEKs the store still has.
async fn live_epoch_keys(
    services: &KeyServices,
    copies: &[Option<SlotRecord>; 2],
) -> Vec<SecretKey> {
    let mut keys = Vec::new();
    for record in copies.iter().flatten() {
        for row in services.blobs.list_keks(TENANT).await.unwrap() {
            let context = WrapContext::tenant_kek(TENANT, row.generation);
            let kek = services.root.unwrap(&context, &row.wrapped).await.unwrap();
            let header = Header {
                kind: Kind::EpochSlot,
                schema: 1,
                compartment: 2,
                revision: record.epoch,
                tree: 0,
                leaf: 0,
            };
            if let Ok(plain) = open(&kek, &header, &ids(record.directory.bytes()), &record.sealed) {
                keys.push(SecretKey::from_bytes(plain.as_slice().try_into().unwrap()));
            }
            keys.push(kek);
        }
    }
    keys
}

fn ids(record: [u8; 16]) -> Context {
    Context { tenant: TENANT.bytes(), dataset: [0; 16], record }
}

fn opens(key: &SecretKey, row: &DirectoryRow) -> Option<Vec<u8>> {
    let header = Header {
        kind: Kind::Directory,
        schema: 1,
        compartment: 0,
        revision: row.epoch,
        tree: 0,
        leaf: 0,
    };
    open(key, &header, &ids(row.directory.bytes()), &row.blob).ok().map(|plain| plain.to_vec())
}

/// Tries a key on a page blob under every version a test could have reached.
fn opens_page(key: &SecretKey, row: &PageRow, page_no: u32) -> bool {
    (1..6).any(|revision| {
        let leaf = page_no << 14;
        let header =
            Header { kind: Kind::Page, schema: 1, compartment: 0, revision, tree: 1, leaf };
        let dataset = DATASET.bytes();
        let context = Context { tenant: TENANT.bytes(), dataset, record: [0; 16] };
        open(key, &header, &context, &row.blob).is_ok()
    })
}

#[tokio::test]
async fn punctured_leaves_are_gone_and_every_other_leaf_keeps_its_key() {
    let (world, keys) = World::with_dataset().await;
    let sample = [0, 4, 6, 16_383, 16_384, 500_000, u32::MAX];
    let before = keys.ring().unwrap();
    let refs = sample.map(|leaf| before.locate(at(leaf)).unwrap().reference());
    let advanced = keys.advance(erase(5)).await.unwrap();
    assert_eq!((advanced.epoch, advanced.structural, advanced.all_nodes), (3, false, true));
    let after = keys.ring().unwrap();
    assert_eq!(after.state(), advanced.state);
    assert_eq!(after.locate(at(5)).err(), Some(KeyError::Punctured(at(5))));
    assert!(before.locate(at(5)).is_ok(), "control: the old snapshot has it");
    assert_eq!(sample.map(|leaf| after.locate(at(leaf)).unwrap().reference()), refs);
    let opened = world.open().await.unwrap().ring().unwrap();
    assert_eq!(opened.locate(at(5)).err(), Some(KeyError::Punctured(at(5))));
    assert_eq!(sample.map(|leaf| opened.locate(at(leaf)).unwrap().reference()), refs);
}

#[tokio::test]
async fn the_old_directory_opens_under_no_live_key_once_the_slot_has_forgotten() {
    let (world, keys) = World::with_dataset().await;
    keys.advance(erase(5)).await.unwrap();
    let services = world.node().services();
    let old = world.rows().attic.directories.last().cloned().unwrap();
    let old_page = world.rows().attic.pages.last().cloned().unwrap();
    let live = live_epoch_keys(&services, &world.copies()).await;
    let plain = live.iter().find_map(|key| opens(key, &old)).expect("control: it opens before");
    let windows = |plain: &[u8]| -> Vec<SecretKey> {
        plain.windows(32).map(|w| SecretKey::from_bytes(w.try_into().unwrap())).collect()
    };
    assert!(windows(&plain).iter().any(|key| opens_page(key, &old_page, 0)), "control: its page");

    let sealed_before = world.copies()[0].clone().unwrap().sealed;
    keys.advance(erase(6)).await.unwrap();
    let copies = world.copies();
    assert!(copies.iter().flatten().all(|copy| copy.sealed != sealed_before && copy.epoch == 4));
    let live = live_epoch_keys(&services, &copies).await;
    assert!(live.iter().all(|key| opens(key, &old).is_none()));
    // Nothing inside the present directory opens the old one, its hop, or the old page either.
    let new = world.rows().attic.directories.last().cloned().unwrap();
    let plain = live.iter().find_map(|key| opens(key, &new)).expect("the present one opens");
    for key in windows(&plain) {
        assert!(opens(&key, &old).is_none() && !opens_page(&key, &old_page, 0));
    }
}

#[tokio::test]
async fn old_pages_directories_hops_and_keks_are_swept() {
    let (world, keys) = World::with_dataset().await;
    keys.advance(erase(5)).await.unwrap();
    keys.advance(erase(6)).await.unwrap();
    keys.advance(Change::RotateKek).await.unwrap();
    let rows = world.rows();
    assert_eq!(rows.directories.len(), 1);
    assert_eq!(rows.pages.len(), 1);
    assert!(rows.hops.is_empty());
    assert_eq!(rows.keks.keys().map(|(_, generation)| *generation).collect::<Vec<_>>(), [2]);
    assert_eq!(rows.attic.pages.len(), 2, "control: two were written");
    assert_eq!(rows.attic.directories.len(), 5);
    assert_eq!(world.mirror.lock().unwrap().sets.keys().copied().collect::<Vec<_>>(), [5]);
}

#[tokio::test]
async fn unnamed_pages_stay_for_an_hour_and_named_ones_go_at_once() {
    let (world, keys) = World::with_dataset().await;
    let row = |page: u8| PageRow {
        tenant: TENANT,
        page: leadvault_domain::PageId::from_bytes([page; 16]),
        blob: vec![1],
        inserted_at: leadvault_domain::Clock::now(&*world.clock),
    };
    world.rows().insert_pages(vec![row(1)], None).unwrap();
    keys.advance(erase(5)).await.unwrap();
    assert_eq!(world.rows().pages.len(), 2);
    world.clock.0.fetch_add(3_601_000_000, std::sync::atomic::Ordering::SeqCst);
    keys.advance(erase(6)).await.unwrap();
    assert_eq!(world.rows().pages.len(), 1);
}

#[tokio::test]
async fn a_rotated_kek_opens_after_a_restart_and_the_old_one_is_gone() {
    let (world, keys) = World::with_dataset().await;
    let reference = keys.ring().unwrap().locate(at(1)).unwrap().reference();
    keys.advance(Change::RotateKek).await.unwrap();
    assert!(world.copies().iter().flatten().all(|copy| copy.kek_gen == 2));
    let opened = world.open().await.unwrap();
    assert_eq!(opened.ring().unwrap().locate(at(1)).unwrap().reference(), reference);
    opened.advance(erase(1)).await.unwrap();
    assert_eq!(world.copies()[1].clone().unwrap().kek_gen, 2);
}

#[tokio::test]
async fn datasets_and_tag_keys_come_and_go_and_bump_dir_gen_only_then() {
    let (world, keys) = World::with_dataset().await;
    let gens = || *world.control.lock().unwrap();
    assert_eq!(gens(), (2, 2));
    keys.advance(erase(1)).await.unwrap();
    assert_eq!(gens(), (3, 2));
    let tag = keys.ring().unwrap().tag(LEADS, TagKind::EMAIL, b"ada@example.com").unwrap();
    assert!(keys.advance(Change::AddTagKey(LEADS)).await.unwrap().structural);
    assert_eq!(gens(), (4, 3));
    let ring = keys.ring().unwrap();
    assert_eq!((ring.index_epoch(LEADS), ring.index_epochs(LEADS)), (2, vec![2, 1]));
    assert_ne!(ring.tag(LEADS, TagKind::EMAIL, b"ada@example.com"), Ok(tag));
    assert_eq!(ring.tag_at(LEADS, 1, TagKind::EMAIL, b"ada@example.com"), Ok(tag));
    keys.advance(Change::DropTagKey(LEADS, 1)).await.unwrap();
    let gone = keys.ring().unwrap().tag_at(LEADS, 1, TagKind::EMAIL, b"ada@example.com");
    assert_eq!(gone, Err(KeyError::UnknownTagKey { dataset: LEADS, index_epoch: 1 }));
    keys.advance(Change::DropDataset(LEADS)).await.unwrap();
    assert_eq!(gens(), (6, 5));
    let ring = world.open().await.unwrap().ring().unwrap();
    assert_eq!(ring.locate(at(1)).err(), Some(KeyError::UnknownDataset(LEADS)));
    assert_eq!(ring.dataset_id(LEADS), None);
    assert!(ring.system(0).is_ok(), "the system tree stays");
}

#[tokio::test]
async fn a_change_that_is_already_made_moves_no_epoch() {
    let (_, keys) = World::with_dataset().await;
    let first = keys.advance(erase(5)).await.unwrap();
    let again = keys.advance(erase(5)).await.unwrap();
    assert_eq!((again.epoch, again.state), (first.epoch, first.state));
    let same = keys.advance(Change::AddDataset { no: LEADS, id: DATASET }).await.unwrap();
    assert_eq!(same.epoch, first.epoch);
    let gone = keys.advance(Change::DropDataset(DatasetNo(9))).await.unwrap();
    assert_eq!(gone.epoch, first.epoch);
}

#[tokio::test]
async fn a_set_of_changes_is_made_in_one_epoch_or_not_at_all() {
    let (_, keys) = World::with_dataset().await;
    let other = DatasetId::from_bytes([0x33; 16]);
    let refused = Change::AddDataset { no: LEADS, id: other };
    let result = keys.advance_all(vec![erase(7), refused]).await;
    assert_eq!(result, Err(KeyError::DatasetExists(LEADS)));
    assert!(keys.ring().unwrap().is_live(at(7)));
    let added = Change::AddDataset { no: DatasetNo(2), id: other };
    let advanced = keys.advance_all(vec![erase(7), added]).await.unwrap();
    assert_eq!(advanced.epoch, 3);
    assert!(!keys.ring().unwrap().is_live(at(7)));
    assert_eq!(keys.ring().unwrap().dataset_id(DatasetNo(2)), Some(other));
}

#[tokio::test]
async fn concurrent_punctures_share_epochs_and_each_caller_gets_its_answer() {
    let (_, keys) = World::with_dataset().await;
    let calls = (0..40_u32).map(|leaf| {
        let keys = keys.clone();
        tokio::spawn(async move { keys.advance(erase(leaf * 1_000)).await })
    });
    let mut last = 0;
    for call in calls.collect::<Vec<_>>() {
        last = last.max(call.await.unwrap().unwrap().epoch);
    }
    assert!(last < 2 + 40, "at least two shared an epoch: {last}");
    let ring = keys.ring().unwrap();
    assert!(
        (0..40).all(|leaf| !ring.is_live(at(leaf * 1_000)) && ring.is_live(at(leaf * 1_000 + 1)))
    );
}

#[tokio::test]
async fn one_refused_change_does_not_fail_the_others_of_its_batch() {
    let (_, keys) = World::with_dataset().await;
    let bad = Change::Puncture(vec![LeafRange { dataset: LEADS, tree: 1, first: 5, end: 5 }]);
    let (a, b, c) = tokio::join!(keys.advance(erase(1)), keys.advance(bad), keys.advance(erase(2)));
    assert!(a.is_ok() && c.is_ok());
    assert_eq!(b, Err(KeyError::BadRange));
}

#[tokio::test]
async fn a_mass_erasure_stages_its_pages_and_the_decision_names_them() {
    let (world, keys) = World::with_dataset().await;
    // Every second leaf of eight pages: 8 × 8,192 nodes of 37 bytes are more than two slices.
    let ranges = (0..65_536_u32)
        .map(|n| LeafRange { dataset: LEADS, tree: 1, first: n * 2, end: u64::from(n) * 2 + 1 })
        .collect();
    keys.advance(Change::Puncture(ranges)).await.unwrap();
    let ring = world.open().await.unwrap().ring().unwrap();
    assert_eq!(world.rows().pages.len(), 8);
    assert!(world.rows().pages.values().all(|(_, named)| *named == Some(3)));
    assert!(!ring.is_live(at(131_070)) && ring.is_live(at(131_071)));
}

#[tokio::test]
async fn the_last_epoch_refuses_to_advance() {
    let (world, keys) = World::with_dataset().await;
    let services = world.node().services();
    // The same keys, moved to epoch 2^32 - 1 by hand: directory, slot and head sealed anew.
    let head = world.head();
    let row = world.rows().directories[&(TENANT, head.directory)].clone();
    let record = world.copies()[0].clone().unwrap();
    let live = live_epoch_keys(&services, &world.copies()).await;
    let (key, mut plain) = live.iter().find_map(|k| Some((k, opens(k, &row)?))).unwrap();
    let kek = live.last().unwrap();
    plain[1..5].copy_from_slice(&u32::MAX.to_be_bytes());
    let header = |kind, compartment| Header {
        kind,
        schema: 1,
        compartment,
        revision: u32::MAX,
        tree: 0,
        leaf: 0,
    };
    let context = ids(head.directory.bytes());
    let entropy = &leadvault_crypto::SystemEntropy;
    let seal =
        |prk, h: Header, p: &[u8]| leadvault_crypto::seal(prk, &h, &context, p, entropy).unwrap();
    let blob = seal(key, header(Kind::Directory, 0), &plain);
    let sealed = seal(kek, header(Kind::EpochSlot, 2), key.expose());
    {
        let mut rows = world.rows();
        rows.directories
            .insert((TENANT, head.directory), DirectoryRow { epoch: u32::MAX, blob, ..row });
        let head = rows.heads.get_mut(&TENANT).unwrap();
        (head.epoch, head.forgotten_epoch) = (u32::MAX, u32::MAX);
        let record = SlotRecord { epoch: u32::MAX, sealed, ..record };
        *world.slot.lock().unwrap().get_mut(&TENANT).unwrap() =
            [Some(record.clone()), Some(record)];
    }
    let last = world.open().await.unwrap();
    assert_eq!(last.ring().unwrap().epoch(), u32::MAX);
    assert_eq!(last.advance(erase(1)).await, Err(KeyError::CounterExhausted));
    assert!(last.ring().unwrap().is_live(at(1)));
    drop(keys);
}
