//! Idempotency keys over HTTP: a request is done once and answered again, by every POST and PATCH that
//! changes something, and a kill between a write and its answer makes nothing twice.

use leadvault_tests::kit::{Answer, Caller, Tenant, Vault, instruction};
use reqwest::Method;
use serde_json::{Value, json};

fn post(caller: &Caller, path: &str, body: &Value, key: &str) -> Answer {
    caller.try_post(path, body, key).expect("an answer")
}

/// Entries of a tenant's log.
fn log(vault: &Vault, tenant: &Tenant) -> Vec<String> {
    let text = vault.plain(tenant).get("/v1/log/entries?from=0").expect(200).text;
    text.lines().map(str::to_owned).collect()
}

/// Posts twice; the second answer is the first, made without a second entry.
#[track_caller]
fn twice(vault: &Vault, tenant: &Tenant, caller: &Caller, path: &str, body: &Value) -> Answer {
    let key = format!("twice:{path}");
    let first = post(caller, path, body, &key);
    assert!((200..300).contains(&first.status), "{path}: {}", first.text);
    if let Some(operation) = first.location.as_deref().filter(|l| l.contains("/operations/")) {
        // A job makes entries of its own until it has ended.
        caller.ended(operation);
    }
    let entries = log(vault, tenant).len();
    let second = post(caller, path, body, &key);
    assert_eq!((second.status, &second.body), (first.status, &first.body), "{path}");
    let place = |a: &Answer| (a.index, a.etag.clone(), a.location.clone());
    assert_eq!(place(&second), place(&first), "{path}");
    assert_eq!(log(vault, tenant).len(), entries, "{path}: nothing was done again");
    first
}

#[test]
fn every_post_and_patch_answers_a_repeated_request_as_the_first() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let (plain, acting) = (vault.plain(&tenant), vault.acting(&tenant));
    let again =
        |caller: &Caller, path: &str, body: &Value| twice(&vault, &tenant, caller, path, body);
    let dataset = json!({ "name": "second", "default_region": null, "origin": [] });
    let dataset = again(&plain, "/v1/datasets", &dataset).text_of("id");
    assert_ne!(dataset, tenant.dataset);
    let id = again(&plain, "/v1/instructions", &instruction()).text_of("id");
    let of = |verb: &str| format!("/v1/instructions/{id}{verb}");
    again(&plain, &of(""), &instruction());
    again(&plain, &of("/activate"), &json!({ "version": 2 }));
    for verb in ["/suspend", "/resume", "/revoke"] {
        again(&plain, &of(verb), &json!({}));
    }
    let lead = json!({ "dataset": tenant.dataset, "fields": { "email": "ada@example.com" } });
    let lead = again(&acting, "/v1/leads", &lead).text_of("id");
    for verb in ["restrict", "unrestrict"] {
        again(&acting, &format!("/v1/leads/{lead}/{verb}"), &json!({}));
    }
    let import = json!({ "dataset": tenant.dataset, "format": "csv", "attestation": null });
    let import = again(&acting, "/v1/imports", &import).text_of("id");
    again(&plain, "/v1/exports", &json!({ "dataset": tenant.dataset, "plain": true }));
    let notices = plain.get("/v1/notices").expect(200);
    let notice = notices.body["data"][0]["id"].as_str().expect("the quarantined import").to_owned();
    again(&plain, &format!("/v1/notices/{notice}/acknowledge"), &json!({}));
    let receipt = again(&plain, &format!("/v1/leads/{lead}/erase"), &json!({}));
    assert_eq!(receipt.body["type"], "ErasureReceipt");
    again(&plain, &format!("/v1/imports/{import}/undo"), &json!({}));
    let shred = format!("/v1/datasets/{dataset}/shred");
    again(&plain, &shred, &json!({ "confirm": dataset }));
    again(&plain, "/v1/tenant/keys/resume", &json!({}));
    again(&plain, "/v1/tenant/close", &json!({}));
}

#[test]
fn a_patch_is_done_once_and_answered_again() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    let caller = vault.acting(&tenant);
    let headers = [
        ("content-type", "application/merge-patch+json"),
        ("if-match", "\"v1\""),
        ("idempotency-key", "p1"),
    ];
    let patch = |body: &Value| {
        let body = Some(body.to_string().into_bytes());
        caller.send(Method::PATCH, &format!("/v1/leads/{lead}"), &headers, body)
    };
    let body = json!({ "fields": { "company": "Engines" } });
    let first = patch(&body).expect(200);
    // The control: the version has moved, so without the record this is a 412.
    let second = patch(&body).expect(200);
    assert_eq!((second.body, second.index, second.etag), (first.body, first.index, first.etag));
    let other = patch(&json!({ "fields": { "company": "Others" } })).expect(422);
    assert_eq!(other.code(), "idempotency_mismatch");
}

