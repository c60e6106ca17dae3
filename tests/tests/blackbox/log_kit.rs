//! What tests of logs and of copies share: the published log.

use std::path::Path;

use leadvault_tests::kit::{Tenant, Vault, run, until};
use serde_json::Value;

/// What `verify log --since` says of a tenant's log and a checkpoint kept from before.
pub(crate) fn verified(vault: &Vault, tenant: &Tenant, kept: &str) -> (Option<i32>, Value) {
    let (since, vkey) = (vault.beside("since"), vault.beside("vkey"));
    std::fs::write(&since, kept).expect("kept");
    std::fs::write(&vkey, &tenant.vkey).expect("vkey");
    let log = vault.data().join("log").join(&tenant.uuid);
    let text = |p: &Path| p.to_str().expect("utf-8").to_owned();
    let (log, vkey, since) = (text(&log), text(&vkey), text(&since));
    let (code, verdict, _) = run(&["verify", "log", &log, "--vkey", &vkey, "--since", &since]);
    (code, verdict)
}

/// Waits until a checkpoint covers everything in the tenant's log; that checkpoint.
pub(crate) fn published(vault: &Vault, tenant: &Tenant) -> String {
    let caller = vault.plain(tenant);
    let size = caller.get("/v1/log/entries?from=0").expect(200).text.lines().count();
    until("a checkpoint covers the log", || {
        // Before the first checkpoint there is none to get.
        let answer = caller.get("/v1/log/checkpoint");
        let covers = answer.text.lines().nth(1).and_then(|n| n.parse::<usize>().ok());
        (answer.status == 200 && covers.is_some_and(|n| n >= size)).then_some(answer.text)
    })
}
