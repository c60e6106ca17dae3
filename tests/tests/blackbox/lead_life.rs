//! One lead from its making to its erasure, and what the log says of it.

use leadvault_tests::kit::{Vault, run};
use reqwest::Method;
use serde_json::json;

#[test]
fn a_read_is_in_the_log_before_it_answers_and_under_its_instruction() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    let caller = vault.acting(&tenant);
    let read = caller.get(&format!("/v1/leads/{lead}?fields=email,phone")).expect(200);
    assert_eq!(read.body["fields"]["email"], "ada@example.com");
    assert_eq!(read.body["fields"]["phone"], "+14155552671");
    assert!(read.receipt.is_some());
    let index = read.index.expect("Ledger-Index");
    let entry = caller.get(&format!("/v1/log/entries?from={index}&to={}", index + 1)).expect(200);
    assert_eq!(entry.body["operation"], "read");
    assert_eq!(entry.body["decision"]["code"], "ALLOW");
    assert_eq!(entry.body["instruction"]["id"], tenant.instruction.as_str());
    assert_eq!(entry.body["resource"]["fields"], json!([1, 3]));
}

#[test]
fn without_fields_values_are_masked() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    let shown = vault.acting(&tenant).get(&format!("/v1/leads/{lead}")).expect(200);
    assert_eq!(shown.body["masked"], true);
    assert_eq!(shown.body["fields"]["email"], "a…@e….com");
    assert!(!shown.text.contains("ada@example.com"));
}

#[test]
fn each_dimension_of_a_call_changed_alone_gives_its_own_code() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    let path = format!("/v1/leads/{lead}?fields=email");
    vault.acting(&tenant).get(&path).expect(200);
    let purpose = vault.plain(&tenant).under(&tenant.instruction, "tenant_marketing").get(&path);
    assert_eq!((purpose.status, purpose.code()), (403, "DENY_PURPOSE"));
    assert!(purpose.index.is_some(), "a denial is an entry");
    let other = "ins_01h455vb4pex5vsknk084sn02q";
    let unknown = vault.plain(&tenant).under(other, "crm_operations").get(&path);
    assert_eq!((unknown.status, unknown.code()), (403, "DENY_NO_INSTRUCTION"));
    let plain = vault.plain(&tenant);
    plain.post(&format!("/v1/instructions/{}/suspend", tenant.instruction), &json!({})).expect(200);
    let suspended = vault.acting(&tenant).get(&path);
    assert_eq!((suspended.status, suspended.code()), (403, "DENY_INSTRUCTION_SUSPENDED"));
    plain.post(&format!("/v1/instructions/{}/resume", tenant.instruction), &json!({})).expect(200);
    vault.acting(&tenant).get(&path).expect(200);
    plain.post(&format!("/v1/instructions/{}/revoke", tenant.instruction), &json!({})).expect(200);
    let revoked = vault.acting(&tenant).get(&path);
    assert_eq!((revoked.status, revoked.code()), (403, "DENY_INSTRUCTION_REVOKED"));
}

#[test]
fn a_suspended_key_denies_everything_that_opens_and_the_log_still_reads() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    let path = format!("/v1/leads/{lead}?fields=email");
    let plain = vault.plain(&tenant);
    plain.post("/v1/tenant/keys/suspend", &json!({})).expect(200);
    let denied = vault.acting(&tenant).get(&path);
    assert_eq!((denied.status, denied.code()), (423, "DENY_KEY_DISABLED"));
    plain.get("/v1/log/entries?from=0").expect(200);
    plain.post("/v1/tenant/keys/resume", &json!({})).expect(200);
    vault.acting(&tenant).get(&path).expect(200);
}

