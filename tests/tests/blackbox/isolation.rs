//! Isolation: every operation of openapi.json without a key, with a wrong one, and with another tenant's.

use leadvault_tests::kit::{Caller, Vault, run};
use reqwest::Method;
use serde_json::{Value, json};

/// Operations that anybody may call: they hold nothing of a tenant.
const PUBLIC: &[&str] =
    &["/healthz", "/readyz", "/openapi.json", "/docs", "/docs/errors", "/docs/openapi.js"];

fn operations() -> Vec<(Method, String)> {
    let (code, document, err) = run(&["openapi"]);
    assert_eq!(code, Some(0), "{err}");
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys() {
            if let Ok(method) = method.to_uppercase().parse() {
                all.push((method, path.clone()));
            }
        }
    }
    all
}

/// A path with plausible ids of nobody.
fn filled(path: &str) -> String {
    let id = "01h455vb4pex5vsknk084sn02q";
    path.split('/')
        .map(|part| match part {
            p if p.starts_with('{') && path.contains("/tile/") => "0/000".to_owned(),
            p if p.starts_with('{') => {
                let prefix = [
                    ("/v1/leads", "ct"),
                    ("/v1/datasets", "ds"),
                    ("/v1/instructions", "ins"),
                    ("/v1/imports", "imp"),
                    ("/v1/exports", "exp"),
                    ("/v1/keys", "key"),
                    ("/v1/notices", "ntc"),
                    ("/v1/operations", "op"),
                    ("/v1/tenants", "tn"),
                ];
                let prefix = prefix.iter().find(|(start, _)| path.starts_with(start));
                prefix.map_or_else(|| "0".to_owned(), |(_, p)| format!("{p}_{id}"))
            }
            p => p.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("/")
}

#[test]
fn every_operation_is_a_401_without_a_key_and_with_a_wrong_one() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let mut wrong = tenant.key.clone();
    let last = if wrong.pop() == Some('0') { '1' } else { '0' };
    wrong.push(last);
    let json = [("content-type", "application/json"), ("idempotency-key", "k")];
    let mut seen = 0;
    for (method, path) in operations() {
        if PUBLIC.contains(&path.as_str()) {
            continue;
        }
        seen += 1;
        let path = filled(&path);
        for caller in [Caller::nobody(&vault.url()), Caller::new(&vault.url(), &wrong)] {
            let answer = caller.send(method.clone(), &path, &json, Some(b"{}".to_vec()));
            assert_eq!(answer.status, 401, "{method} {path}: {}", answer.text);
        }
    }
    assert!(seen > 30, "only {seen} operations");
}

#[test]
fn another_tenants_ids_are_a_404_everywhere() {
    let vault = Vault::start();
    let (mine, theirs) = (vault.tenant(), vault.tenant());
    let lead = vault.lead(&theirs, "ada@example.com");
    let caller = vault.acting(&mine);
    for path in [format!("/v1/leads/{lead}?fields=email"), format!("/v1/leads/{lead}")] {
        caller.get(&path).expect(404);
        vault.acting(&theirs).get(&path).expect(200);
    }
    let erase = format!("/v1/leads/{lead}/erase");
    let plain = vault.plain(&mine);
    plain.try_post(&erase, &json!({}), "e1").expect("an answer").expect(404);
    plain.get(&format!("/v1/instructions/{}", theirs.instruction)).expect(404);
    let body =
        json!({ "dataset": theirs.dataset, "match": { "email": "ada@example.com" }, "limit": 5 });
    caller.post("/v1/leads/search", &body).expect(404);
    let body = json!({ "match": { "email": "ada@example.com" }, "limit": 5 });
    let found = caller.post("/v1/leads/search", &body).expect(200);
    assert_eq!(found.body["data"], Value::Array(Vec::new()));
    vault.acting(&theirs).get(&format!("/v1/leads/{lead}?fields=email")).expect(200);
}

#[test]
fn a_weaker_key_is_refused_and_a_revoked_one_unknown() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let plain = vault.plain(&tenant);
    let body = json!({ "name": "reader", "role": "reader", "principal": "p2", "employer": "tenant",
        "country": "DE", "default_instruction": null, "default_purpose": null, "datasets": null,
        "expires_at": null });
    let made = plain.post("/v1/keys", &body).expect(201);
    let reader = Caller::new(&vault.url(), &made.text_of("secret"));
    for (path, body) in [
        ("/v1/datasets", json!({ "name": "x" })),
        ("/v1/keys", body.clone()),
        ("/v1/tenant/keys/suspend", json!({})),
    ] {
        let refused = reader.post(path, &body);
        assert_eq!((refused.status, refused.code()), (403, "role_insufficient"), "{path}");
    }
    reader.get("/v1/tenant").expect(200);
    plain.send(Method::DELETE, &format!("/v1/keys/{}", made.text_of("id")), &[], None).expect(204);
    reader.get("/v1/tenant").expect(401);
}

#[test]
fn the_operators_key_reads_and_changes_nothing_of_a_tenant() {
    let vault = Vault::start();
    let (_, document, _) = run(&["openapi"]);
    let operator = vault.operator();
    let mut refused = 0;
    for (method, path) in operations() {
        let operation = &document["paths"][&path][method.as_str().to_lowercase()];
        if !operation["security"].to_string().contains("tenant_key") {
            continue;
        }
        let patch = method == Method::PATCH;
        let media = if patch { "application/merge-patch+json" } else { "application/json" };
        let headers = [("content-type", media), ("idempotency-key", "k"), ("if-match", "\"v1\"")];
        let answer = operator.send(method.clone(), &filled(&path), &headers, Some(b"{}".to_vec()));
        assert_eq!((answer.status, answer.code()), (403, "role_insufficient"), "{method} {path}");
        refused += 1;
    }
    assert!(refused > 40, "only {refused} operations");
    // The control: what is the operator's own it may do.
    operator.get("/v1/tenants").expect(200);
}
