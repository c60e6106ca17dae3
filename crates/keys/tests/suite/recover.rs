//! The refusals of a start (protocols.md 1.2), one by one, and what is no refusal.

use std::sync::Arc;

use leadvault_domain::SlotId;
use leadvault_keys::{Change, KeyError, TenantKeys};

use crate::rows::Rows;
use crate::world::{NO, TENANT, World, at, erase};

async fn open(world: &Arc<World>, logged_epoch: u32) -> Result<TenantKeys, KeyError> {
    TenantKeys::open(&world.node().services(), TENANT, NO, logged_epoch).await
}

/// A tenant at epoch 4, and its key store and slot as they were at epoch 3.
async fn world_and_its_past() -> (Arc<World>, Rows, [Option<leadvault_keys::SlotRecord>; 2]) {
    let (world, keys) = World::with_dataset().await;
    keys.advance(erase(1)).await.unwrap();
    let (rows, copies) = (world.rows().clone(), world.copies());
    keys.advance(erase(2)).await.unwrap();
    (world, rows, copies)
}

fn put_slot(world: &World, copies: [Option<leadvault_keys::SlotRecord>; 2]) {
    world.slot.lock().unwrap().insert(TENANT, copies);
}

fn key_store_behind(slot_epoch: u32, head_epoch: u32) -> KeyError {
    KeyError::KeyStoreBehindSlot { tenant: TENANT, slot_epoch, head_epoch }
}

fn slot_behind(slot_epoch: u32, known_epoch: u32) -> KeyError {
    KeyError::SlotBehindLog { tenant: TENANT, slot_epoch, known_epoch }
}

#[tokio::test]
async fn everything_present_opens() {
    let (world, _, _) = world_and_its_past().await;
    assert!(open(&world, 4).await.is_ok());
    assert!(open(&world, 0).await.is_ok());
}

#[tokio::test]
async fn an_old_key_store_is_refused() {
    let (world, old, _) = world_and_its_past().await;
    *world.rows() = old;
    assert_eq!(open(&world, 4).await.err(), Some(key_store_behind(4, 3)));
    assert_eq!(open(&world, 0).await.err(), Some(key_store_behind(4, 3)));
}

#[tokio::test]
async fn a_missing_key_store_is_refused() {
    let (world, _, _) = world_and_its_past().await;
    *world.rows() = Rows::default();
    assert_eq!(open(&world, 4).await.err(), Some(key_store_behind(4, 0)));
}

#[tokio::test]
async fn an_old_slot_is_refused_because_its_hop_was_swept() {
    let (world, _, old) = world_and_its_past().await;
    put_slot(&world, old);
    assert_eq!(open(&world, 0).await.err(), Some(slot_behind(3, 4)));
}

#[tokio::test]
async fn an_old_slot_is_refused_by_the_log_even_where_a_hop_is_left() {
    let (world, _, old) = world_and_its_past().await;
    let hop = world.rows().attic.hops.last().cloned().unwrap();
    world.rows().hops.insert((TENANT, hop.epoch), hop);
    put_slot(&world, old.clone());
    assert_eq!(open(&world, 4).await.err(), Some(slot_behind(3, 4)));
    assert!(open(&world, 3).await.is_ok(), "control: without that entry it is rolled forward");
}

#[tokio::test]
async fn an_old_slot_and_an_old_key_store_together_are_told_by_the_log() {
    let (world, rows, copies) = world_and_its_past().await;
    *world.rows() = rows;
    put_slot(&world, copies);
    assert_eq!(open(&world, 4).await.err(), Some(slot_behind(3, 4)));
    let opened = open(&world, 3).await.unwrap().ring().unwrap();
    assert!(opened.is_live(at(2)), "control: from inside alone it cannot be told");
}

#[tokio::test]
async fn a_missing_slot_and_another_slot_are_refused() {
    let (world, _, _) = world_and_its_past().await;
    let [Some(record), _] = world.copies() else { panic!("a record") };
    let other = leadvault_keys::SlotRecord { slot_id: SlotId::from_bytes([9; 16]), ..record };
    put_slot(&world, [Some(other.clone()), Some(other)]);
    assert_eq!(open(&world, 0).await.err(), Some(slot_behind(0, 4)));
    world.slot.lock().unwrap().clear();
    assert_eq!(open(&world, 0).await.err(), Some(slot_behind(0, 4)));
    *world.rows() = Rows::default();
    assert_eq!(open(&world, 0).await.err(), Some(KeyError::UnknownTenant(TENANT)));
    assert_eq!(open(&world, 4).await.err(), Some(slot_behind(0, 4)));
}

#[tokio::test]
async fn a_directory_that_does_not_open_with_the_slots_key_is_refused() {
    let (world, _, _) = world_and_its_past().await;
    let directory = world.head().directory;
    let tamper = |world: &World| {
        let mut rows = world.rows();
        let row = rows.directories.get_mut(&(TENANT, directory)).unwrap();
        *row.blob.last_mut().unwrap() ^= 1;
    };
    tamper(&world);
    assert_eq!(open(&world, 0).await.err(), Some(key_store_behind(4, 4)));
    tamper(&world);
    assert!(open(&world, 0).await.is_ok(), "control: the byte as it was");
    world.rows().directories.clear();
    assert_eq!(open(&world, 0).await.err(), Some(key_store_behind(4, 4)));
}

#[tokio::test]
async fn a_changed_or_missing_page_is_named_and_refused() {
    let (world, _, _) = world_and_its_past().await;
    let page = *world.rows().pages.keys().next().map(|(_, page)| page).unwrap();
    world.rows().pages.get_mut(&(TENANT, page)).unwrap().0.blob[50] ^= 1;
    assert_eq!(open(&world, 0).await.err(), Some(KeyError::PageDamaged { tenant: TENANT, page }));
    world.rows().pages.clear();
    assert_eq!(open(&world, 0).await.err(), Some(KeyError::PageDamaged { tenant: TENANT, page }));
}

#[tokio::test]
async fn a_missing_kek_and_a_disabled_provider_are_told_apart() {
    let (world, _, _) = world_and_its_past().await;
    world.root_disabled.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(matches!(open(&world, 0).await, Err(KeyError::Root(_))));
    world.root_disabled.store(false, std::sync::atomic::Ordering::SeqCst);
    world.rows().keks.clear();
    let missing = KeyError::KekMissing { tenant: TENANT, generation: 1 };
    assert_eq!(open(&world, 0).await.err(), Some(missing));
}

#[tokio::test]
async fn a_second_creation_of_a_tenant_is_refused() {
    let (world, _) = World::with_dataset().await;
    let again = TenantKeys::create(&world.node().services(), TENANT, NO).await;
    assert_eq!(again.err(), Some(KeyError::TenantExists(TENANT)));
    world.rows().heads.clear();
    let again = TenantKeys::create(&world.node().services(), TENANT, NO).await;
    assert_eq!(again.err(), Some(KeyError::TenantExists(TENANT)), "the slot knows it too");
}

#[tokio::test]
async fn a_kek_rotation_between_two_looks_is_followed_over_its_hop() {
    let (world, keys) = World::with_dataset().await;
    keys.advance(Change::RotateKek).await.unwrap();
    keys.advance(Change::RotateKek).await.unwrap();
    assert!(open(&world, 4).await.unwrap().ring().unwrap().is_live(at(1)));
}
