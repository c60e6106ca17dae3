//! Rotation of the key that signs the logs: announced under the old key, both sign for 30 days.

use std::path::Path;

use leadvault_tests::kit::{Vault, run};
use serde_json::json;

use crate::log_kit::{published, verified};

#[test]
fn a_rotated_key_is_announced_in_the_log_and_both_verify_it() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let kept = published(&vault, &tenant);
    let old = vault.lead(&tenant, "ada@example.com");
    published(&vault, &tenant);
    let text = |path: &Path| path.to_str().expect("utf-8").to_owned();
    let config = text(&vault.config());
    let rotate = || run(&["log", "rotate-key", "--config", &config]);
    assert_eq!(rotate().0, Some(2), "not while the service runs");
    vault.kill();
    let (code, report, err) = rotate();
    assert_eq!((code, &report["ok"]), (Some(0), &json!(true)), "{err}");
    let log = vault.data().join("log");
    let lines = |uuid: &str| {
        let note =
            std::fs::read_to_string(log.join(uuid).join("checkpoint")).expect("a checkpoint");
        note.lines().filter(|line| line.starts_with('\u{2014}')).count()
    };
    for uuid in [tenant.uuid.as_str(), "operator"] {
        assert_eq!(lines(uuid), 2, "{uuid}: signed by both before the next start");
    }
    vault.up();
    let entries = vault.plain(&tenant).get("/v1/log/entries?from=0").expect(200).text;
    let key = report["key"].as_str().expect("a key");
    let announced = entries.lines().find(|line| line.contains("\"operation\":\"log.key\""));
    assert!(announced.expect("an entry").contains(key));
    vault.acting(&tenant).get(&format!("/v1/leads/{old}?fields=email")).expect(200);
    let now = published(&vault, &tenant);
    // The old key verifies, and so does each line of the file beside the log, alone.
    assert_eq!(verified(&vault, &tenant, &kept).0, Some(0));
    let beside = std::fs::read_to_string(log.join(&tenant.uuid).join("vkey")).expect("keys");
    let served = vault.plain(&tenant).get("/v1/log/vkey").expect(200).text;
    assert_eq!(served, beside);
    assert_eq!(beside.lines().count(), 2, "{beside}");
    assert_eq!(beside.lines().filter(|line| *line == tenant.vkey).count(), 1);
    let new = beside.lines().find(|line| *line != tenant.vkey).expect("the new one");
    let with_new = leadvault_tests::kit::Tenant { vkey: new.to_owned(), ..tenant.clone() };
    assert_eq!(verified(&vault, &with_new, &now).0, Some(0));
    // What the old key alone signed is not the new one's.
    assert_eq!(verified(&vault, &with_new, &kept).0, Some(1));
    // A receipt of now is signed by the new key.
    let answer = vault.acting(&tenant).get(&format!("/v1/leads/{old}")).expect(200);
    published(&vault, &tenant);
    let receipt = answer.receipt.expect("a receipt");
    assert_eq!(verified(&vault, &with_new, &receipt).0, Some(0));
    // A second rotation leaves the newer two.
    vault.kill();
    assert_eq!(rotate().0, Some(0));
    vault.up();
    let keys = vault.plain(&tenant).get("/v1/log/vkey").expect(200).text;
    assert_eq!((keys.lines().count(), keys.contains(&tenant.vkey)), (2, false), "{keys}");
}