#[test]
fn a_key_belongs_to_one_request_of_one_person_on_one_route() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let caller = vault.acting(&tenant);
    let lead = |email: &str| json!({ "dataset": tenant.dataset, "fields": { "email": email } });
    let first = post(&caller, "/v1/leads", &lead("ada@example.com"), "k").expect(201);
    // Another body is a mistake of the caller; it is told so and nothing is made.
    let other = post(&caller, "/v1/leads", &lead("grace@example.com"), "k").expect(422);
    assert_eq!(other.code(), "idempotency_mismatch");
    assert!(!other.text.contains("example.com"));
    // So is another instruction or purpose: the answer would be that of a call that was never made.
    let named = |caller: Caller| post(&caller, "/v1/leads", &lead("ada@example.com"), "k");
    let pinned = format!("{};v=1", tenant.instruction);
    for under in [
        caller.clone().without_instruction(),
        caller.clone().under(&tenant.instruction, "provide_service"),
        caller.clone().under(&pinned, "crm_operations"),
    ] {
        assert_eq!(named(under).expect(422).code(), "idempotency_mismatch");
    }
    assert_eq!(named(caller.clone()).expect(201).body, first.body);
    // The control: another key, another route, another person are other requests.
    post(&caller, "/v1/leads", &lead("grace@example.com"), "k2").expect(201);
    let dataset = json!({ "name": "second", "default_region": null, "origin": [] });
    post(&vault.plain(&tenant), "/v1/datasets", &dataset, "k").expect(201);
    let key = json!({ "name": "editor", "role": "editor", "principal": "p2", "country": "DE" });
    let made = post(&vault.plain(&tenant), "/v1/keys", &key, "k").expect(201);
    let second = Caller::new(&vault.url(), made.body["secret"].as_str().expect("shown once"))
        .under(&tenant.instruction, "crm_operations");
    let refused = post(&second, "/v1/leads", &lead("ada@example.com"), "k").expect(409);
    assert_eq!(refused.code(), "duplicate", "it was decided anew");
    // A refusal is not remembered: the same key works once the reason is gone.
    let headers = [("content-type", "application/merge-patch+json"), ("if-match", "\"v1\"")];
    let moved = json!({ "fields": { "email": "ada.lovelace@example.com" } });
    let path = format!("/v1/leads/{}", first.text_of("id"));
    caller.send(Method::PATCH, &path, &headers, Some(moved.to_string().into_bytes())).expect(200);
    post(&second, "/v1/leads", &lead("ada@example.com"), "k").expect(201);
}

#[test]
fn a_repeated_request_for_a_lead_that_is_gone_is_a_410_that_says_nothing_of_it() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let caller = vault.acting(&tenant);
    let body =
        json!({ "dataset": tenant.dataset, "fields": { "email": "canary-410@example.com" } });
    let made = post(&caller, "/v1/leads", &body, "k").expect(201).text_of("id");
    post(&caller, "/v1/leads", &body, "k").expect(201);
    let erase = format!("/v1/leads/{made}/erase");
    let receipt = post(&vault.plain(&tenant), &erase, &json!({}), "e").expect(200);
    let gone = post(&caller, "/v1/leads", &body, "k").expect(410);
    assert_eq!(gone.code(), "erased");
    assert!(!gone.text.contains("canary-410") && !gone.text.contains(&made), "{}", gone.text);
    // The receipt of the erasure itself is given again.
    let again = post(&vault.plain(&tenant), &erase, &json!({}), "e").expect(200);
    assert_eq!(again.body, receipt.body);
    // The control: without a record the erased lead is unknown.
    post(&vault.plain(&tenant), &erase, &json!({}), "another").expect(404);
}

