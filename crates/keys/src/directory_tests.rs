//! The directory's payload, frozen, and what a reader refuses.

use std::collections::BTreeMap;
use std::sync::Arc;

use leadvault_crypto::{Cover, IndexKey, SecretKey, SuppressionKey, SystemEntropy};
use leadvault_domain::{DatasetNo, PageId, TenantId};

use crate::KeyError;
use crate::directory::{Dataset, Directory};
use crate::page::PageRef;
use crate::tree::Tree;

/// One directory with one of everything.
fn sample() -> Directory<PageRef> {
    let seed = |n| SecretKey::from_bytes([n; 32]);
    let page = PageRef {
        id: PageId::from_bytes([0xa1; 16]),
        key: seed(0xa2),
        version: 3,
        hash: [0xa3; 32],
    };
    let upper = Cover::from_nodes([(0x4000, 18, seed(0xb1)), (0x8000, 17, seed(0xb2))]).unwrap();
    let tree = Tree { upper, pages: BTreeMap::from([(0, page)]) };
    let system = Dataset {
        id: [0x01; 16],
        tag_keys: BTreeMap::new(),
        trees: BTreeMap::from([(
            1,
            Arc::new(Tree { upper: Cover::new(seed(0xc1)), pages: BTreeMap::new() }),
        )]),
    };
    let leads = Dataset {
        id: [0x02; 16],
        tag_keys: BTreeMap::from([(5, IndexKey::from_bytes([0xd1; 32]))]),
        trees: BTreeMap::from([(2, Arc::new(tree))]),
    };
    Directory {
        epoch: 9,
        structural_epoch: 4,
        suppression: SuppressionKey::from_bytes([0xe1; 32]),
        datasets: BTreeMap::from([(DatasetNo::SYSTEM, system), (DatasetNo(7), leads)]),
    }
}

/// The payload of `sample`, written out by hand from the module's text.
fn frozen() -> String {
    let b = |byte: &str, n: usize| byte.repeat(n);
    [
        "01".to_owned(),
        "00000009".to_owned(),
        "00000004".to_owned(),
        b("e1", 32),
        "00000002".to_owned(),
        // dataset 0: no tag key, tree 1, one node, no page
        "00000000".to_owned(),
        b("01", 16),
        "00000000".to_owned(),
        "00000001".to_owned(),
        "00000001".to_owned(),
        "00000001".to_owned(),
        "0000000000".to_owned(),
        b("c1", 32),
        "00000000".to_owned(),
        // dataset 7: tag key 5, tree 2, two nodes, one page
        "00000007".to_owned(),
        b("02", 16),
        "00000001".to_owned(),
        "00000005".to_owned(),
        b("d1", 32),
        "00000001".to_owned(),
        "00000002".to_owned(),
        "00000002".to_owned(),
        "0000400012".to_owned(),
        b("b1", 32),
        "0000800011".to_owned(),
        b("b2", 32),
        "00000001".to_owned(),
        "00000000".to_owned(),
        b("a1", 16),
        b("a2", 32),
        "00000003".to_owned(),
        b("a3", 32),
    ]
    .concat()
}

#[test]
fn the_payload_is_frozen_and_reads_back() {
    let bytes = sample().to_bytes().unwrap();
    assert_eq!(hex::encode(&*bytes), frozen());
    let again = Directory::from_bytes(&bytes).unwrap();
    assert_eq!(hex::encode(&*again.to_bytes().unwrap()), frozen());
    assert_eq!((again.epoch, again.structural_epoch), (9, 4));
}

#[test]
fn every_shortened_and_every_lengthened_payload_is_refused() {
    let bytes = sample().to_bytes().unwrap();
    for end in 0..bytes.len() {
        assert_eq!(Directory::from_bytes(&bytes[..end]).err(), Some(KeyError::Malformed), "{end}");
    }
    let mut long = bytes.to_vec();
    long.push(0);
    assert!(Directory::from_bytes(&long).is_err());
}

#[test]
fn another_format_a_deep_upper_node_and_a_count_beyond_the_bytes_are_refused() {
    let with = |at: usize, byte: u8| {
        let mut bytes = sample().to_bytes().unwrap().to_vec();
        bytes[at] = byte;
        Directory::from_bytes(&bytes).err()
    };
    assert_eq!(with(0, 2), Some(KeyError::Malformed));
    assert_eq!(with(41, 0xff), Some(KeyError::Malformed), "datasets");
    // Depth byte of the first upper node of dataset 7: a page's inside does not belong into the directory.
    let at = frozen().find("0000400012").unwrap() / 2 + 4;
    assert_eq!(with(at, 19), Some(KeyError::Malformed));
    assert_eq!(with(at, 18), None, "control: the byte as it was");
}

#[test]
fn a_new_tenant_has_a_random_system_tree_and_no_tag_key() {
    let tenant = TenantId::from_bytes([3; 16]);
    let [a, b] = [0, 1].map(|_| Directory::<PageRef>::make(tenant, &SystemEntropy).unwrap());
    let system = &a.datasets[&DatasetNo::SYSTEM];
    assert_eq!(system.id, tenant.bytes());
    assert!(system.tag_keys.is_empty() && system.trees.len() == 1);
    let leaf =
        |d: &Directory<PageRef>| d.datasets[&DatasetNo::SYSTEM].trees[&1].upper.eval(7).unwrap();
    assert!(!leaf(&a).ct_eq(&leaf(&b)));
    assert_ne!(a.suppression.expose(), b.suppression.expose());
}
