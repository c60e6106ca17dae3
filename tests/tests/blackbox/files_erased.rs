//! The end of files: with their leads, by themselves, with an import or a dataset; and no old copy brings them back
//!

use std::io::Read as _;

use leadvault_tests::kit::{Tenant, Vault, attestation};
use reqwest::Method;
use serde_json::{Value, json};

use crate::files::kit::{CHUNK, Files, content, objects};

fn erase(vault: &Vault, tenant: &Tenant, lead: &str) -> Value {
    let path = format!("/v1/leads/{lead}/erase");
    let erased = vault.plain(tenant).try_post(&path, &json!({}), &path).expect("an answer");
    erased.expect(200).body
}

/// Entries of a word about a file.
fn told(files: &Files<'_>, word: &str, id: &str) -> usize {
    let is = |entry: &&Value| entry["operation"] == word && entry["resource"]["id"] == id;
    files.entries().iter().filter(is).count()
}

#[test]
fn a_file_goes_with_the_last_of_its_leads_or_with_any() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let files = Files::of(&vault, &tenant);
    let (ada, grace) =
        (vault.lead(&tenant, "ada@example.com"), vault.lead(&tenant, "grace@example.com"));
    let bytes = content(CHUNK + 5);
    let shared = |name: &str, with: &str| {
        let body = json!({ "name": name, "size": bytes.len(), "leads": [grace],
            "erase_with": with });
        let id = files.make_with(&ada, &body);
        files.put(&id, bytes.clone()).expect(200);
        id
    };
    let (last, any) = (shared("last", "last"), shared("any", "any"));
    let own = files.upload(&ada, "own", bytes.clone());
    let open = files.make(&ada, "open", 10);
    let others = files.upload(&grace, "others", bytes.clone());
    assert_eq!(files.objects().len(), 4);
    erase(&vault, &tenant, &ada);
    for gone in [&any, &own, &open] {
        files.fetch_code(gone, 404, "not_found");
        files
            .caller
            .send(Method::HEAD, &format!("/v1/files/{gone}/content"), &[], None)
            .expect(404);
        files.put(gone, bytes.clone()).expect(404);
        files.delete(gone).expect(404);
        assert_eq!(told(&files, "erase.completed", gone), 1);
    }
    assert_eq!(files.objects().len(), 2, "the objects are gone");
    // The control: what has a lead left, and what is another lead's.
    for kept in [&last, &others] {
        assert!(files.fetch(kept, &[]).2 == bytes);
    }
    let listed = files.list(&grace);
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0]["leads"], json!([grace]), "the erased one is not named any more");
    erase(&vault, &tenant, &grace);
    assert!(files.objects().is_empty());
    files.fetch_code(&last, 404, "not_found");
}

#[test]
fn a_file_by_itself_is_erased_and_its_lead_stays() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let files = Files::of(&vault, &tenant);
    let lead = vault.lead(&tenant, "ada@example.com");
    let bytes = content(3 * CHUNK);
    let (id, kept) =
        (files.upload(&lead, "a", bytes.clone()), files.upload(&lead, "b", bytes.clone()));
    assert!(files.delete(&id).expect(204).index.is_some());
    files.delete(&id).expect(404);
    files.fetch_code(&id, 404, "not_found");
    assert_eq!(
        (told(&files, "erase.requested", &id), told(&files, "erase.completed", &id)),
        (1, 1)
    );
    assert!(files.fetch(&kept, &[]).2 == bytes);
    files.caller.get(&format!("/v1/leads/{lead}?fields=email")).expect(200);
    assert_eq!(files.objects().len(), 1);
    let path = format!("/v1/files/{kept}/content");
    vault.plain(&tenant).send(Method::DELETE, &path, &[], None).expect(204);
    assert!(files.objects().is_empty());
    // Under an instruction that does not cover it, nothing is erased.
    let other = files.upload(&lead, "c", bytes.clone());
    let path = format!("/v1/files/{other}");
    let denied = files.caller.send(Method::DELETE, &path, &[], None).expect(403);
    assert_eq!(denied.code(), "DENY_OPERATION");
    assert!(files.fetch(&other, &[]).2 == bytes);
}

#[test]
fn a_kill_at_any_step_of_an_end_is_finished_by_the_next_start() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let bytes = content(10);
    let steps = [
        "file.erase_requested",
        "advance.2.applied",
        "advance.5.slot",
        "file.punctured",
        "file.objects_removed",
        "erase.punctured",
    ];
    for step in steps {
        let lead = vault.lead(&tenant, &format!("{step}@example.com"));
        let files = Files::of(&vault, &tenant);
        let id = files.upload(&lead, step, bytes.clone());
        vault.kill();
        vault.up_with(Some(step)).expect("it starts");
        let caller = vault.plain(&tenant);
        let path = match step {
            "erase.punctured" => format!("/v1/leads/{lead}/erase"),
            _ => format!("/v1/files/{id}"),
        };
        let method = if step == "erase.punctured" { Method::POST } else { Method::DELETE };
        let ended = caller.try_send(method, &path, &[("idempotency-key", step)], None);
        assert!(ended.is_err(), "{step} was not reached");
        vault.wait_dead();
        vault.up();
        let files = Files::of(&vault, &tenant);
        files.fetch_code(&id, 404, "not_found");
        assert!(files.objects().is_empty(), "{step}: {:?}", files.objects());
        assert_eq!(told(&files, "erase.completed", &id), 1, "{step}");
    }
}

