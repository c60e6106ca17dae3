//! One tenant that holds its calls open, uploads too, costs no other tenant a place.

use leadvault_tests::fault::Raw;
use leadvault_tests::kit::{Tenant, Vault, until};
use reqwest::Method;
use serde_json::json;

/// Calls the vault works on at once.
const CALLS: usize = 8;
/// Calls of one tenant among them: a quarter.
const SHARE: usize = CALLS / 4;
/// Uploads the server takes at once (docs/API.md).
const UPLOADS: usize = 32;

/// The head of a request whose body never comes.
fn without_end(tenant: &Tenant, method: &str, path: &str, media: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ninstruction: {}\r\n\
         purpose: crm_operations\r\ncontent-type: {media}\r\ncontent-length: 100000\r\n\r\n{{",
        tenant.key, tenant.instruction
    )
}

fn open_import(vault: &Vault, tenant: &Tenant) -> String {
    let body = json!({ "dataset": tenant.dataset, "format": "csv", "mapping": null,
        "duplicates": { "by": ["email"], "action": "skip" }, "default_region": null,
        "attestation": null });
    vault.acting(tenant).post("/v1/imports", &body).expect(201).text_of("id")
}

/// Connections on which a request has begun and goes no further.
fn hold(vault: &Vault, head: &str, times: usize) -> Vec<Raw> {
    let held = (0..times).map(|_| {
        let mut raw = Raw::to(&vault.url());
        assert!(raw.send(head.as_bytes()));
        raw
    });
    held.collect()
}

#[test]
fn calls_that_one_tenant_holds_open_cost_another_tenant_nothing() {
    let mut vault = Vault::init();
    vault.configure("concurrent_requests = 512", &format!("concurrent_requests = {CALLS}"));
    vault.up();
    let (greedy, other) = (vault.tenant(), vault.tenant());
    let lead = vault.lead(&other, "ada@example.com");
    let read = format!("/v1/leads/{lead}?fields=email");

    let head = without_end(&greedy, "POST", "/v1/leads", "application/json");
    let held = hold(&vault, &head, CALLS * 2);
    // While they come in, they hold permits of all before anybody knows whose they are.
    until("all but its share are refused", || {
        let answered = held.iter().filter(|call| call.answered()).count();
        (answered == held.len() - SHARE).then_some(())
    });
    // Its own next call is refused, with the time to come again …
    let refused = vault.plain(&greedy).get("/v1/tenant");
    assert_eq!((refused.status, refused.code()), (429, "rate_limited"), "{}", refused.text);
    assert!(refused.retry_after.is_some());
    // … and the other tenant's are served, each of them.
    for _ in 0..20 {
        vault.acting(&other).get(&read).expect(200);
    }
    drop(held);
    until("its places come back", || {
        (vault.plain(&greedy).get("/v1/tenant").status == 200).then_some(())
    });
}

#[test]
fn uploads_that_one_tenant_holds_open_cost_another_tenant_nothing() {
    let vault = Vault::start();
    let (greedy, other) = (vault.tenant(), vault.tenant());
    let import = open_import(&vault, &greedy);
    let path = format!("/v1/imports/{import}/content");
    let held = hold(&vault, &without_end(&greedy, "PUT", &path, "text/csv"), UPLOADS + 8);
    let refused = until("its share is taken", || {
        let answer = vault.acting(&greedy).send(Method::PUT, &path, &[], Some(b"email\n".to_vec()));
        (answer.code() == "rate_limited").then_some(answer)
    });
    assert_eq!(refused.status, 429, "{}", refused.text);
    let import = open_import(&vault, &other);
    let path = format!("/v1/imports/{import}/content");
    let file = b"First Name,Email\nAda,ada@example.com\n".to_vec();
    let media = [("content-type", "text/csv")];
    let stored = vault.acting(&other).send(Method::PUT, &path, &media, Some(file)).expect(200);
    assert_eq!(stored.body["rows"]["stored"], 1, "{}", stored.text);
    drop(held);
}
