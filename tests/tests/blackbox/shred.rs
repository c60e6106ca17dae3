//! Shreds and undone imports over HTTP: gone at once, removed behind the call, certified once; and SIGKILL at
//! every step between.

use leadvault_tests::kit::{Answer, Caller, Tenant, Vault, attestation, run};
use reqwest::Method;
use serde_json::{Value, json};

/// More rows than one step of a removal takes, and not a multiple of it.
const ROWS: usize = 613;
/// Fail points of a dataset's shred, in order.
const DATASET_STEPS: &[&str] = &[
    "shred.requested",
    "advance.3.decided",
    "advance.5.slot",
    "shred.forgotten",
    "shred.rows_removed",
    "shred.completed",
];
/// Fail points of a tenant's shred, in order.
const TENANT_STEPS: &[&str] =
    &["tenant.closed", "tenant.keys_destroyed", "tenant.rows_removed", "tenant.completed"];
/// Fail points of the undoing of an import, in order.
const UNDO_STEPS: &[&str] = &["undo.forgotten", "undo.rows_removed"];

/// Imports a file of [`ROWS`] leads into the tenant's dataset; the id of the import.
fn import(vault: &Vault, tenant: &Tenant, tag: &str) -> String {
    let caller = vault.acting(tenant);
    let new = json!({
        "dataset": tenant.dataset, "format": "csv",
        "attestation": attestation(),
    });
    let id = caller.post("/v1/imports", &new).expect(201).text_of("id");
    let mut file = String::from("Email,First Name,Last Name\n");
    for n in 0..ROWS {
        file.push_str(&format!("{tag}{n}@example.com,Ada,Lovelace{n}\n"));
    }
    let path = format!("/v1/imports/{id}/content");
    let csv = [("content-type", "text/csv")];
    let done = caller.send(Method::PUT, &path, &csv, Some(file.into_bytes())).expect(200);
    assert_eq!(done.body["rows"]["stored"], ROWS, "{}", done.text);
    id
}

/// The operation that the last entry of a kind names.
fn operation_in_log(caller: &Caller, kind: &str) -> String {
    let log = caller.get("/v1/log/entries?from=0").expect(200).text;
    let wanted = format!("\"{kind}\"");
    let line = log.lines().rfind(|line| line.contains(&wanted)).expect("an entry of the kind");
    let (_, rest) = line.split_once("\"op_").expect("an operation in the entry");
    let (id, _) = rest.split_once('"').expect("the end of the id");
    format!("op_{id}")
}

/// Asserts what a certificate says, and that it verifies with the log's key alone.
fn assert_certified(vault: &Vault, tenant: &Tenant, operation: &Value, rows: usize) {
    assert_eq!(operation["state"], "done", "{operation}");
    let certificate = &operation["result"];
    let stored = &certificate["stores"][0];
    assert_eq!(stored["rows"], rows, "{certificate}");
    assert_eq!(stored["verification"]["result"], "zero", "{certificate}");
    let (requested, completed) =
        (&certificate["log"]["requested"], &certificate["log"]["completed"]);
    assert!(requested["index"].as_u64() < completed["index"].as_u64(), "{certificate}");
    let (file, vkey) = (vault.beside("certificate.json"), vault.beside("vkey"));
    std::fs::write(&file, certificate.to_string()).expect("a file");
    std::fs::write(&vkey, format!("{}\n", tenant.vkey)).expect("a file");
    let verify = || {
        let (file, vkey) = (file.to_str().expect("utf-8"), vkey.to_str().expect("utf-8"));
        run(&["verify", "receipt", file, "--vkey", vkey])
    };
    let (code, verdict, err) = verify();
    assert_eq!((code, &verdict["ok"]), (Some(0), &json!(true)), "{verdict} {err}");
    // The control: one row less.
    let mut forged = certificate.clone();
    forged["stores"][0]["rows"] = json!(rows - 1);
    std::fs::write(&file, forged.to_string()).expect("a file");
    let (code, verdict, _) = verify();
    assert_eq!((code, &verdict["failure"]), (Some(1), &json!("bad_signature")));
}

