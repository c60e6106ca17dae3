//! The LV1 container: what opens, what does not, and under which code.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside the test functions")]

use leadvault_crypto::{
    Context, Header, Kind, OVERHEAD_BYTES, OpenError, PLAIN_BYTES_MAX, SealError, SecretKey,
    SystemEntropy, open, padded_len, seal,
};
use leadvault_domain::{Entropy, EntropyFailed};
use proptest::prelude::*;

fn key() -> SecretKey {
    SecretKey::from_bytes([3; 32])
}

fn header() -> Header {
    Header { kind: Kind::Compartment, schema: 1, compartment: 1, revision: 9, tree: 1, leaf: 7 }
}

fn wrap_header() -> Header {
    Header { kind: Kind::Wrap, schema: 0, compartment: 2, revision: 4, tree: 0, leaf: 0 }
}

fn context() -> Context {
    Context { tenant: [1; 16], dataset: [2; 16], record: [3; 16] }
}

fn sealed(header: &Header, plain: &[u8]) -> Vec<u8> {
    seal(&key(), header, &context(), plain, &SystemEntropy).unwrap()
}

#[test]
fn what_was_sealed_opens_and_its_length_is_overhead_and_bucket() {
    for plain in [0, 1, 255, 256, 511, 512, 4095, 4096, 8191, 8192, PLAIN_BYTES_MAX] {
        let text = vec![0x80; plain];
        let blob = sealed(&header(), &text);
        assert_eq!(blob.len(), OVERHEAD_BYTES + padded_len(plain));
        assert_eq!(*open(&key(), &header(), &context(), &blob).unwrap(), text);
        let blob = sealed(&wrap_header(), &text);
        assert_eq!(blob.len(), OVERHEAD_BYTES + plain);
        assert_eq!(*open(&key(), &wrap_header(), &context(), &blob).unwrap(), text);
    }
}

#[test]
fn two_seals_of_one_text_share_neither_salt_nor_ciphertext() {
    let (a, b) = (sealed(&header(), b"x"), sealed(&header(), b"x"));
    assert_ne!(a[24..48], b[24..48]);
    assert_ne!(a[48..80], b[48..80]);
    assert_ne!(a[80..], b[80..]);
}

#[test]
fn each_flipped_byte_is_refused_under_the_code_of_its_place() {
    for header in [header(), wrap_header()] {
        let blob = sealed(&header, b"ada@example.com");
        for at in 0..blob.len() {
            for mask in [1, 0x80, 0xff] {
                let mut blob = blob.clone();
                blob[at] ^= mask;
                let error = open(&key(), &header, &context(), &blob).unwrap_err();
                let fits = match at {
                    0..24 => matches!(error, OpenError::Format | OpenError::Context),
                    24..80 => error == OpenError::Commitment,
                    _ => error == OpenError::Tag,
                };
                assert!(fits, "byte {at}: {error:?}");
            }
        }
    }
}

#[test]
fn each_clear_field_another_version_might_use_is_a_hard_error() {
    let blob = sealed(&header(), b"x");
    let all = [
        (0, 0),
        (1, 0),
        (2, 2),
        (3, 2),
        (4, 0),
        (4, 5),
        (4, 0x0f),
        (4, 0x15),
        (5, 0),
        (5, 3),
        (5, 0x81),
        (10, 1),
        (11, 1),
    ];
    for (at, value) in all {
        let mut blob = blob.clone();
        blob[at] = value;
        assert_eq!(open(&key(), &header(), &context(), &blob), Err(OpenError::Format), "{at}");
    }
    let mut padded_wrap = sealed(&wrap_header(), b"x");
    padded_wrap[5] = 1;
    let opened = open(&key(), &wrap_header(), &context(), &padded_wrap);
    assert_eq!(opened, Err(OpenError::Format));
}

#[test]
fn each_swapped_context_is_refused() {
    let blob = sealed(&header(), b"x");
    let h = header();
    let headers = [
        Header { kind: Kind::Small, ..h },
        Header { schema: 2, ..h },
        Header { compartment: 2, ..h },
        Header { revision: 8, ..h },
        Header { tree: 2, ..h },
        Header { leaf: 8, ..h },
    ];
    for header in headers {
        assert_eq!(open(&key(), &header, &context(), &blob), Err(OpenError::Context));
        // Written into the blob as well, the commitment refuses it.
        let mut moved = blob.clone();
        moved[..24].copy_from_slice(&sealed(&header, b"x")[..24]);
        assert_eq!(open(&key(), &header, &context(), &moved), Err(OpenError::Commitment));
    }
    let c = context();
    for context in [
        Context { tenant: [9; 16], ..c },
        Context { dataset: [9; 16], ..c },
        Context { record: [9; 16], ..c },
        Context { tenant: c.dataset, dataset: c.tenant, record: c.record },
    ] {
        assert_eq!(open(&key(), &header(), &context, &blob), Err(OpenError::Commitment));
    }
    let stranger = SecretKey::from_bytes([4; 32]);
    assert_eq!(open(&stranger, &header(), &context(), &blob), Err(OpenError::Commitment));
}

