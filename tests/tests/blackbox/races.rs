//! Calls at the same moment: what one of them decided on must not be what another has just changed. Each race
//! is run several times; none of its outcomes may break the rule, whoever wins.

use std::sync::Barrier;

use leadvault_tests::kit::{Answer, Tenant, Vault, attestation, instruction};
use reqwest::Method;
use serde_json::{Value, json};

/// Times a race is run.
const ROUNDS: usize = 10;

/// Runs calls at the same moment; their answers, in order.
fn at_once(calls: Vec<Box<dyn Fn() -> Answer + Send + Sync>>) -> Vec<Answer> {
    let start = Barrier::new(calls.len());
    let run = |call: &(dyn Fn() -> Answer + Send + Sync)| {
        start.wait();
        call()
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = calls.iter().map(|call| scope.spawn(|| run(call.as_ref()))).collect();
        running.into_iter().map(|call| call.join().expect("it ends")).collect()
    })
}

fn open_import(vault: &Vault, tenant: &Tenant) -> String {
    let body = json!({ "dataset": tenant.dataset, "format": "csv", "mapping": null,
        "duplicates": { "by": ["email"], "action": "skip" }, "default_region": null,
        "attestation": attestation() });
    vault.acting(tenant).post("/v1/imports", &body).expect(201).text_of("id")
}

/// A person who is there, and who is erased, does not come in again at any moment of the erasure: until it
/// they are a duplicate, from then on they are on the list.
#[test]
fn nobody_comes_in_beside_their_erasure() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    for round in 0..ROUNDS {
        let email = format!("p{round}@example.com");
        let lead = vault.lead(&tenant, &email);
        let other = vault.lead(&tenant, &format!("other{round}@example.com"));
        let import = open_import(&vault, &tenant);
        let (plain, acting) = (vault.plain(&tenant), vault.acting(&tenant));
        let body = json!({ "dataset": tenant.dataset, "fields": { "email": email } });
        let (creates, patches, imports) = (acting.clone(), acting.clone(), acting.clone());
        let patch = json!({ "fields": { "email": email } }).to_string();
        let file = format!("First Name,Email\nAda,{email}\n");
        let (erase_key, erase_path) = (format!("e{round}"), format!("/v1/leads/{lead}/erase"));
        let answers = at_once(vec![
            Box::new(move || {
                plain.try_post(&erase_path, &json!({}), &erase_key).expect("an answer")
            }),
            Box::new(move || creates.post("/v1/leads", &body)),
            Box::new(move || {
                let media = ("content-type", "application/merge-patch+json");
                let headers = [media, ("if-match", "\"v1\"")];
                let path = format!("/v1/leads/{other}");
                patches.send(Method::PATCH, &path, &headers, Some(patch.clone().into_bytes()))
            }),
            Box::new(move || {
                let path = format!("/v1/imports/{import}/content");
                imports.send(Method::PUT, &path, &[], Some(file.clone().into_bytes()))
            }),
        ]);
        let said = |answer: &Answer| format!("round {round}: {}", answer.text);
        assert!(matches!(answers[0].status, 200 | 202), "{}", said(&answers[0]));
        for refused in &answers[1..3] {
            assert!(matches!(refused.status, 409 | 422), "{}", said(refused));
        }
        assert_eq!(answers[3].body["rows"]["stored"], 0, "{}", said(&answers[3]));
        let search = json!({ "match": { "email": email }, "fields": ["email"], "limit": 5 });
        let found = acting.post("/v1/leads/search", &search).expect(200);
        assert_eq!(found.body["data"], json!([]), "{}", said(&found));
    }
    // The control: the same calls bring in somebody who is not erased.
    let body = json!({ "dataset": tenant.dataset, "fields": { "email": "alive@example.com" } });
    vault.acting(&tenant).post("/v1/leads", &body).expect(201);
}

/// The versions of an instruction and their status.
fn versions(vault: &Vault, tenant: &Tenant, id: &str, last: u32) -> Vec<Value> {
    let plain = vault.plain(tenant);
    let status = |n| plain.get(&format!("/v1/instructions/{id}?version={n}")).expect(200);
    (1..=last).map(|n| status(n).body["status"].clone()).collect()
}

#[test]
fn of_several_versions_activated_at_once_one_is_in_force() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    for _ in 0..ROUNDS {
        let plain = vault.plain(&tenant);
        let id = plain.post("/v1/instructions", &instruction()).expect(201).text_of("id");
        for _ in 2..=5 {
            plain.post(&format!("/v1/instructions/{id}"), &instruction()).expect(201);
        }
        let calls = (1..=5_u32).map(|version| {
            let (plain, path) = (plain.clone(), format!("/v1/instructions/{id}/activate"));
            let call = move || plain.post(&path, &json!({ "version": version }));
            Box::new(call) as Box<dyn Fn() -> Answer + Send + Sync>
        });
        for answer in at_once(calls.collect()) {
            assert_eq!(answer.status, 200, "{}", answer.text);
        }
        let all = versions(&vault, &tenant, &id, 5);
        let active = all.iter().filter(|status| **status == "active").count();
        let superseded = all.iter().filter(|status| **status == "superseded").count();
        assert_eq!((active, superseded), (1, 4), "{all:?}");
    }
}

#[test]
fn a_revocation_meets_the_version_in_force_and_leaves_the_draft() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let plain = vault.plain(&tenant);
    let lead = vault.lead(&tenant, "ada@example.com");
    let id = &tenant.instruction;
    plain.post(&format!("/v1/instructions/{id}"), &instruction()).expect(201);
    plain.post(&format!("/v1/instructions/{id}/revoke"), &json!({})).expect(200);
    assert_eq!(versions(&vault, &tenant, id, 2), ["revoked", "draft"]);
    let read = vault.acting(&tenant).get(&format!("/v1/leads/{lead}?fields=email")).expect(403);
    assert!(matches!(read.code(), "DENY_INSTRUCTION_REVOKED" | "DENY_INSTRUCTION_DRAFT"));
    // The draft is put in force, and can be revoked in its turn.
    let version = json!({ "version": 2 });
    plain.post(&format!("/v1/instructions/{id}/activate"), &version).expect(200);
    vault.acting(&tenant).get(&format!("/v1/leads/{lead}?fields=email")).expect(200);
    plain.post(&format!("/v1/instructions/{id}/revoke"), &json!({})).expect(200);
    assert_eq!(versions(&vault, &tenant, id, 2), ["revoked", "revoked"]);
}