fn shred_dataset(vault: &Vault, tenant: &Tenant, key: &str) -> reqwest::Result<Answer> {
    let path = format!("/v1/datasets/{}/shred", tenant.dataset);
    vault.plain(tenant).try_post(&path, &json!({ "confirm": tenant.dataset }), key)
}

fn shred_tenant(vault: &Vault, tenant: &Tenant) -> reqwest::Result<Answer> {
    vault.plain(tenant).try_post("/v1/tenant/shred", &json!({ "confirm": tenant.id }), "shred")
}

/// Ids of the first page of leads a caller may see.
fn listed(caller: &Caller) -> Vec<String> {
    let page = caller.get("/v1/leads?limit=200").expect(200).body;
    let data = page["data"].as_array().cloned().unwrap_or_default();
    data.iter().filter_map(|lead| lead["id"].as_str().map(str::to_owned)).collect()
}

#[test]
fn a_shredded_dataset_is_gone_at_once_and_certified_to_its_last_row() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let other = Tenant {
        dataset: vault
            .plain(&tenant)
            .post("/v1/datasets", &json!({ "name": "kept", "default_region": "US" }))
            .expect(201)
            .text_of("id"),
        ..tenant.clone()
    };
    let kept = vault.lead(&other, "grace@example.com");
    import(&vault, &tenant, "ada");
    let before = listed(&vault.acting(&tenant));
    let begun = shred_dataset(&vault, &tenant, "shred-1").expect("an answer").expect(202);
    let operation = begun.text_of("operation");
    assert_eq!(begun.location, Some(format!("/v1/operations/{operation}")));
    let caller = vault.acting(&tenant);
    for lead in before.iter().filter(|lead| **lead != kept) {
        caller.get(&format!("/v1/leads/{lead}?fields=email")).expect(404);
    }
    assert_eq!(listed(&caller), std::slice::from_ref(&kept));
    assert!(!caller.get("/v1/datasets").expect(200).text.contains(&tenant.dataset));
    let done = vault.plain(&tenant).ended(&operation);
    assert_eq!(done["progress"], json!({ "done": ROWS, "total": ROWS }));
    assert_certified(&vault, &tenant, &done, ROWS);
    caller.get(&format!("/v1/leads/{kept}?fields=email")).expect(200);
    shred_dataset(&vault, &tenant, "shred-2").expect("an answer").expect(404);
}

#[test]
fn a_kill_at_any_step_of_a_datasets_shred_is_finished_and_certified_once() {
    let mut vault = Vault::start();
    let first = vault.tenant();
    let alive = vault.lead(&first, "grace@example.com");
    for (n, step) in DATASET_STEPS.iter().enumerate() {
        let new = json!({ "name": "cut", "default_region": "US" });
        let dataset = vault.plain(&first).post("/v1/datasets", &new).expect(201).text_of("id");
        let tenant = Tenant { dataset, ..first.clone() };
        import(&vault, &tenant, &format!("cut{n}x"));
        vault.kill();
        vault.up_with(Some(step)).expect("it starts");
        let _ = shred_dataset(&vault, &tenant, &format!("cut-{n}"));
        vault.wait_dead();
        vault.up();
        let caller = vault.acting(&tenant);
        assert_eq!(listed(&caller), std::slice::from_ref(&alive), "{step}");
        let operation = operation_in_log(&vault.plain(&tenant), "dataset.shred");
        let done = vault.plain(&tenant).ended(&operation);
        assert_certified(&vault, &tenant, &done, ROWS);
        // Another start certifies nothing again.
        vault.kill();
        vault.up();
        let again = vault.plain(&tenant).ended(&operation);
        assert_eq!(again["result"], done["result"], "{step}");
        let read = vault.acting(&tenant).get(&format!("/v1/leads/{alive}?fields=email"));
        assert_eq!(read.expect(200).body["fields"]["email"], "grace@example.com", "{step}");
    }
}

