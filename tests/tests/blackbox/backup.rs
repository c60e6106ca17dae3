//! Old copies put back: erased stays erased, and what cannot be told apart refuses to start.

use leadvault_tests::kit::{Vault, copy_database, copy_dir};
use serde_json::json;

fn erase(vault: &Vault, tenant: &leadvault_tests::kit::Tenant, lead: &str, key: &str) {
    let path = format!("/v1/leads/{lead}/erase");
    vault.plain(tenant).try_post(&path, &json!({}), key).expect("an answer").expect(200);
}

#[test]
fn an_old_data_database_brings_nothing_erased_back() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let dead = vault.lead(&tenant, "ada@example.com");
    let alive = vault.lead(&tenant, "grace@example.com");
    vault.kill();
    copy_database(&vault.data().join("data.db"), &vault.beside("old.db"));
    vault.up();
    erase(&vault, &tenant, &dead, "e1");
    let before = vault.plain(&tenant).get("/v1/log/checkpoint").expect(200).text;
    vault.kill();
    copy_database(&vault.beside("old.db"), &vault.data().join("data.db"));
    vault.up();
    let caller = vault.acting(&tenant);
    caller.get(&format!("/v1/leads/{dead}?fields=email")).expect(404);
    let read = caller.get(&format!("/v1/leads/{alive}?fields=email")).expect(200);
    assert_eq!(read.body["fields"]["email"], "grace@example.com");
    // The log was brought up from its files: the checkpoint of before still verifies.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let kept = vault.beside("checkpoint");
    std::fs::write(&kept, before).expect("kept");
    let vkey = vault.beside("vkey");
    std::fs::write(&vkey, &tenant.vkey).expect("vkey");
    let log = vault.data().join("log").join(&tenant.uuid);
    let text = |p: &std::path::Path| p.to_str().expect("utf-8").to_owned();
    let (code, verdict, _) = leadvault_tests::kit::run(&[
        "verify",
        "log",
        &text(&log),
        "--vkey",
        &text(&vkey),
        "--since",
        &text(&kept),
    ]);
    assert_eq!((code, &verdict["ok"]), (Some(0), &json!(true)), "{verdict}");
}

#[test]
fn old_data_and_key_databases_beside_current_slots_refuse_to_start() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    vault.kill();
    for name in ["data.db", "keys.db"] {
        copy_database(&vault.data().join(name), &vault.beside(name));
    }
    vault.up();
    erase(&vault, &tenant, &lead, "e1");
    vault.kill();
    for name in ["data.db", "keys.db"] {
        copy_database(&vault.beside(name), &vault.data().join(name));
    }
    let (code, said) = vault.up_with(None).expect_err("it must not start");
    assert_eq!(code, Some(3));
    assert!(said.contains("key_store_behind_slot"), "{said}");
}

#[test]
fn old_slots_refuse_to_start() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    vault.kill();
    copy_dir(&vault.data().join("slots"), &vault.beside("slots"));
    vault.up();
    erase(&vault, &tenant, &lead, "e1");
    vault.kill();
    copy_dir(&vault.beside("slots"), &vault.data().join("slots"));
    let (code, said) = vault.up_with(None).expect_err("it must not start");
    assert_eq!(code, Some(3));
    assert!(said.contains("slot_behind_log"), "{said}");
}

#[test]
fn a_root_key_that_others_may_read_refuses_to_start() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut vault = Vault::init();
    let wide = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(vault.data().join("root.key"), wide).expect("mode");
    let (code, said) = vault.up_with(None).expect_err("it must not start");
    assert_eq!(code, Some(3));
    assert!(said.contains("root_key_mode"), "{said}");
}
