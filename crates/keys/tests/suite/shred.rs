//! Destroying a tenant: no unwrap, every step again after a crash.

use std::sync::atomic::Ordering;

use leadvault_keys::{KeyError, destroy_tenant};

use crate::world::{TENANT, World};

#[tokio::test]
async fn a_shredded_tenant_leaves_nothing_and_needs_no_unwrap() {
    let (world, keys) = World::with_dataset().await;
    world.root_disabled.store(true, Ordering::SeqCst);
    keys.destroy().await.unwrap();
    assert_eq!(keys.ring().err(), Some(KeyError::Destroyed));
    assert_eq!(keys.resume().await.err(), Some(KeyError::Destroyed));
    let rows = world.rows();
    assert!(rows.heads.is_empty() && rows.directories.is_empty() && rows.keks.is_empty());
    assert!(world.slot.lock().unwrap().is_empty());
    assert!(world.mirror.lock().unwrap().sets.is_empty());
}

#[tokio::test]
async fn a_shred_that_is_cut_off_at_any_step_is_finished_by_the_next_one() {
    for step in ["destroy.keks", "destroy.slot", "destroy.mirror"] {
        let (world, _) = World::with_dataset().await;
        let node = world.node_dying_at(step);
        assert!(destroy_tenant(&node.services(), TENANT).await.is_err(), "{step}");
        assert!(world.open().await.is_err(), "{step}: it does not open any more");
        destroy_tenant(&world.node().services(), TENANT).await.unwrap();
        assert!(world.rows().heads.is_empty() && world.slot.lock().unwrap().is_empty(), "{step}");
    }
}

#[tokio::test]
async fn another_node_notices_at_its_next_look() {
    let (world, keys) = World::with_dataset().await;
    let other = world.open().await.unwrap();
    keys.destroy().await.unwrap();
    assert!(other.ring().is_ok(), "control: it holds a snapshot");
    assert_eq!(other.refresh().await, Err(KeyError::Destroyed));
    assert_eq!(other.ring().err(), Some(KeyError::Destroyed));
}
