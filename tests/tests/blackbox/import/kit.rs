//! Imports of a vault under test.

use leadvault_tests::kit::{Answer, Caller, Tenant, Vault, attestation};
use reqwest::Method;
use serde_json::{Value, json};

/// Opens an import with an attestation; `more` adds members or replaces them. Its id.
pub(super) fn open_import(vault: &Vault, tenant: &Tenant, more: Value) -> String {
    let mut body = json!({ "dataset": tenant.dataset, "attestation": attestation() });
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    vault.acting(tenant).post("/v1/imports", &body).expect(201).text_of("id")
}

/// Imports a file as [`open_import`] opens it; the import when it is done.
pub(super) fn import(vault: &Vault, tenant: &Tenant, file: &[u8], more: Value) -> Answer {
    let id = open_import(vault, tenant, more);
    put(&vault.acting(tenant), &format!("/v1/imports/{id}/content"), file, None).expect(200)
}

/// PUT of bytes; `range` is a `Content-Range`.
pub(super) fn put(caller: &Caller, path: &str, bytes: &[u8], range: Option<&str>) -> Answer {
    try_put(caller, path, bytes, range).expect("the server answers")
}

/// As [`put`], of a server that may die.
///
/// # Errors
/// When the connection breaks.
pub(super) fn try_put(
    caller: &Caller,
    path: &str,
    bytes: &[u8],
    range: Option<&str>,
) -> reqwest::Result<Answer> {
    let headers: Vec<(&str, &str)> = range.map(|r| ("content-range", r)).into_iter().collect();
    caller.try_send(Method::PUT, path, &headers, Some(bytes.to_vec()))
}
