//! What lies in a package: every file of the format, and what each of them says.

use std::collections::BTreeMap;

use leadvault_tests::kit::Vault;
use leadvault_tests::package::{self, Package};
use serde_json::{Value, json};

#[test]
fn a_package_holds_leads_notes_tags_instructions_schema_log_and_what_proves_them() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let lead = json!({
        "dataset": tenant.dataset, "external_id": "A-1", "tags": ["vip", "trade fair"],
        "fields": { "email": "ada@example.com", "first_name": "Ada" },
        "notes": [{ "text": "met at the fair\nwants \"samples\"" }],
    });
    let id = vault.acting(&tenant).post("/v1/leads", &lead).expect(201).text_of("id");
    let caller = vault.plain(&tenant);
    let export = package::export(&caller, true, "one");
    let package = Package::open(&package::download(&caller, &export));
    assert_eq!(package.root, export);

    let leads = package.leads();
    assert_eq!(leads.len(), 1);
    let line = &leads[0];
    assert_eq!((&line["id"], &line["external_id"]), (&json!(id), &json!("A-1")));
    assert_eq!(line["tags"], json!(["vip", "trade fair"]));
    assert_eq!(line["notes"][0]["text"], "met at the fair\nwants \"samples\"");
    assert_eq!(line["fields"], json!({ "email": "ada@example.com", "first_name": "Ada" }));
    let schema = package.json("data/schema.json");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    assert!(validator.is_valid(line), "{line}");
    let mut other = line.clone();
    other["fields"]["email"] = json!(7);
    assert!(!validator.is_valid(&other), "the control");

    let register: Vec<Value> = package
        .text("data/instructions.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("an instruction"))
        .collect();
    assert!(register.iter().any(|i| i["id"] == tenant.instruction.as_str()), "{register:?}");

    let info: BTreeMap<&str, &str> =
        package.text("bag-info.txt").lines().filter_map(|line| line.split_once(": ")).collect();
    assert_eq!(info["External-Identifier"], export);
    assert_eq!(info["Leadvault-Tenant"], tenant.id);
    assert_eq!(info["Leadvault-Recipient"], "none (plain)");
    assert_eq!(info["Leadvault-Leads"], "1");
    assert!(info["Leadvault-Instruction"].starts_with("ins_"));
    let index: u64 = info["Leadvault-Log-Index"].parse().expect("an index");
    let entries = package::entries(&caller);
    let begun = &entries[usize::try_from(index).expect("an index")];
    assert_eq!(
        (&begun["operation"], &begun["resource"]["plain"]),
        (&json!("export"), &json!(true))
    );
    assert_eq!(package.json("data/datapackage.json")["leadvault"]["log_index"], index);

    // The log inside ends before the entry that says that the package is ready.
    let ready = entries.iter().position(|entry| entry["operation"] == "export.ready");
    let checkpoint = package.text("data/log/checkpoint");
    let size: usize = checkpoint.lines().nth(1).expect("a size").parse().expect("a number");
    assert!(index < size as u64 && size <= ready.expect("it is in the log"));
    assert_eq!(package.text("log.vkey").trim(), tenant.vkey.trim());
    assert!(package.text("access.tlog-proof").contains(checkpoint.lines().next().expect("origin")));
}

#[test]
fn an_export_of_one_dataset_holds_its_leads_alone_and_verifies() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let caller = vault.plain(&tenant);
    let second =
        caller.post("/v1/datasets", &json!({ "name": "second" })).expect(201).text_of("id");
    vault.lead(&tenant, "ada@example.com");
    let lead = json!({ "dataset": second, "fields": { "email": "grace@example.com" } });
    let lead = vault.acting(&tenant).post("/v1/leads", &lead).expect(201).text_of("id");
    let body = json!({ "dataset": second, "plain": true });
    let begun = caller.try_post("/v1/exports", &body, "second").expect("an answer").expect(202);
    let state = caller.ended(&begun.text_of("operation"));
    let id = state["result"]["id"].as_str().expect("an id");
    let bytes = package::download(&caller, id);
    let leads = Package::open(&bytes).leads();
    assert_eq!(leads.len(), 1);
    assert_eq!(leads[0]["id"], lead.as_str());
    let (code, verdict) = package::verify(&vault, &tenant, &bytes);
    assert_eq!((code, &verdict["ok"]), (Some(0), &json!(true)), "{verdict}");
}
