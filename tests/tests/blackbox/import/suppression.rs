//! An erased person does not come back: not with a file, not through the API. The tag that remembers
//! them survives a restart and a crash in the middle of the erasure.

use leadvault_tests::kit::{Tenant, Vault};
use serde_json::{Value, json};

use super::kit;

const FILE: &str = "First Name,Email,Phone\n\
                    Ada,Ada@Example.com,\n\
                    Grace,grace@example.com,\n\
                    Phone,,+14155552673\n\
                    Link,mailto:ada@example.com,\n";

fn lead(vault: &Vault, tenant: &Tenant, fields: Value) -> leadvault_tests::kit::Answer {
    let body = json!({ "dataset": tenant.dataset, "fields": fields });
    vault.acting(tenant).post("/v1/leads", &body)
}

fn erase(vault: &Vault, tenant: &Tenant, lead: &str) {
    let path = format!("/v1/leads/{lead}/erase");
    let erased = vault.plain(tenant).try_post(&path, &json!({}), lead).expect("an answer");
    assert!(matches!(erased.status, 200 | 202), "{}", erased.text);
}

#[test]
fn an_erased_lead_is_rejected_by_an_import_and_others_of_the_file_come_in() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let by_mail =
        lead(&vault, &tenant, json!({ "email": "ada@example.com", "phone": "+14155552671" }));
    let by_phone = lead(&vault, &tenant, json!({ "phone": "(415) 555-2673" }));
    erase(&vault, &tenant, &by_mail.expect(201).text_of("id"));
    erase(&vault, &tenant, &by_phone.expect(201).text_of("id"));
    vault.kill();
    vault.up();
    let import = kit::import(&vault, &tenant, FILE.as_bytes(), json!({}));
    assert_eq!(import.body["rows"]["rejected"], 3, "{}", import.text);
    assert_eq!(import.body["rows"]["stored"], 1);
    let path = format!("/v1/imports/{}/failures", import.text_of("id"));
    let failures = vault.acting(&tenant).get(&path).expect(200).text;
    assert_eq!(failures, "row,column,code\r\n1,,suppressed\r\n3,,suppressed\r\n4,,suppressed\r\n");
    // The control: the same file, where nobody was erased.
    let other = vault.tenant();
    let import = kit::import(&vault, &other, FILE.as_bytes(), json!({}));
    assert_eq!(import.body["rows"]["stored"], 4, "{}", import.text);
}

#[test]
fn an_erased_lead_is_refused_by_the_api_under_any_spelling() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let made =
        lead(&vault, &tenant, json!({ "email": "ada@example.com", "phone": "+14155552671" }));
    erase(&vault, &tenant, &made.expect(201).text_of("id"));
    for address in [
        "ada@example.com",
        "ADA@Example.COM ",
        "mailto:ada@example.com",
        "Ada <ada@example.com>",
        "\"ada\"@example.com",
        "\u{ff41}da\u{ff20}example.com",
        "ada@example.com\u{0}",
        "grace@example.com; ada@example.com",
    ] {
        let refused = lead(&vault, &tenant, json!({ "email": address })).expect(422);
        assert_eq!(refused.body["errors"][0]["code"], "suppressed");
        assert_eq!(refused.body["errors"][0]["pointer"], "#/fields/email");
        assert!(!refused.text.to_lowercase().contains("ada@"));
    }
    // A number that people share stops nobody who has an address; one alone is stopped.
    lead(&vault, &tenant, json!({ "email": "bob@example.com", "phone": "+14155552671" }))
        .expect(201);
    lead(&vault, &tenant, json!({ "phone": "+1 415 555 2671" })).expect(422);
    // The control: another tenant never heard of the erasure.
    let other = vault.tenant();
    lead(&vault, &other, json!({ "email": "ada@example.com" })).expect(201);
}

#[test]
fn a_kill_in_the_middle_of_an_erasure_loses_no_tag() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let made =
        lead(&vault, &tenant, json!({ "email": "ada@example.com" })).expect(201).text_of("id");
    vault.kill();
    vault.up_with(Some("erase.requested")).expect("it starts");
    let path = format!("/v1/leads/{made}/erase");
    let cut = vault.plain(&tenant).try_post(&path, &json!({}), "cut");
    assert!(cut.is_err(), "the server must have died");
    vault.wait_dead();
    vault.up();
    let refused = lead(&vault, &tenant, json!({ "email": "ada@example.com" })).expect(422);
    assert_eq!(refused.body["errors"][0]["code"], "suppressed");
}

#[test]
fn what_is_shredded_with_its_dataset_may_be_imported_again() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    lead(&vault, &tenant, json!({ "email": "ada@example.com" })).expect(201);
    let path = format!("/v1/datasets/{}/shred", tenant.dataset);
    let body = json!({ "confirm": tenant.dataset });
    vault.plain(&tenant).try_post(&path, &body, "shred").expect("an answer").expect(202);
    let dataset = json!({ "name": "again", "default_region": "US", "origin": ["US-CA"] });
    let dataset = vault.plain(&tenant).post("/v1/datasets", &dataset).expect(201).text_of("id");
    let tenant = Tenant { dataset, ..tenant };
    lead(&vault, &tenant, json!({ "email": "ada@example.com" })).expect(201);
}