#[test]
fn a_shredded_tenant_keeps_its_log_and_its_certificate_and_nothing_else() {
    let mut vault = Vault::start();
    let (gone, kept) = (vault.tenant(), vault.tenant());
    let alive = vault.lead(&kept, "grace@example.com");
    import(&vault, &gone, "ada");
    let slot = vault.data().join("slots").join(&gone.uuid);
    assert!(slot.exists(), "the control: there is a slot");
    let begun = shred_tenant(&vault, &gone).expect("an answer").expect(202);
    assert_eq!(vault.acting(&gone).get("/v1/leads").status, 423);
    let done = vault.plain(&gone).ended(&begun.text_of("operation"));
    assert_certified(&vault, &gone, &done, ROWS);
    vault.acting(&kept).get(&format!("/v1/leads/{alive}?fields=email")).expect(200);
    vault.kill();
    vault.up();
    let log = vault.plain(&gone).get("/v1/log/entries?from=0").expect(200).text;
    assert!(log.contains("\"tenant.shred\"") && log.contains("\"key.destroy\""));
    let again = vault.plain(&gone).ended(&begun.text_of("operation"));
    assert_eq!(again["result"], done["result"]);
}

#[test]
fn a_kill_at_any_step_of_a_tenants_shred_is_finished_and_certified_once() {
    let mut vault = Vault::start();
    let kept = vault.tenant();
    let alive = vault.lead(&kept, "grace@example.com");
    for step in TENANT_STEPS {
        let gone = vault.tenant();
        import(&vault, &gone, "ada");
        vault.kill();
        vault.up_with(Some(step)).expect("it starts");
        let _ = shred_tenant(&vault, &gone);
        vault.wait_dead();
        vault.up();
        let operation = operation_in_log(&vault.plain(&gone), "tenant.shred");
        let done = vault.plain(&gone).ended(&operation);
        assert_certified(&vault, &gone, &done, ROWS);
        let log = vault.plain(&gone).get("/v1/log/entries?from=0").expect(200).text;
        assert_eq!(log.matches("\"key.destroy\"").count(), 1, "{step}");
        vault.acting(&kept).get(&format!("/v1/leads/{alive}?fields=email")).expect(200);
    }
}

#[test]
fn an_undone_import_is_gone_at_once_and_removed_to_its_last_row() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let alive = vault.lead(&tenant, "grace@example.com");
    let undo = |vault: &Vault, id: &str| {
        let path = format!("/v1/imports/{id}/undo");
        vault.plain(&tenant).try_post(&path, &json!({}), &format!("undo-{id}"))
    };
    let first = import(&vault, &tenant, "ada");
    let begun = undo(&vault, &first).expect("an answer").expect(202);
    assert_eq!(listed(&vault.acting(&tenant)), std::slice::from_ref(&alive));
    let done = vault.plain(&tenant).ended(&begun.text_of("operation"));
    assert_eq!(done["progress"], json!({ "done": ROWS, "total": ROWS }));
    assert_eq!(
        vault.acting(&tenant).get(&format!("/v1/imports/{first}")).text_of("state"),
        "undone"
    );
    for step in UNDO_STEPS {
        // The same people again: nothing of the first file stands in their way.
        let id = import(&vault, &tenant, "ada");
        vault.kill();
        vault.up_with(Some(step)).expect("it starts");
        let _ = undo(&vault, &id);
        vault.wait_dead();
        vault.up();
        assert_eq!(listed(&vault.acting(&tenant)), std::slice::from_ref(&alive), "{step}");
        let operation = operation_in_log(&vault.plain(&tenant), "erase.requested");
        let done = vault.plain(&tenant).ended(&operation);
        assert_eq!(done["state"], "done", "{step}: {done}");
    }
}