#[test]
fn a_secret_is_shown_once_and_a_repeated_request_names_the_key_without_it() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let body = json!({ "name": "sync", "role": "reader", "principal": "p1", "country": "DE" });
    let first = post(&vault.plain(&tenant), "/v1/keys", &body, "k").expect(201);
    let second = post(&vault.plain(&tenant), "/v1/keys", &body, "k").expect(201);
    assert!(first.body["secret"].as_str().is_some_and(|s| s.starts_with("lv_live_")));
    assert_eq!(second.body["secret"], Value::Null);
    assert_eq!(second.body["id"], first.body["id"]);
    let keys = vault.plain(&tenant).get("/v1/keys").expect(200);
    assert_eq!(keys.body["data"].as_array().map(Vec::len), Some(2), "{}", keys.text);

    let body = json!({
        "name": "Another", "region": "local", "controller_country": "DE",
        "locations": { "store": ["DE"], "access": ["DE"] },
        "agreement": { "id": "dpa-1", "version": "1", "sha256": "0".repeat(64) },
    });
    let first = post(&vault.operator(), "/v1/tenants", &body, "t").expect(201);
    let second = post(&vault.operator(), "/v1/tenants", &body, "t").expect(201);
    assert_eq!(second.body["id"], first.body["id"]);
    assert_eq!(second.body["key"]["id"], first.body["key"]["id"]);
    assert_eq!(second.body["key"]["secret"], Value::Null);
    assert!(first.body["key"]["secret"].as_str().is_some());
    let listed = vault.operator().get("/v1/tenants").expect(200);
    assert_eq!(listed.body["data"].as_array().map(Vec::len), Some(2));
    let restrict = format!("/v1/tenants/{}/restrict", first.text_of("id"));
    let done = post(&vault.operator(), &restrict, &json!({}), "r").expect(200);
    let again = post(&vault.operator(), &restrict, &json!({}), "r").expect(200);
    assert_eq!((done.body, done.index), (again.body, again.index));
    // The control: without the key it is a conflict, for the state is there already.
    vault.operator().post(&restrict, &json!({})).expect(409);
}

#[test]
fn erase_shred_and_export_need_a_key() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    let caller = vault.plain(&tenant);
    for (path, body) in [
        (format!("/v1/leads/{lead}/erase"), json!({})),
        (format!("/v1/datasets/{}/shred", tenant.dataset), json!({ "confirm": tenant.dataset })),
        ("/v1/tenant/shred".to_owned(), json!({ "confirm": tenant.id })),
        ("/v1/exports".to_owned(), json!({ "dataset": null, "plain": true })),
    ] {
        let refused = caller.post(&path, &body).expect(400);
        assert_eq!(refused.code(), "idempotency_key_required", "{path}");
    }
    vault.acting(&tenant).get(&format!("/v1/leads/{lead}")).expect(200);
}

#[test]
fn a_kill_between_a_write_and_its_answer_makes_nothing_twice() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    for step in ["write.committing", "write.committed"] {
        let email = format!("{step}@example.com");
        let lead = json!({ "dataset": tenant.dataset, "fields": { "email": email } });
        let dataset = json!({ "name": step, "default_region": null, "origin": [] });
        for (path, body) in [("/v1/leads", lead), ("/v1/datasets", dataset)] {
            let before = log(&vault, &tenant).len();
            vault.kill();
            vault.up_with(Some(step)).expect("it starts");
            let cut = vault.acting(&tenant).try_post(path, &body, step);
            assert!(cut.is_err(), "{step}: it must have died, it answered {cut:?}");
            vault.wait_dead();
            vault.up();
            let committed = log(&vault, &tenant).len() > before;
            assert_eq!(committed, step == "write.committed", "{step} {path}");
            let first = post(&vault.acting(&tenant), path, &body, step).expect(201);
            let second = post(&vault.acting(&tenant), path, &body, step).expect(201);
            assert_eq!((second.body, second.index), (first.body, first.index));
            assert_eq!(log(&vault, &tenant).len(), before + 1, "{step} {path}: once");
        }
    }
    let listed = vault.plain(&tenant).get("/v1/datasets").expect(200);
    assert_eq!(listed.body["data"].as_array().map(Vec::len), Some(3), "{}", listed.text);
}

#[test]
fn a_tenant_whose_maker_died_gets_its_first_key_when_the_request_is_repeated() {
    let mut vault = Vault::init();
    vault.up_with(Some("tenant.created")).expect("it starts");
    let body = json!({
        "name": "Cut Off", "region": "local", "controller_country": "DE",
        "locations": { "store": ["DE"], "access": ["DE"] },
        "agreement": { "id": "dpa-1", "version": "1", "sha256": "0".repeat(64) },
    });
    let cut = vault.operator().try_post("/v1/tenants", &body, "t");
    assert!(cut.is_err(), "it must have died, it answered {cut:?}");
    vault.wait_dead();
    vault.up();
    let made = post(&vault.operator(), "/v1/tenants", &body, "t").expect(201);
    let secret = made.body["key"]["secret"].as_str().expect("never shown before");
    Caller::new(&vault.url(), secret).get("/v1/tenant").expect(200);
    let again = post(&vault.operator(), "/v1/tenants", &body, "t").expect(201);
    assert_eq!(again.body["id"], made.body["id"]);
    assert_eq!(again.body["key"]["secret"], Value::Null);
    let listed = vault.operator().get("/v1/tenants").expect(200);
    assert_eq!(listed.body["data"].as_array().map(Vec::len), Some(1));
}
