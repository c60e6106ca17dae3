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
