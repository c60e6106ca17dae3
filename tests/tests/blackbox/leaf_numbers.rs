//! A key store that is older than the rows issues no leaf again (protocols.md 1.4): neither rebuilt from a
//! mirror, nor put back from a copy of the same epoch. A leaf that two things share dies with the first.

use leadvault_tests::kit::{Tenant, Vault, instruction, run};
use serde_json::json;

/// An export that is spoilt afterwards: its leaves are punctured.
fn spoilt_export(vault: &Vault, tenant: &Tenant) {
    let lead = vault.lead(tenant, "in.the.export@example.com");
    let plain = vault.plain(tenant);
    let body = json!({ "dataset": null, "plain": true });
    let begun = plain.try_post("/v1/exports", &body, "x").expect("an answer").expect(202);
    let place = begun.location.expect("an operation");
    plain.finished(&place);
    let path = format!("/v1/leads/{lead}/erase");
    plain.try_post(&path, &json!({}), "e").expect("an answer").expect(200);
}

/// A second instruction, in force; its leaf and those of its neighbours are above any count of before.
fn second_instruction(vault: &Vault, tenant: &Tenant) -> String {
    let plain = vault.plain(tenant);
    let id = plain.post("/v1/instructions", &instruction()).expect(201).text_of("id");
    plain.post(&format!("/v1/instructions/{id}/activate"), &json!({ "version": 1 })).expect(200);
    id
}

/// What was sealed before opens, from disk, after things of now were sealed and destroyed.
fn assert_nothing_died(vault: &mut Vault, tenant: &Tenant, second: &str, lead: &str) {
    spoilt_export(vault, tenant);
    for n in 0..3 {
        vault.lead(tenant, &format!("after{n}@example.com"));
    }
    vault.kill();
    vault.up();
    let caller = vault.plain(tenant).under(second, "crm_operations");
    let read = caller.get(&format!("/v1/leads/{lead}?fields=email")).expect(200);
    assert_eq!(read.body["fields"]["email"], "grace@example.com");
    let shown = vault.plain(tenant).get(&format!("/v1/instructions/{second}")).expect(200);
    assert_eq!(shown.body["status"], "active");
}

#[test]
fn a_key_store_rebuilt_from_an_older_mirror_issues_no_leaf_again() {
    let mut vault = Vault::mirrored();
    let tenant = vault.tenant();
    // The last set of the mirror is of this erasure …
    let first = vault.lead(&tenant, "ada@example.com");
    let path = format!("/v1/leads/{first}/erase");
    vault.plain(&tenant).try_post(&path, &json!({}), "e1").expect("an answer").expect(200);
    // … and a start takes fresh blocks of leaves, which it does not know of.
    vault.kill();
    vault.up();
    let lead = vault.lead(&tenant, "grace@example.com");
    let second = second_instruction(&vault, &tenant);
    vault.kill();
    vault.lose_keys();
    let mirror = vault.beside("mirror").display().to_string();
    let config = vault.config().display().to_string();
    let (code, _, said) = run(&["keys", "restore", "--mirror", &mirror, "--config", &config]);
    assert_eq!(code, Some(0), "{said}");
    vault.up();
    assert_nothing_died(&mut vault, &tenant, &second, &lead);
}

#[test]
fn a_copy_of_the_key_store_of_the_same_epoch_issues_no_leaf_again() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    vault.kill();
    vault.keep(&["keys.db"], "copy");
    vault.up();
    let lead = vault.lead(&tenant, "grace@example.com");
    let second = second_instruction(&vault, &tenant);
    vault.kill();
    vault.put_back(&["keys.db"], "copy");
    vault.up();
    assert_nothing_died(&mut vault, &tenant, &second, &lead);
}
