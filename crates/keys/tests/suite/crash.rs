//! A node killed at every step, and what the next start makes of it.

use leadvault_domain::DatasetNo;
use leadvault_keys::{Change, FAIL_POINTS, TenantKeys};

use crate::world::{BEFORE_DECISION, BETWEEN_COPIES, DATASET, LEADS, NO, TENANT, World, at, erase};

fn advance_points() -> impl Iterator<Item = &'static str> {
    let steps = FAIL_POINTS.iter().copied().filter(|step| step.starts_with("advance."));
    steps.chain([BEFORE_DECISION, BETWEEN_COPIES])
}

fn is_decided(step: &str) -> bool {
    !["advance.1.read", "advance.2.applied", BEFORE_DECISION].contains(&step)
}

/// A node that dies at `step` while it makes `change`, and the world it leaves.
async fn die_at(step: &'static str, change: Change) -> std::sync::Arc<World> {
    let (world, keys) = World::with_dataset().await;
    keys.advance(erase(100)).await.unwrap();
    let node = world.node_dying_at(step);
    // Opened before the step can be reached by opening: everything is settled.
    let doomed = TenantKeys::open(&world.node().services(), TENANT, NO, 3).await.unwrap();
    drop(doomed);
    let doomed = TenantKeys::open(&node.services(), TENANT, NO, 3).await.unwrap();
    let result = doomed.advance(change).await;
    assert!(node.is_dead(), "{step} is reached");
    // Forgotten is forgotten: from there on the answer is true, whether or not it still gets out.
    assert!(result.is_err() || step.starts_with("advance.6") || step.starts_with("advance.7"));
    world
}

#[tokio::test]
async fn after_a_crash_at_any_step_a_start_finishes_what_was_decided_and_nothing_else() {
    for step in advance_points() {
        let world = die_at(step, erase(5)).await;
        let opened = world.open().await.unwrap();
        let ring = opened.ring().unwrap();
        assert_eq!(ring.is_live(at(5)), !is_decided(step), "{step}");
        assert!(!ring.is_live(at(100)) && ring.is_live(at(6)), "{step}");
        let head = world.head();
        assert_eq!(head.epoch, if is_decided(step) { 4 } else { 3 }, "{step}");
        assert_eq!(head.forgotten_epoch, head.epoch, "{step}");
        assert_eq!(world.control.lock().unwrap().0, head.epoch, "{step}");
        let copies = world.copies();
        assert_eq!(copies[0], copies[1], "{step}: both copies are the same record");
        assert_eq!(copies[0].as_ref().map(|copy| copy.epoch), Some(head.epoch), "{step}");
        assert_eq!(world.rows().directories.len(), 1, "{step}");
        assert!(world.rows().hops.is_empty(), "{step}");
        // Asked again, as a resumed erasure is.
        opened.advance(erase(5)).await.unwrap();
        assert!(!opened.ring().unwrap().is_live(at(5)), "{step}");
        assert_eq!(world.head().epoch, 4, "{step}: made once");
    }
}

#[tokio::test]
async fn after_a_crash_at_any_step_of_a_rotation_the_keys_open_under_the_decided_generation() {
    for step in advance_points() {
        let world = die_at(step, Change::RotateKek).await;
        let opened = world.open().await.unwrap();
        assert!(opened.ring().unwrap().is_live(at(5)), "{step}");
        let generation = if is_decided(step) { 2 } else { 1 };
        let held = world.copies().map(|copy| copy.map(|copy| copy.kek_gen));
        assert_eq!(held, [Some(generation); 2], "{step}");
        let stored: Vec<u32> = world.rows().keks.keys().map(|(_, g)| *g).collect();
        assert_eq!(stored, [generation], "{step}");
    }
}

#[tokio::test]
async fn dir_gen_is_bumped_once_by_whoever_finishes_a_structural_change() {
    for step in advance_points() {
        let id = leadvault_domain::DatasetId::from_bytes([0x44; 16]);
        let world = die_at(step, Change::AddDataset { no: DatasetNo(2), id }).await;
        let opened = world.open().await.unwrap();
        let bumps = u32::from(is_decided(step));
        assert_eq!(world.control.lock().unwrap().1, 2 + bumps, "{step}");
        opened.advance(erase(6)).await.unwrap();
        assert_eq!(world.control.lock().unwrap().1, 2 + bumps, "{step}");
    }
}

#[tokio::test]
async fn another_node_that_lives_rolls_forward_over_the_hop() {
    for step in advance_points().filter(|step| is_decided(step)) {
        let (world, living) = World::with_dataset().await;
        let node = world.node_dying_at(step);
        let doomed = TenantKeys::open(&node.services(), TENANT, NO, 0).await.unwrap();
        let _killed = doomed.advance(erase(5)).await;
        assert!(node.is_dead(), "{step}");
        let advanced = living.advance(erase(6)).await.unwrap();
        assert_eq!(advanced.epoch, 4, "{step}");
        let ring = living.ring().unwrap();
        assert!(!ring.is_live(at(5)) && !ring.is_live(at(6)) && ring.is_live(at(7)), "{step}");
    }
}

#[tokio::test]
async fn an_unfinished_forgetting_leaves_the_old_record_in_one_copy_until_the_next_start() {
    let world = die_at(BETWEEN_COPIES, erase(5)).await;
    let epochs = world.copies().map(|copy| copy.map_or(0, |copy| copy.epoch));
    assert!(epochs.contains(&3) && epochs.contains(&4), "control: {epochs:?}");
    world.open().await.unwrap();
    assert_eq!(world.copies().map(|copy| copy.map_or(0, |copy| copy.epoch)), [4, 4]);
}

#[tokio::test]
async fn a_creation_that_is_cut_off_leaves_an_unborn_slot_or_a_tenant_that_opens() {
    for (step, born) in [("create.slot", false), ("create.rows", true)] {
        let world = World::new();
        let node = world.node_dying_at(step);
        assert!(TenantKeys::create(&node.services(), TENANT, NO).await.is_err(), "{step}");
        let services = world.node().services();
        if born {
            let keys = world.open().await.unwrap();
            keys.advance(Change::AddDataset { no: LEADS, id: DATASET }).await.unwrap();
            assert!(leadvault_keys::sweep_unborn(&services, TENANT).await.is_err());
        } else {
            assert!(world.open().await.is_err());
            assert_eq!(leadvault_keys::sweep_unborn(&services, TENANT).await, Ok(true));
            assert_eq!(leadvault_keys::sweep_unborn(&services, TENANT).await, Ok(false));
            TenantKeys::create(&services, TENANT, NO).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_steps_come_in_the_order_of_the_protocol() {
    let world = World::new();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let writer = std::sync::Arc::clone(&seen);
    let services = world
        .node()
        .services()
        .with_fail_points(std::sync::Arc::new(move |step| writer.lock().unwrap().push(step)));
    let keys = TenantKeys::create(&services, TENANT, NO).await.unwrap();
    let created = seen.lock().unwrap().drain(..).collect::<Vec<_>>();
    assert_eq!(created[..2], FAIL_POINTS[..2]);
    keys.advance(Change::AddDataset { no: LEADS, id: DATASET }).await.unwrap();
    keys.destroy().await.unwrap();
    assert_eq!(*seen.lock().unwrap(), FAIL_POINTS[2..]);
}
