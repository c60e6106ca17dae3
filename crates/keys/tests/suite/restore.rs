//! The key store lost at any step of an advance, rebuilt from the mirror.

use leadvault_keys::{Change, FAIL_POINTS, KeyError, TenantKeys, restore_from_mirror};

use crate::rows::Rows;
use crate::world::{BEFORE_DECISION, BETWEEN_COPIES, LEADS, NO, TENANT, World, at, erase};

#[tokio::test]
async fn the_key_store_lost_at_any_step_comes_back_with_every_acknowledged_erasure() {
    let steps = FAIL_POINTS.iter().copied().filter(|step| step.starts_with("advance."));
    for step in steps.chain([BEFORE_DECISION, BETWEEN_COPIES]) {
        let (world, keys) = World::with_dataset().await;
        keys.advance(erase(1)).await.unwrap();
        keys.advance(erase(40_000)).await.unwrap();
        let node = world.node_dying_at(step);
        let doomed = TenantKeys::open(&node.services(), TENANT, NO, 0).await.unwrap();
        let answered = doomed.advance(erase(5)).await.is_ok();
        assert!(node.is_dead(), "{step}");
        *world.rows() = Rows::default();
        restore_from_mirror(&world.node().services(), TENANT).await.unwrap();
        let ring = world.open().await.unwrap().ring().unwrap();
        assert!(!ring.is_live(at(1)) && !ring.is_live(at(40_000)) && ring.is_live(at(6)), "{step}");
        assert!(!(answered && ring.is_live(at(5))), "{step}");
    }
}

#[tokio::test]
async fn only_a_set_that_the_slot_opens_is_taken() {
    let (world, keys) = World::with_dataset().await;
    let old = world.mirror.lock().unwrap().clone();
    keys.advance(erase(1)).await.unwrap();
    let services = world.node().services();
    let before = world.rows().clone();
    *world.mirror.lock().unwrap() = old;
    let refused = restore_from_mirror(&services, TENANT).await;
    assert_eq!(refused, Err(KeyError::NoMirrorSet(TENANT)));
    assert_eq!(world.head(), before.heads[&TENANT], "nothing was changed");
}

#[tokio::test]
async fn a_set_with_a_damaged_page_is_passed_over() {
    let (world, keys) = World::with_dataset().await;
    keys.advance(erase(1)).await.unwrap();
    let services = world.node().services();
    world.mirror.lock().unwrap().sets.get_mut(&3).unwrap().pages[0].blob[60] ^= 1;
    assert!(restore_from_mirror(&services, TENANT).await.is_err());
    world.mirror.lock().unwrap().sets.get_mut(&3).unwrap().pages[0].blob[60] ^= 1;
    assert_eq!(restore_from_mirror(&services, TENANT).await, Ok(3), "control");
}

#[tokio::test]
async fn a_mirror_that_fails_stops_the_advance_before_the_slot_is_touched() {
    let (world, _) = World::with_dataset().await;
    let node = world.node_dying_at("advance.3.decided");
    let doomed = TenantKeys::open(&node.services(), TENANT, NO, 0).await.unwrap();
    assert!(matches!(
        doomed.advance(erase(1)).await,
        Err(KeyError::Mirror(_) | KeyError::Blobs(_))
    ));
    assert!(world.copies().iter().flatten().all(|copy| copy.epoch == 2));
}

#[tokio::test]
async fn a_mirror_added_later_is_given_the_pages_it_lacks() {
    let (world, keys) = World::with_dataset().await;
    keys.advance(erase(1)).await.unwrap();
    *world.mirror.lock().unwrap() = crate::world::MirrorState::default();
    keys.advance(erase(40_000)).await.unwrap();
    assert_eq!(world.mirror.lock().unwrap().sets[&4].pages.len(), 2);
    let rotated = keys.advance(Change::RotateKek).await.unwrap();
    *world.rows() = Rows::default();
    let restored = restore_from_mirror(&world.node().services(), TENANT).await;
    assert_eq!(restored, Ok(rotated.epoch));
    let opened = world.open().await.unwrap();
    opened.allocate(LEADS, 1, 1).await.unwrap();
    assert!(!opened.ring().unwrap().is_live(at(1)));
}

#[tokio::test]
async fn a_node_that_finishes_anothers_advance_mirrors_it_before_the_slot_forgets() {
    let (world, _) = World::with_dataset().await;
    let node = world.node_dying_at("advance.3.decided");
    let doomed = TenantKeys::open(&node.services(), TENANT, NO, 0).await.unwrap();
    assert!(doomed.advance(erase(1)).await.is_err());
    assert!(!world.mirror.lock().unwrap().sets.contains_key(&3), "control: not mirrored yet");
    let helper = world.node_dying_at("advance.5.slot");
    assert!(TenantKeys::open(&helper.services(), TENANT, NO, 0).await.is_err());
    assert!(world.copies().iter().flatten().all(|copy| copy.epoch == 3), "forgotten by the helper");
    *world.rows() = Rows::default();
    assert_eq!(restore_from_mirror(&world.node().services(), TENANT).await, Ok(3));
    assert!(!world.open().await.unwrap().ring().unwrap().is_live(at(1)));
}
