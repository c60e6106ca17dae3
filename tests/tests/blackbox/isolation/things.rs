//! Things of a tenant that calls are made on, fresh for each call.

use leadvault_tests::kit::{Tenant, Vault, attestation, instruction, until};
use reqwest::Method;
use serde_json::{Value, json};

/// The address of every lead made here.
pub(super) const EMAIL: &str = "isolde.of.cornwall@tintagel-example.org";
/// A file of one lead, and of one row that is refused.
pub(super) const CSV: &[u8] = b"Email,First Name,Date of birth\n\
    tristan@lyonesse-example.org,Tristan,\nyoung@lyonesse-example.org,Mabon,2020-01-01\n";

/// What a file holds.
pub(super) const FILE: &[u8] = b"the castle of Tintagel has a door to the sea";

pub(super) fn agreement() -> Value {
    json!({ "id": "dpa-1", "version": "1", "sha256": "0".repeat(64) })
}

pub(super) fn tenant() -> Value {
    json!({
        "name": "Another", "region": "local", "controller_country": "DE",
        "locations": { "store": ["DE"], "access": ["DE", "US"] },
        "agreement": agreement(), "export_recipient": null,
    })
}

/// A dataset of its own.
pub(super) fn dataset(vault: &Vault, tenant: &Tenant) -> String {
    vault.plain(tenant).post("/v1/datasets", &json!({ "name": "own" })).expect(201).text_of("id")
}

/// A lead in the tenant's dataset.
pub(super) fn lead(vault: &Vault, tenant: &Tenant) -> String {
    let body = json!({ "dataset": tenant.dataset, "fields": { "company": "Tintagel" } });
    vault.acting(tenant).post("/v1/leads", &body).expect(201).text_of("id")
}

/// A file of a lead, without its content.
pub(super) fn file(vault: &Vault, tenant: &Tenant) -> String {
    let path = format!("/v1/leads/{}/files", lead(vault, tenant));
    let body = json!({ "name": "castle.txt", "size": FILE.len() });
    vault.acting(tenant).post(&path, &body).expect(201).text_of("id")
}

/// A file that is complete.
pub(super) fn file_stored(vault: &Vault, tenant: &Tenant) -> String {
    let id = file(vault, tenant);
    let path = format!("/v1/files/{id}/content");
    vault.acting(tenant).send(Method::PUT, &path, &[], Some(FILE.to_vec())).expect(200);
    id
}

/// An instruction that is drafted.
pub(super) fn draft(vault: &Vault, tenant: &Tenant) -> String {
    vault.plain(tenant).post("/v1/instructions", &instruction()).expect(201).text_of("id")
}

/// An instruction in force.
pub(super) fn active(vault: &Vault, tenant: &Tenant) -> String {
    let id = draft(vault, tenant);
    let path = format!("/v1/instructions/{id}/activate");
    vault.plain(tenant).post(&path, &json!({ "version": 1 })).expect(200);
    id
}

/// An import that waits for its file.
pub(super) fn import(vault: &Vault, tenant: &Tenant) -> String {
    let attestation = attestation();
    let body = json!({ "dataset": tenant.dataset, "attestation": attestation });
    vault.acting(tenant).post("/v1/imports", &body).expect(201).text_of("id")
}

/// An import that is done.
pub(super) fn import_done(vault: &Vault, tenant: &Tenant) -> String {
    let id = import(vault, tenant);
    let path = format!("/v1/imports/{id}/content");
    vault.acting(tenant).send(Method::PUT, &path, &[], Some(CSV.to_vec())).expect(200);
    id
}

/// The operation of an undo.
pub(super) fn operation(vault: &Vault, tenant: &Tenant) -> String {
    let path = format!("/v1/imports/{}/undo", import_done(vault, tenant));
    let begun = vault.plain(tenant).try_post(&path, &json!({}), &path).expect("an answer");
    begun.expect(202).text_of("operation")
}

/// An export that is ready.
pub(super) fn export(vault: &Vault, tenant: &Tenant) -> String {
    let plain = vault.plain(tenant);
    let body = json!({ "dataset": tenant.dataset, "plain": true });
    let key = lead(vault, tenant);
    let begun = plain.try_post("/v1/exports", &body, &key).expect("an answer").expect(202);
    plain.finished(&begun.text_of("operation"))["id"].as_str().expect("an id").to_owned()
}

/// A notice: of an import that waits for its attestation.
pub(super) fn notice(vault: &Vault, tenant: &Tenant) -> String {
    let body = json!({ "dataset": tenant.dataset });
    vault.acting(tenant).post("/v1/imports", &body).expect(201);
    let listed = vault.plain(tenant).get("/v1/notices?state=new").expect(200);
    listed.body["data"][0]["id"].as_str().expect("a notice").to_owned()
}

/// Waits for a checkpoint; the size of its tree.
pub(super) fn published(vault: &Vault, tenant: &Tenant) -> u64 {
    until("a checkpoint is published", || {
        let checkpoint = vault.plain(tenant).get("/v1/log/checkpoint");
        let size = checkpoint.text.lines().nth(1).and_then(|line| line.parse().ok());
        size.filter(|_| checkpoint.status == 200)
    })
}