#[test]
fn a_patch_needs_the_version_it_changes() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    let path = format!("/v1/leads/{lead}");
    let caller = vault.acting(&tenant);
    let merge = ("content-type", "application/merge-patch+json");
    let body = || Some(json!({ "fields": { "company": "Other" } }).to_string().into_bytes());
    caller.send(Method::PATCH, &path, &[merge], body()).expect(428);
    let stale = [merge, ("if-match", "\"v7\"")];
    caller.send(Method::PATCH, &path, &stale, body()).expect(412);
    let right = [merge, ("if-match", "\"v1\"")];
    caller.send(Method::PATCH, &path, &right, body()).expect(200);
    let read = caller.get(&format!("{path}?fields=company,email")).expect(200);
    assert_eq!(read.etag.as_deref(), Some("\"v2\""));
    assert_eq!(read.body["fields"], json!({ "company": "Other", "email": "ada@example.com" }));
}

#[test]
fn a_search_finds_every_spelling_and_a_second_lead_of_the_address_is_a_duplicate() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "Ada@Example.com");
    let caller = vault.acting(&tenant);
    for (field, value) in
        [("email", "ADA@EXAMPLE.COM"), ("phone", "+1-415-555-2671"), ("phone", "(415) 555-2671")]
    {
        let body = json!({ "match": { field: value }, "fields": ["email"], "limit": 5 });
        let found = caller.post("/v1/leads/search", &body).expect(200);
        assert_eq!(found.body["data"][0]["id"], lead.as_str(), "{field}");
    }
    let again = json!({ "dataset": tenant.dataset, "fields": { "email": "ada@example.com" } });
    let duplicate = caller.post("/v1/leads", &again);
    assert_eq!((duplicate.status, duplicate.code()), (409, "duplicate"));
}

#[test]
fn what_no_lead_may_hold_is_refused_without_an_echo() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let caller = vault.acting(&tenant);
    for (field, value, code) in
        [("birth_date", "2015-06-01", "minor"), ("company", "4111 1111 1111 1111", "card_number")]
    {
        let body = json!({ "dataset": tenant.dataset,
            "fields": { "email": "kid@example.com", field: value } });
        let refused = caller.post("/v1/leads", &body).expect(422);
        assert_eq!(refused.body["errors"][0]["code"], code);
        assert!(!refused.text.contains(value) && !refused.text.contains("kid@"));
    }
}

#[test]
fn an_erased_lead_is_gone_everywhere_and_its_receipt_verifies() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    let other = vault.lead(&tenant, "grace@example.com");
    let plain = vault.plain(&tenant);
    let path = format!("/v1/leads/{lead}/erase");
    let without = plain.post(&path, &json!({}));
    assert_eq!((without.status, without.code()), (400, "idempotency_key_required"));
    let receipt = plain.try_post(&path, &json!({}), "erase-1").expect("an answer").expect(200);
    assert_eq!(receipt.body["type"], "ErasureReceipt");
    let caller = vault.acting(&tenant);
    caller.get(&format!("/v1/leads/{lead}?fields=email")).expect(404);
    let body = json!({ "match": { "email": "ada@example.com" }, "limit": 5 });
    let found = caller.post("/v1/leads/search", &body).expect(200);
    assert_eq!(found.body["data"], json!([]));
    caller.get(&format!("/v1/leads/{other}?fields=email")).expect(200);
    let file = vault.beside("receipt.json");
    std::fs::write(&file, &receipt.text).expect("receipt");
    let vkey = vault.beside("vkey");
    std::fs::write(&vkey, &tenant.vkey).expect("vkey");
    let verify = |file: &std::path::Path| {
        let (file, vkey) = (file.to_str().expect("utf-8"), vkey.to_str().expect("utf-8"));
        run(&["verify", "receipt", file, "--vkey", vkey])
    };
    let (code, verdict, _) = verify(&file);
    assert_eq!((code, &verdict["ok"]), (Some(0), &json!(true)));
    // The control: one digit of the epoch changed.
    let mut forged = receipt.body.clone();
    forged["epoch"] = json!(forged["epoch"].as_u64().expect("epoch") + 1);
    std::fs::write(&file, forged.to_string()).expect("receipt");
    let (code, verdict, _) = verify(&file);
    assert_eq!((code, &verdict["failure"]), (Some(1), &json!("bad_signature")));
}
