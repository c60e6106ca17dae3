//! What seals and what opens: only under a receipt that names the lead, for a second, and not behind it.

use leadvault_crypto::{Kind, SystemEntropy};
use leadvault_domain::{Compartment, LeadId, LeafAddress, LeafRange, TenantNo};
use leadvault_keys::{CHUNK_BYTES, KeyError, NotCovered, SEALED_CHUNK_BYTES};
use leadvault_ledger::OPERATOR_LOG;

use crate::journal::Receipts;
use crate::world::{LEADS, NO, World, at, erase};

const LEAD: LeadId = LeadId::from_bytes([0x51; 16]);

#[tokio::test]
async fn a_sealed_compartment_opens_under_its_receipt_and_only_in_its_place() {
    let (world, keys) = World::with_dataset().await;
    let ring = keys.ring().unwrap();
    let receipts = Receipts::of(&world, 2);
    let located = ring.locate(at(7)).unwrap();
    let contact = Compartment::CONTACT;
    let blob = located.sealer().seal(LEAD, 1, contact, 3, b"ada", &SystemEntropy).unwrap();
    let receipt = receipts.naming(NO, &[located.reference()]).await;
    let opener = located.open(&receipt, receipts.now()).unwrap();
    assert_eq!(opener.open(LEAD, 1, contact, 3, &blob).unwrap().as_slice(), b"ada");
    let other_lead = LeadId::from_bytes([0x52; 16]);
    for wrong in [
        opener.open(other_lead, 1, contact, 3, &blob),
        opener.open(LEAD, 2, contact, 3, &blob),
        opener.open(LEAD, 1, Compartment::PROFILE, 3, &blob),
        opener.open(LEAD, 1, contact, 2, &blob),
    ] {
        assert_eq!(wrong.err(), Some(KeyError::Unopenable));
    }
    let neighbour = ring.locate(at(8)).unwrap();
    let receipt = receipts.naming(NO, &[neighbour.reference()]).await;
    let neighbour = neighbour.open(&receipt, receipts.now()).unwrap();
    assert!(neighbour.open(LEAD, 1, contact, 3, &blob).is_err());
}

#[tokio::test]
async fn a_receipt_opens_its_own_lead_in_its_own_log_for_a_second() {
    let (world, keys) = World::with_dataset().await;
    let ring = keys.ring().unwrap();
    let receipts = Receipts::of(&world, 2);
    let locate = || ring.locate(at(7)).unwrap();
    let reference = locate().reference();
    let other = ring.locate(at(8)).unwrap().reference();
    let now = receipts.now();

    let unnamed = receipts.naming(NO, &[other]).await;
    assert_eq!(locate().open(&unnamed, now).err(), Some(NotCovered::NotNamed));
    let foreign = receipts.naming(TenantNo(9), &[reference]).await;
    assert_eq!(locate().open(&foreign, now).err(), Some(NotCovered::OtherLog));
    let gagged = receipts.naming(OPERATOR_LOG, &[reference]).await;
    assert!(locate().open(&gagged, now).is_ok());
    let good = receipts.naming(NO, &[other, reference]).await;
    assert!(locate().open(&good, now).is_ok());
    let at_the_second = leadvault_domain::Timestamp::from_micros(now.micros() + 1_000_000);
    assert!(locate().open(&good, at_the_second).is_ok());
    let after = leadvault_domain::Timestamp::from_micros(now.micros() + 1_000_001);
    assert_eq!(locate().open(&good, after).err(), Some(NotCovered::TooOld));
}

#[tokio::test]
async fn ranges_cover_in_the_tenants_own_log_only() {
    let (world, keys) = World::with_dataset().await;
    let ring = keys.ring().unwrap();
    let receipts = Receipts::of(&world, 2);
    let range = LeafRange { dataset: LEADS, tree: 1, first: 0, end: 10 };
    let own = receipts.covering(NO, vec![range]).await;
    let now = receipts.now();
    assert!(ring.locate(at(9)).unwrap().open(&own, now).is_ok());
    assert!(ring.locate(at(10)).unwrap().open(&own, now).is_err());
    let operator = receipts.covering(OPERATOR_LOG, vec![range]).await;
    assert_eq!(ring.locate(at(9)).unwrap().open(&operator, now).err(), Some(NotCovered::NotNamed));
}

#[tokio::test]
async fn a_snapshot_behind_the_receipts_epoch_does_not_open() {
    let (world, keys) = World::with_dataset().await;
    let old = keys.ring().unwrap();
    let receipts = Receipts::of(&world, 2);
    receipts.at_epoch(3);
    let located = old.locate(at(7)).unwrap();
    let receipt = receipts.naming(NO, &[located.reference()]).await;
    let behind = NotCovered::SnapshotBehind { snapshot: 2, receipt: 3 };
    assert_eq!(located.open(&receipt, receipts.now()).err(), Some(behind));
    keys.advance(erase(1)).await.unwrap();
    let fresh = keys.ring().unwrap().locate(at(7)).unwrap();
    assert!(fresh.open(&receipt, receipts.now()).is_ok());
}

