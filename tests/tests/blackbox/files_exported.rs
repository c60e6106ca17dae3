//! Files leave with their leads: byte for byte in the package, and never in one that outlives them.

use leadvault_tests::kit::{Vault, instruction};
use leadvault_tests::package::{self, Package};
use serde_json::{Value, json};

use crate::files::kit::{CHUNK, Files, content, sha256_hex};

fn lines(package: &Package) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).expect("a line");
    package.text("data/files.jsonl").lines().map(parse).collect()
}

#[test]
fn a_package_holds_the_files_and_what_each_is() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let files = Files::of(&vault, &tenant);
    let (ada, grace) =
        (vault.lead(&tenant, "ada@example.com"), vault.lead(&tenant, "grace@example.com"));
    let bytes = content(2 * CHUNK + 9);
    let large = files.upload(&ada, "=cmd('calc')", bytes.clone());
    let body = json!({ "name": "empty", "size": 0, "leads": [grace] });
    let empty = files.make_with(&ada, &body);
    files.put(&empty, Vec::new()).expect(200);
    let open = files.make(&ada, "open", 10);
    let restricted = files.upload(&grace, "restricted", bytes.clone());
    let caller = vault.plain(&tenant);
    let id = package::export(&caller, true, "one");
    let zip = package::download(&caller, &id);
    let (code, verdict) = package::verify(&vault, &tenant, &zip);
    assert_eq!((code, &verdict["ok"]), (Some(0), &json!(true)), "{verdict}");
    let whole = Package::open(&zip);
    assert!(whole.files[&format!("data/files/{large}")] == bytes);
    assert!(whole.files[&format!("data/files/{empty}")].is_empty());
    assert!(!whole.files.contains_key(&format!("data/files/{open}")), "it is not complete");
    let told = lines(&whole);
    assert_eq!(told.len(), 3);
    assert_eq!(told[0]["name"], "=cmd('calc')");
    assert_eq!(told[0]["sha256"], json!(sha256_hex(&bytes)));
    assert_eq!((&told[0]["damaged"], &told[0]["leads"]), (&json!(false), &json!([ada])));
    assert_eq!(told[0]["path"], json!(format!("data/files/{large}")));
    assert_eq!(told[1]["leads"].as_array().map(Vec::len), Some(2));
    let about = whole.json("data/datapackage.json");
    let listed = about["resources"].as_array().expect("a list").iter();
    let paths: Vec<_> = listed.filter_map(|r| r["path"].as_str()).collect();
    assert!(paths.contains(&format!("files/{large}").as_str()), "{paths:?}");
    let entries = files.entries();
    let of_files =
        |e: &&Value| e["operation"] == "export" && e["resource"]["categories"] == json!(["file"]);
    assert_eq!(entries.iter().filter(of_files).count(), 1, "the page of files is an entry");
    // What the instruction does not let out stays in: a restricted lead's, a masking one's.
    files.caller.post(&format!("/v1/leads/{grace}/restrict"), &json!({})).expect(200);
    let mut masking = instruction();
    masking["operations"] = json!(["export"]);
    masking["data"]["masking"] = json!("partial");
    let masked = caller.post("/v1/instructions", &masking).expect(201).text_of("id");
    caller
        .post(&format!("/v1/instructions/{masked}/activate"), &json!({ "version": 1 }))
        .expect(200);
    let caller = caller.under(&masked, "crm_operations");
    let id = package::export(&caller, true, "masked");
    let masked = Package::open(&package::download(&caller, &id));
    assert!(
        !masked.files.keys().any(|path| path.starts_with("data/files")),
        "{:?}",
        masked.files.keys()
    );
    drop(restricted);
}

#[test]
fn a_package_goes_stale_with_a_file_of_it() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let files = Files::of(&vault, &tenant);
    let (ada, grace) =
        (vault.lead(&tenant, "ada@example.com"), vault.lead(&tenant, "grace@example.com"));
    let alone = files.upload(&ada, "alone", content(10));
    let body = json!({ "name": "any", "size": 1, "leads": [grace], "erase_with": "any" });
    let any = files.make_with(&ada, &body);
    files.put(&any, vec![1]).expect(200);
    let caller = vault.plain(&tenant);
    let stale = |id: &str| {
        let refused = caller.get(&format!("/v1/exports/{id}/content")).expect(410);
        assert_eq!(refused.code(), "export_stale");
    };
    let first = package::export(&caller, true, "one");
    package::download(&caller, &first);
    files.delete(&alone).expect(204);
    stale(&first);
    let second = package::export(&caller, true, "two");
    let package = Package::open(&package::download(&caller, &second));
    assert_eq!(lines(&package).len(), 1);
    let path = format!("/v1/leads/{grace}/erase");
    caller.try_post(&path, &json!({}), &path).expect("an answer").expect(200);
    stale(&second);
    let third = package::export(&caller, true, "three");
    let package = Package::open(&package::download(&caller, &third));
    assert_eq!(package.leads().len(), 1);
    assert!(!package.files.contains_key("data/files.jsonl"), "it went with the other lead");
    // The control: a package without a file that goes stays.
    let later = files.upload(&ada, "later", content(10));
    let fourth = package::export(&caller, true, "four");
    files.delete(&later).expect(204);
    stale(&fourth);
}

/// Nobody is kept from leaving by bytes that a disk lost.
#[test]
fn a_damaged_file_is_told_and_the_rest_leaves() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let files = Files::of(&vault, &tenant);
    let lead = vault.lead(&tenant, "ada@example.com");
    let bytes = content(2 * CHUNK);
    let damaged = files.upload(&lead, "damaged", bytes.clone());
    let object = files.objects().pop().expect("an object");
    let whole = files.upload(&lead, "whole", bytes.clone());
    let mut sealed = std::fs::read(&object).expect("the object");
    sealed[65_632 + 100] ^= 1;
    std::fs::write(&object, sealed).expect("a write");
    let caller = vault.plain(&tenant);
    let id = package::export(&caller, true, "one");
    let zip = package::download(&caller, &id);
    let (code, verdict) = package::verify(&vault, &tenant, &zip);
    assert_eq!((code, &verdict["ok"]), (Some(0), &json!(true)), "{verdict}");
    let package = Package::open(&zip);
    let told = lines(&package);
    assert_eq!((&told[0]["damaged"], &told[1]["damaged"]), (&json!(true), &json!(false)));
    assert!(package.files[&format!("data/files/{damaged}")] == bytes[..CHUNK]);
    assert!(package.files[&format!("data/files/{whole}")] == bytes);
}
