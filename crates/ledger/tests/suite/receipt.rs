//! The text of `Ledger-Receipt`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use leadvault_crypto::sha256;
use leadvault_ledger::LedgerReceipt;
use leadvault_ledger::receipt::ReceiptError;
use leadvault_ledger::tree::{inclusion, leaf_hash, root};
use proptest::prelude::*;

use crate::support::{ORIGIN, key, keys};

/// A receipt built by hand from protocols.md 2.3, for entry 5 of a chunk of three, third of four chunks.
fn by_hand() -> (String, [u8; 32]) {
    let leaves = [leaf_hash(b"a"), leaf_hash(b"b"), leaf_hash(b"c")];
    let chunk = root(&leaves);
    let mut statement = b"LV1-RCPT\0".to_vec();
    statement.extend(sha256(&[ORIGIN.as_bytes()]));
    statement.extend(4_u64.to_be_bytes());
    statement.extend(3_u32.to_be_bytes());
    statement.extend(chunk);
    let statements = [[1; 32], [2; 32], leaf_hash(&statement), [3; 32]];
    let batch = root(&statements);
    let mut message = b"LV1-RCPT\0".to_vec();
    message.extend(1_795_000_000_000_u64.to_be_bytes());
    message.extend(batch);
    let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let path = |hashes: Vec<[u8; 32]>| hashes.iter().map(|h| b64(h)).collect::<Vec<_>>().join(",");
    let text = format!(
        "v=1;i=5;f=4;n=3;r={};p={};b={};q={};s={};t=1795000000000",
        b64(&chunk),
        path(inclusion(1, &leaves).unwrap()),
        b64(&batch),
        path(inclusion(2, &statements).unwrap()),
        b64(&key(7).sign(&message)),
    );
    (text, leaves[1])
}

#[test]
fn the_format_is_the_specified_one() {
    let (text, leaf) = by_hand();
    let receipt = LedgerReceipt::parse(&text).unwrap();
    assert_eq!(receipt.to_string(), text);
    assert_eq!((receipt.index, receipt.first, receipt.count), (5, 4, 3));
    let keys = [keys().verifying_key()];
    assert_eq!(receipt.verify(ORIGIN, &leaf, &keys), Ok(()));
    assert_eq!(receipt.verify(ORIGIN, &[0; 32], &keys), Err(ReceiptError::NotInChunk));
    let other = receipt.verify("vault.example/o", &leaf, &keys);
    assert_eq!(other, Err(ReceiptError::NotInBatch));
    let stranger = [key(8).verifying_key()];
    assert_eq!(receipt.verify(ORIGIN, &leaf, &stranger), Err(ReceiptError::BadSignature));
}

#[test]
fn a_receipt_has_one_spelling() {
    let (text, _) = by_hand();
    for changed in [
        text.replacen("v=1", "v=2", 1),
        text.replacen("i=5", "i=05", 1),
        text.replacen("i=5", "i=+5", 1),
        text.replacen("i=5", "i=7", 1),
        text.replacen("i=5", "i=3", 1),
        text.replacen("n=3", "n=0", 1),
        text.replacen("n=3", "n=257", 1),
        text.replacen("f=4", "f=18446744073709551615", 1),
        text.replacen("i=5;f=4", "f=4;i=5", 1),
        format!("{text};"),
        format!("{text} "),
        format!(" {text}"),
        format!("{text};x=1"),
        text.replacen(";p=", "=;p=", 1),
        text.replacen("p=", &format!("p={}", "A".repeat(43) + ","), 1).repeat(9),
        String::new(),
    ] {
        assert_eq!(LedgerReceipt::parse(&changed), Err(ReceiptError::Malformed), "{changed}");
    }
}

proptest! {
    #[test]
    fn random_receipts_never_panic(
        any in "\\PC{0,80}",
        shaped in "v=1;i=[0-9]{1,21};f=[0-9]{1,21};n=[0-9]{1,12};r=[A-Za-z0-9_-]{42,44};p=[A-Za-z0-9_,-]{0,90};b=[A-Za-z0-9_-]{43};q=;s=[A-Za-z0-9_-]{86};t=[0-9]{1,21}",
    ) {
        for text in [any, shaped] {
            if let Ok(receipt) = LedgerReceipt::parse(&text) {
                prop_assert_eq!(receipt.to_string(), text);
                prop_assert!(receipt.verify(ORIGIN, &[0; 32], &[keys().verifying_key()]).is_err());
            }
        }
    }
}
