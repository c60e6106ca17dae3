//! SIGKILL while an export is made: the next start goes on where it was, and what is verified holds.

use leadvault_tests::kit::Vault;
use leadvault_tests::package::{self, Package};
use serde_json::{Value, json};

/// Every fail point on the way of one export, in order, and how often the first dataset's leads are opened for a
/// part with a kill there.
const STEPS: &[(&str, usize)] =
    &[("export.page", 2), ("export.part", 1), ("export.assembled", 1), ("export.ready", 1)];

/// Entries under which leads of a dataset were opened for an export.
fn pages(entries: &[Value], export: &str, dataset: &str) -> usize {
    let of = |entry: &&Value| {
        let resource = &entry["resource"];
        entry["operation"] == "export"
            && resource["id"] == export
            && resource["dataset"] == dataset
            && resource["refs_sha256"].is_string()
    };
    entries.iter().filter(of).count()
}

#[test]
fn a_kill_at_any_step_of_an_export_goes_on_at_the_next_part() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let second = json!({ "name": "second", "default_region": "US", "origin": ["US-CA"] });
    let second = vault.plain(&tenant).post("/v1/datasets", &second).expect(201).text_of("id");
    let mut leads = vec![vault.lead(&tenant, "ada@example.com")];
    for n in 0..3 {
        let lead = json!({ "dataset": second, "fields": { "email": format!("p{n}@example.com") } });
        leads.push(vault.acting(&tenant).post("/v1/leads", &lead).expect(201).text_of("id"));
    }
    leads.sort();
    for (step, opened) in STEPS {
        vault.kill();
        vault.up_with(Some(step)).expect("it starts");
        // The answer may come before the kill or not; the same request tells after the start.
        let body = json!({ "plain": true });
        let _ = vault.plain(&tenant).try_post("/v1/exports", &body, step);
        vault.wait_dead();
        vault.up();
        let caller = vault.plain(&tenant);
        let operation = package::start(&caller, true, step);
        let made = caller.finished(&operation);
        let id = made["id"].as_str().expect("an id");
        let bytes = package::download(&caller, id);
        let mut found: Vec<String> = Package::open(&bytes)
            .leads()
            .iter()
            .map(|lead| lead["id"].as_str().expect("an id").to_owned())
            .collect();
        found.sort();
        assert_eq!(found, leads, "{step}");
        let (code, verdict) = package::verify(&vault, &tenant, &bytes);
        assert_eq!((code, &verdict["ok"]), (Some(0), &json!(true)), "{step}: {verdict}");
        let entries = package::entries(&caller);
        assert_eq!(pages(&entries, id, &tenant.dataset), *opened, "{step}");
        assert_eq!(pages(&entries, id, &second), 1, "{step}");
        let ready =
            |entry: &&Value| entry["operation"] == "export.ready" && entry["resource"]["id"] == id;
        assert_eq!(entries.iter().filter(ready).count(), 1, "{step}");
    }
    // The finished files and nothing else.
    let files = vault.objects_dir().join(&tenant.uuid);
    assert_eq!(std::fs::read_dir(files).expect("files").count(), STEPS.len());
}
