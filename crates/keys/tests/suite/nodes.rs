//! Two nodes over one key store and one slot.

use leadvault_keys::{Change, KeyError, TenantKeys};

use crate::world::{NO, TENANT, World, at, erase};

async fn two_nodes() -> (std::sync::Arc<World>, TenantKeys, TenantKeys) {
    let (world, _) = World::with_dataset().await;
    let mut nodes = Vec::new();
    for node in [[1; 16], [2; 16]] {
        let services = world.node().services().with_node(node);
        let keys = TenantKeys::open(&services, TENANT, NO, 0).await.unwrap();
        keys.refresh().await.unwrap();
        nodes.push(keys);
    }
    let b = nodes.pop().unwrap();
    (world, nodes.pop().unwrap(), b)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_loser_of_the_compare_and_set_applies_its_change_to_the_winners_directory() {
    let (world, a, b) = two_nodes().await;
    for round in 0..20_u32 {
        let refreshing = (a.clone(), b.clone());
        let confirms = tokio::spawn(async move {
            for _ in 0..400 {
                let _moved_on = refreshing.0.refresh().await;
                let _moved_on = refreshing.1.refresh().await;
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        });
        let (left, right) = (round * 2, round * 2 + 1);
        let [x, y] = [(a.clone(), left), (b.clone(), right)]
            .map(|(keys, leaf)| tokio::spawn(async move { keys.advance(erase(leaf)).await }));
        x.await.unwrap().unwrap();
        y.await.unwrap().unwrap();
        confirms.abort();
    }
    let opened = world.open().await.unwrap().ring().unwrap();
    assert!((0..40).all(|leaf| !opened.is_live(at(leaf))) && opened.is_live(at(40)));
    a.refresh().await.unwrap();
    assert_eq!(a.ring().unwrap().state(), opened.state());
}

#[tokio::test]
async fn a_node_takes_over_the_others_snapshot_and_confirms_it() {
    let (world, a, b) = two_nodes().await;
    let slow = a.advance(erase(5)).await.unwrap();
    assert!(!slow.all_nodes, "b has not confirmed within the second");
    assert!(b.ring().unwrap().is_live(at(5)), "control: b has not looked yet");
    assert_eq!(b.refresh().await.unwrap(), slow.epoch);
    assert!(!b.ring().unwrap().is_live(at(5)));
    assert!(a.advance(erase(5)).await.unwrap().all_nodes, "asked again, all have confirmed");
    assert!(world.rows().nodes.values().all(|row| row.epoch == slow.epoch));
}

#[tokio::test]
async fn a_node_not_heard_of_for_three_seconds_is_not_waited_for() {
    let (world, a, _silent) = two_nodes().await;
    world.clock.0.fetch_add(4_000_000, std::sync::atomic::Ordering::SeqCst);
    assert!(a.advance(erase(5)).await.unwrap().all_nodes);
}

#[tokio::test]
async fn unchanged_pages_are_shared_between_snapshots_and_a_moved_head_is_followed() {
    let (_, a, b) = two_nodes().await;
    a.advance(erase(5)).await.unwrap();
    a.advance(erase(40_000)).await.unwrap();
    b.refresh().await.unwrap();
    a.advance(Change::RotateKek).await.unwrap();
    // b's snapshot is behind; its own change starts from the head all the same.
    b.advance(erase(6)).await.unwrap();
    let ring = b.ring().unwrap();
    assert!([5, 6, 40_000].into_iter().all(|leaf| !ring.is_live(at(leaf))));
}

#[tokio::test]
async fn suspended_keys_answer_disabled_until_the_provider_agrees_again() {
    let (world, keys) = World::with_dataset().await;
    keys.purge();
    assert_eq!(keys.ring().err(), Some(KeyError::Disabled));
    assert_eq!(keys.advance(erase(1)).await, Err(KeyError::Disabled));
    world.root_disabled.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(matches!(keys.resume().await, Err(KeyError::Root(_))));
    assert_eq!(keys.ring().err(), Some(KeyError::Disabled));
    world.root_disabled.store(false, std::sync::atomic::Ordering::SeqCst);
    keys.resume().await.unwrap();
    assert!(keys.ring().unwrap().is_live(at(1)));
}
