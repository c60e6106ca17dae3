//! `verify export`: every file of a package changed, missing and added is found and named.

use leadvault_tests::kit::Vault;
use leadvault_tests::package::{self, Package};
use serde_json::{Value, json};

/// What is signed, and its signature.
const SIGNED: [&str; 2] = ["tagmanifest-sha256.txt", "tagmanifest-sha256.txt.minisig"];

fn failure(verdict: &Value) -> (&str, &str) {
    let word = |name: &str| verdict[name].as_str().unwrap_or_default();
    (word("failure"), word("at"))
}

#[test]
fn any_file_of_a_package_that_is_changed_missing_or_added_is_named() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    vault.lead(&tenant, "ada@example.com");
    let caller = vault.plain(&tenant);
    let bytes = package::download(&caller, &package::export(&caller, true, "one"));
    let whole = Package::open(&bytes);
    let (code, verdict) = package::verify(&vault, &tenant, &whole.to_zip());
    assert_eq!((code, &verdict["ok"]), (Some(0), &json!(true)), "the control: {verdict}");
    assert!(whole.files.len() >= 15, "{:?}", whole.files.keys());
    for path in whole.files.keys() {
        let mut changed = whole.clone();
        let file = changed.files.get_mut(path).expect("a file");
        let middle = file.len() / 2;
        file[middle] ^= 1;
        let (code, verdict) = package::verify(&vault, &tenant, &changed.to_zip());
        let expected = match path.as_str() {
            path if SIGNED.contains(&path) => ("bad_signature", SIGNED[0]),
            "log.vkey" => ("malformed", "log.vkey"),
            path => ("bad_hash", path),
        };
        assert_eq!((code, failure(&verdict)), (Some(1), expected), "{path} changed");

        let mut less = whole.clone();
        less.files.remove(path);
        let (code, verdict) = package::verify(&vault, &tenant, &less.to_zip());
        assert_eq!((code, failure(&verdict)), (Some(1), ("missing", path.as_str())), "{path}");
    }
    for path in ["data/leads-0002.jsonl", "data/log/tile/0/001.p/1", "readme.txt"] {
        let mut more = whole.clone();
        more.files.insert(path.to_owned(), b"{}\n".to_vec());
        let (code, verdict) = package::verify(&vault, &tenant, &more.to_zip());
        assert_eq!((code, failure(&verdict)), (Some(1), ("not_in_manifest", path)));
    }
}

#[test]
fn a_package_that_is_cut_or_of_another_key_or_renamed_does_not_verify() {
    let vault = Vault::start();
    let (tenant, other) = (vault.tenant(), vault.tenant());
    vault.lead(&tenant, "ada@example.com");
    let caller = vault.plain(&tenant);
    let bytes = package::download(&caller, &package::export(&caller, true, "one"));
    let (code, verdict) = package::verify(&vault, &tenant, &bytes[..bytes.len() - 40]);
    assert_eq!((code, failure(&verdict)), (Some(1), ("not_a_package", "zip")));
    // One key signs for the cell; the tenant's log has a name of its own.
    let (code, verdict) = package::verify(&vault, &other, &bytes);
    assert_eq!((code, failure(&verdict)), (Some(1), ("unknown_key", "log.vkey")));
    let mut renamed = Package::open(&bytes);
    renamed.root = "exp_01kb0000000000000000000000".to_owned();
    let (code, verdict) = package::verify(&vault, &tenant, &renamed.to_zip());
    assert_eq!((code, failure(&verdict)), (Some(1), ("not_in_log", "access.tlog-proof")));
}

/// Where a piece of bytes stands, from the end.
fn last(bytes: &[u8], piece: &[u8]) -> usize {
    bytes.windows(piece.len()).rposition(|w| w == piece).expect("it is in there")
}

#[test]
fn bytes_that_no_member_holds_and_names_that_two_programs_read_differently_are_refused() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    vault.lead(&tenant, "ada@example.com");
    let caller = vault.plain(&tenant);
    let bytes = package::download(&caller, &package::export(&caller, true, "one"));
    let (code, verdict) = package::verify(&vault, &tenant, &bytes);
    assert_eq!(code, Some(0), "the control: {verdict}");
    let before = [b"#!/bin/sh\n".as_slice(), &bytes].concat();
    let behind = [&bytes, b"more".as_slice()].concat();
    // A comment that the end of the directory announces: its length is the last field.
    let mut commented = bytes.clone();
    let length = commented.len() - 2;
    commented[length] = 4;
    commented.extend_from_slice(b"more");
    // Between the directory and its end, which still says where the directory is.
    let mut hidden = bytes.clone();
    let end = last(&hidden, b"PK\x05\x06");
    hidden.splice(end..end, *b"JUNK");
    for junk in [&before, &behind, &commented, &hidden] {
        let (code, verdict) = package::verify(&vault, &tenant, junk);
        assert_eq!((code, &verdict["ok"]), (Some(1), &json!(false)), "{verdict}");
    }
    // Between two members: the second one's header and the directory move along.
    let second = bytes.windows(4).enumerate().skip(1).find(|(_, w)| *w == b"PK\x03\x04");
    let second = second.expect("a second member").0;
    let mut between = bytes.clone();
    between.splice(second..second, *b"JUNK");
    let mut at = 4 + bytes.windows(4).position(|w| w == b"PK\x01\x02").expect("a directory");
    let word = |bytes: &[u8], at: usize| {
        u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
    };
    let half = |bytes: &[u8], at: usize| {
        usize::from(u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes")))
    };
    while between[at..].starts_with(b"PK\x01\x02") {
        let offset = word(&between, at + 42);
        if offset as usize >= second {
            between[at + 42..at + 46].copy_from_slice(&(offset + 4).to_le_bytes());
        }
        at += 46 + half(&between, at + 28) + half(&between, at + 30) + half(&between, at + 32);
    }
    let end = last(&between, b"PK\x05\x06");
    let directory = word(&between, end + 16) + 4;
    between[end + 16..end + 20].copy_from_slice(&directory.to_le_bytes());
    let (code, verdict) = package::verify(&vault, &tenant, &between);
    assert_eq!((code, failure(&verdict).0), (Some(1), "not_in_manifest"), "{verdict}");

    let mut renamed = bytes.clone();
    let name = b"/bagit.txt";
    let local = renamed.windows(name.len()).position(|w| w == name).expect("its own header");
    assert_ne!(local, last(&renamed, name), "the directory has a name of its own");
    renamed[local + 1] = b'd';
    let (code, verdict) = package::verify(&vault, &tenant, &renamed);
    assert_eq!((code, failure(&verdict).0), (Some(1), "not_in_manifest"), "{verdict}");
}