#[tokio::test]
async fn a_sweep_walks_live_leaves_portion_by_portion_each_under_its_own_receipt() {
    let (world, keys) = World::with_dataset().await;
    keys.advance(erase(20_000)).await.unwrap();
    let receipts = Receipts::of(&world, 3);
    let range = LeafRange { dataset: LEADS, tree: 1, first: 16_000, end: 33_000 };
    let mut sweep = keys.ring().unwrap().sweep(range);
    let mut seen = Vec::new();
    let mut portions = Vec::new();
    while let Some(portion) = sweep.portion() {
        portions.push((portion.first, portion.end));
        let receipt = receipts.covering(NO, vec![portion]).await;
        for opener in sweep.open(&receipt, receipts.now()).unwrap() {
            seen.push(opener.unwrap().at().leaf);
        }
    }
    assert_eq!(portions, [(16_000, 16_384), (16_384, 32_768), (32_768, 33_000)]);
    assert_eq!(seen, (16_000..33_000).filter(|leaf| *leaf != 20_000).collect::<Vec<_>>());

    let mut again = keys.ring().unwrap().sweep(range);
    let narrow = LeafRange { end: 16_010, ..range };
    let receipt = receipts.covering(NO, vec![narrow]).await;
    let results: Vec<bool> =
        again.open(&receipt, receipts.now()).unwrap().map(|opener| opener.is_ok()).collect();
    assert_eq!(results.iter().filter(|ok| **ok).count(), 10, "leaves not named do not open");
    assert_eq!(results.len(), 384);
}

#[tokio::test]
async fn located_ranges_skip_what_is_punctured_and_what_is_unknown() {
    let (_, keys) = World::with_dataset().await;
    keys.advance(erase(3)).await.unwrap();
    let ring = keys.ring().unwrap();
    let range = LeafRange { dataset: LEADS, tree: 1, first: 0, end: 6 };
    let leaves: Vec<u32> = ring.locate_range(&range).map(|located| located.at().leaf).collect();
    assert_eq!(leaves, [0, 1, 2, 4, 5]);
    assert_eq!(ring.locate_range(&LeafRange { tree: 2, ..range }).count(), 0);
    let unknown = ring.locate(LeafAddress { tree: 2, ..at(0) }).err();
    assert_eq!(unknown, Some(KeyError::UnknownTree { dataset: LEADS, tree: 2 }));
}

#[tokio::test]
async fn a_system_leaf_seals_small_things_and_objects_leave_only_under_a_receipt() {
    let (world, keys) = World::with_dataset().await;
    let ring = keys.ring().unwrap();
    let e = &SystemEntropy;
    let system = ring.system(40).unwrap();
    let blob = system.seal(Kind::Small, [1; 16], 1, 1, b"mapping", e).unwrap();
    assert_eq!(system.open(Kind::Small, [1; 16], 1, 1, &blob).unwrap().as_slice(), b"mapping");
    assert!(system.open(Kind::Small, [2; 16], 1, 1, &blob).is_err());
    assert!(system.open(Kind::Instruction, [1; 16], 1, 1, &blob).is_err());
    assert!(ring.system(41).unwrap().open(Kind::Small, [1; 16], 1, 1, &blob).is_err());
    assert_eq!(system.seal(Kind::Chunk, [1; 16], 1, 1, b"", e).err(), Some(KeyError::Unsealable));
    assert_ne!(system.hmac("a", &[b"x"]), system.hmac("b", &[b"x"]));
    assert_eq!(system.hmac("a", &[b"x"]), ring.system(40).unwrap().hmac("a", &[b"x"]));

    let full = system.seal_chunk([3; 16], 0, false, &vec![7; CHUNK_BYTES], e).unwrap();
    assert_eq!(full.len(), SEALED_CHUNK_BYTES);
    let last = system.seal_chunk([3; 16], 1, true, b"end", e).unwrap();
    assert!(system.seal_chunk([3; 16], 0, false, b"short", e).is_err());
    let receipts = Receipts::of(&world, 2);
    let foreign = receipts.naming(TenantNo(9), &[]).await;
    let refused = ring.system(40).unwrap().release(&foreign, receipts.now()).err();
    assert_eq!(refused, Some(NotCovered::OtherLog));
    let receipt = receipts.naming(NO, &[]).await;
    let opened = system.open_chunk((&receipt, receipts.now()), [3; 16], 1, true, &last);
    assert_eq!(opened.unwrap().as_slice(), b"end");
    let object = system.release(&receipt, receipts.now()).unwrap();
    assert_eq!(object.open_chunk([3; 16], 0, false, &full).unwrap().len(), CHUNK_BYTES);
    assert_eq!(object.open_chunk([3; 16], 1, true, &last).unwrap().as_slice(), b"end");
    for swapped in [
        object.open_chunk([3; 16], 1, true, &full),
        object.open_chunk([3; 16], 1, false, &last),
        object.open_chunk([4; 16], 1, true, &last),
    ] {
        assert!(swapped.is_err());
    }
}