#[test]
fn cut_and_extended_blobs_are_refused() {
    let blob = sealed(&header(), b"x");
    for length in 0..blob.len() {
        let error = open(&key(), &header(), &context(), &blob[..length]).unwrap_err();
        let want = if length < OVERHEAD_BYTES { OpenError::Format } else { OpenError::Tag };
        assert_eq!(error, want, "{length}");
    }
    let mut longer = blob.clone();
    longer.push(0);
    assert_eq!(open(&key(), &header(), &context(), &longer), Err(OpenError::Tag));
    longer.resize(OVERHEAD_BYTES + PLAIN_BYTES_MAX + 8192, 0);
    assert_eq!(open(&key(), &header(), &context(), &longer), Err(OpenError::Format));
}

#[test]
fn what_cannot_be_sealed_is_said() {
    let text = vec![0; PLAIN_BYTES_MAX + 1];
    assert_eq!(
        seal(&key(), &header(), &context(), &text, &SystemEntropy),
        Err(SealError::TooLarge { bytes: PLAIN_BYTES_MAX + 1 })
    );
    let with_leaf = |kind| Header { kind, leaf: 1, compartment: 0, tree: 0, ..wrap_header() };
    let with_purpose = |kind| Header { kind, compartment: 1, ..wrap_header() };
    for header in [
        with_leaf(Kind::Wrap),
        with_leaf(Kind::EpochSlot),
        with_leaf(Kind::Directory),
        with_leaf(Kind::Hop),
        with_purpose(Kind::Page),
        with_purpose(Kind::Directory),
        with_purpose(Kind::Hop),
    ] {
        assert_eq!(
            seal(&key(), &header, &context(), b"x", &SystemEntropy),
            Err(SealError::Header { kind: header.kind })
        );
    }
}

#[test]
fn without_randomness_nothing_is_sealed() {
    #[derive(Debug)]
    struct Dry;
    impl Entropy for Dry {
        fn fill(&self, _: &mut [u8]) -> Result<(), EntropyFailed> {
            Err(EntropyFailed)
        }
    }
    assert_eq!(
        seal(&key(), &header(), &context(), b"x", &Dry),
        Err(SealError::Entropy(EntropyFailed))
    );
    assert!(SecretKey::make(&Dry).is_err());
}

#[test]
fn the_errors_have_one_text_and_distinct_codes() {
    let all = [
        OpenError::Format,
        OpenError::Context,
        OpenError::Commitment,
        OpenError::Tag,
        OpenError::Padding,
    ];
    let texts: std::collections::BTreeSet<_> = all.iter().map(ToString::to_string).collect();
    let codes: std::collections::BTreeSet<_> = all.iter().map(|error| error.code()).collect();
    assert_eq!((texts.len(), codes.len()), (1, all.len()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_seals_and_opens(
        plain in proptest::collection::vec(any::<u8>(), 0..5000),
        kind in proptest::sample::select(vec![
            Kind::Compartment, Kind::Small, Kind::Instruction, Kind::Chunk, Kind::Wrap,
            Kind::EpochSlot, Kind::Page, Kind::Directory, Kind::Hop,
        ]),
        revision in any::<u32>(),
    ) {
        let header = Header { kind, schema: 2, compartment: 0, revision, tree: 0, leaf: 0 };
        let blob = sealed(&header, &plain);
        prop_assert_eq!(&*open(&key(), &header, &context(), &blob).unwrap(), &plain);
    }

    #[test]
    fn no_bytes_panic_or_open(bytes in proptest::collection::vec(any::<u8>(), 0..400), with_header in any::<bool>()) {
        let mut blob = bytes;
        if with_header && blob.len() >= 24 {
            blob[..24].copy_from_slice(&sealed(&header(), b"")[..24]);
        }
        prop_assert!(open(&key(), &header(), &context(), &blob).is_err());
    }
}