#[test]
fn an_old_copy_brings_no_erased_file_back() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let files = Files::of(&vault, &tenant);
    let (ada, grace) =
        (vault.lead(&tenant, "ada@example.com"), vault.lead(&tenant, "grace@example.com"));
    let bytes = content(2 * CHUNK);
    let with_lead = files.upload(&ada, "goes with ada", bytes.clone());
    let alone = files.upload(&grace, "goes alone", bytes.clone());
    let kept = files.upload(&grace, "stays", bytes.clone());
    vault.kill();
    vault.keep(&["data.db", "files"], "old");
    vault.up();
    let files = Files::of(&vault, &tenant);
    // The control: until now everything reads.
    for id in [&with_lead, &alone, &kept] {
        assert!(files.fetch(id, &[]).2 == bytes);
    }
    erase(&vault, &tenant, &ada);
    files.delete(&alone).expect(204);
    crate::log_kit::published(&vault, &tenant);
    vault.kill();
    vault.put_back(&["data.db", "files"], "old");
    assert_eq!(objects(&vault, &tenant).len(), 3, "the sealed bytes are back");
    vault.up();
    let files = Files::of(&vault, &tenant);
    for id in [&with_lead, &alone] {
        files.fetch_code(id, 404, "not_found");
    }
    assert!(files.fetch(&kept, &[]).2 == bytes);
    assert_eq!(files.objects().len(), 1, "what cannot be read any more is removed");
}

#[test]
fn a_dataset_and_an_import_take_their_files_along() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let files = Files::of(&vault, &tenant);
    let plain = vault.plain(&tenant);
    let own = plain.post("/v1/datasets", &json!({ "name": "own" })).expect(201).text_of("id");
    let of_own = Tenant { dataset: own.clone(), ..tenant.clone() };
    let bytes = content(CHUNK);
    let doomed = files.upload(&vault.lead(&of_own, "ada@example.com"), "a", bytes.clone());
    let kept = files.upload(&vault.lead(&tenant, "grace@example.com"), "b", bytes.clone());
    let attested = json!({ "dataset": tenant.dataset, "attestation": attestation() });
    let import = files.caller.post("/v1/imports", &attested).expect(201).text_of("id");
    let csv = b"Email,First Name\njoan@example.com,Joan\n".to_vec();
    let path = format!("/v1/imports/{import}/content");
    files.caller.send(Method::PUT, &path, &[], Some(csv)).expect(200);
    let found = json!({ "match": { "email": "joan@example.com" } });
    let found = files.caller.post("/v1/leads/search", &found).expect(200);
    let joan = found.body["data"][0]["id"].as_str().expect("a lead").to_owned();
    let imported = files.upload(&joan, "c", bytes.clone());
    let path = format!("/v1/datasets/{own}/shred");
    let begun = plain.try_post(&path, &json!({ "confirm": own }), "shred").expect("an answer");
    files.fetch_code(&doomed, 404, "not_found");
    plain.finished(&begun.expect(202).text_of("operation"));
    assert_eq!(files.objects().len(), 2);
    let path = format!("/v1/imports/{import}/undo");
    let begun = plain.try_post(&path, &json!({}), "undo").expect("an answer");
    files.fetch_code(&imported, 404, "not_found");
    plain.finished(&begun.expect(202).text_of("operation"));
    assert_eq!(files.objects().len(), 1);
    assert!(files.fetch(&kept, &[]).2 == bytes, "the control");
    let confirm = json!({ "confirm": tenant.id });
    let begun = plain.try_post("/v1/tenant/shred", &confirm, "all").expect("an answer");
    plain.finished(&begun.expect(202).text_of("operation"));
    assert!(files.objects().is_empty());
}

/// A reader that takes its time gets no more of a file once its key is gone.
#[test]
fn a_slow_download_ends_with_the_key_of_its_file() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let files = Files::of(&vault, &tenant);
    let lead = vault.lead(&tenant, "ada@example.com");
    let bytes = content(48 << 20);
    let (erased, kept) =
        (files.upload(&lead, "a", bytes.clone()), files.upload(&lead, "b", bytes.clone()));
    let mut slow = [&erased, &kept].map(|id| files.begin(id));
    files.delete(&erased).expect(204);
    let [erased, kept] = slow.each_mut().map(|answer| {
        let mut came = Vec::new();
        let whole = answer.read_to_end(&mut came).is_ok();
        (whole, came)
    });
    assert!(!erased.0 && erased.1.len() < bytes.len(), "{} bytes came", erased.1.len());
    assert!(erased.1 == bytes[..erased.1.len()], "what came is what it was");
    assert!(kept == (true, bytes), "the control");
}

/// With the key away nothing finds a file that is deleted; its key goes when the tenant's is back.
#[test]
fn a_deletion_waits_for_the_tenants_key() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let files = Files::of(&vault, &tenant);
    let lead = vault.lead(&tenant, "ada@example.com");
    let id = files.upload(&lead, "a", content(10));
    let plain = vault.plain(&tenant);
    plain.post("/v1/tenant/keys/suspend", &json!({})).expect(200);
    files.fetch_code(&id, 423, "DENY_KEY_DISABLED");
    let pending = plain.send(Method::DELETE, &format!("/v1/files/{id}"), &[], None).expect(202);
    assert_eq!(pending.body["state"], "pending_key");
    plain.post("/v1/tenant/keys/resume", &json!({})).expect(200);
    files.fetch_code(&id, 404, "not_found");
    assert!(files.objects().is_empty());
    assert_eq!(told(&files, "erase.completed", &id), 1);
}
