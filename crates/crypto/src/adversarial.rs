//! Blobs that only a writer with the right key could make: what LV1 refuses although GCM accepts.

use crate::hazmat::aead;
use crate::lv1::{OpenError, Parts, open, parts};
use crate::{Context, Header, Kind, SecretKey};

const HEADER: Header =
    Header { kind: Kind::Compartment, schema: 1, compartment: 1, revision: 1, tree: 1, leaf: 7 };
const CONTEXT: Context = Context { tenant: [1; 16], dataset: [2; 16], record: [3; 16] };
const SALT: [u8; 24] = [5; 24];
const TEXT_BYTES: usize = 256;

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes([byte; 32])
}

fn keys(byte: u8) -> Parts {
    parts(&key(byte), &HEADER, &CONTEXT, &SALT)
}

/// Encrypts or, the mode being a stream cipher, decrypts without looking at the tag.
fn stream(keys: &Parts, text: &[u8]) -> (Vec<u8>, u128) {
    let mut text = text.to_vec();
    let nonce = SALT[12..].try_into().unwrap();
    let tag = aead::seal_in_place(&keys.aes, nonce, &keys.aad, &mut text).unwrap();
    (text, u128::from_be_bytes(tag))
}

/// The tag under `keys` of a given ciphertext.
fn tag_of(keys: &Parts, ciphertext: &[u8]) -> u128 {
    stream(keys, &stream(keys, ciphertext).0).1
}

fn gcm_accepts(keys: &Parts, ciphertext: &[u8], tag: u128) -> bool {
    let mut sealed = [ciphertext, &tag.to_be_bytes()].concat();
    let nonce = SALT[12..].try_into().unwrap();
    aead::open_in_place(&keys.aes, nonce, &keys.aad, &mut sealed).is_ok()
}

fn blob(keys: &Parts, ciphertext: &[u8], tag: u128) -> Vec<u8> {
    [&HEADER.to_bytes()[..], &SALT, &keys.commitment, ciphertext, &tag.to_be_bytes()].concat()
}

/// Changes the first block until both keys give one tag. The tag is affine in the ciphertext over
/// GF(2), so the 128 bits of a block solve the 128 equations by elimination.
fn salamander(one: &Parts, two: &Parts, mut ciphertext: Vec<u8>) -> (Vec<u8>, u128) {
    let difference = |text: &[u8]| tag_of(one, text) ^ tag_of(two, text);
    let base = difference(&ciphertext);
    let flip = |text: &mut [u8], bit: usize| text[bit / 8] ^= 1 << (bit % 8);
    // Rows of (effect on the difference, bits flipped to have it), by leading bit.
    let mut rows: [Option<(u128, u128)>; 128] = [None; 128];
    let reduce = |rows: &[Option<(u128, u128)>; 128], mut value: u128, mut bits: u128| {
        for row in rows.iter().rev().flatten() {
            let lead = 1 << row.0.ilog2();
            if value & lead != 0 {
                value ^= row.0;
                bits ^= row.1;
            }
        }
        (value, bits)
    };
    for bit in 0..128 {
        let mut changed = ciphertext.clone();
        flip(&mut changed, bit);
        let (value, bits) = reduce(&rows, difference(&changed) ^ base, 1 << bit);
        if value != 0 {
            rows[value.ilog2() as usize] = Some((value, bits));
        }
    }
    let (rest, bits) = reduce(&rows, base, 0);
    assert_eq!(rest, 0, "this pair of keys has a solution");
    (0..128).filter(|bit| bits >> bit & 1 == 1).for_each(|bit| flip(&mut ciphertext, bit));
    let tag = tag_of(one, &ciphertext);
    (ciphertext, tag)
}

#[test]
fn a_ciphertext_made_for_two_keys_passes_gcm_twice_and_lv1_once_at_most() {
    let (one, two) = (keys(1), keys(2));
    // The first block is free text; the rest is a text that the first key reads, properly padded.
    let mut plain = vec![b'x'; TEXT_BYTES];
    plain[100] = 0x80;
    plain[101..].fill(0);
    let (ciphertext, tag) = salamander(&one, &two, stream(&one, &plain).0);
    assert!(gcm_accepts(&one, &ciphertext, tag) && gcm_accepts(&two, &ciphertext, tag));
    assert!(!gcm_accepts(&keys(3), &ciphertext, tag));

    let first = blob(&one, &ciphertext, tag);
    let read = open(&key(1), &HEADER, &CONTEXT, &first).unwrap();
    assert_eq!(read[16..], [b'x'; 84]);
    assert_eq!(open(&key(2), &HEADER, &CONTEXT, &first), Err(OpenError::Commitment));
    let second = blob(&two, &ciphertext, tag);
    assert_eq!(open(&key(1), &HEADER, &CONTEXT, &second), Err(OpenError::Commitment));
}

#[test]
fn authentic_text_that_is_not_padded_as_we_pad_is_refused() {
    let keys = keys(1);
    let sealed = |plain: &[u8]| {
        let (ciphertext, tag) = stream(&keys, plain);
        open(&key(1), &HEADER, &CONTEXT, &blob(&keys, &ciphertext, tag)).map(|plain| plain.len())
    };
    let mut good = [0; 256];
    good[9] = 0x80;
    assert_eq!(sealed(&good), Ok(9));
    assert_eq!(sealed(&[0; 256]), Err(OpenError::Padding));
    assert_eq!(sealed(&[b'x'; 256]), Err(OpenError::Padding));
    assert_eq!(sealed(&[0x80]), Err(OpenError::Padding));
    assert_eq!(sealed(&[]), Err(OpenError::Padding));
    assert_eq!(sealed(&[&good[..], &[0; 256]].concat()), Err(OpenError::Padding));
}
