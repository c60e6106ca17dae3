//! An embedded vault that grows up: everything it keeps is in PostgreSQL afterwards, and nothing was opened on the way.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use leadvault_tests::account::Account;
use leadvault_tests::kit::{Stores, Tenant, Vault, attestation, binary, on_postgres, run};
use serde_json::{Value, json};

use crate::log_kit::{published, verified};

/// Leads of the import: more than a page of the copy, so that it has a second one.
const ROWS: usize = 1_200;

fn file() -> String {
    let row = |n| format!("row{n}@example.com,+1415555{n:04},Example {n},a note {n}\n");
    std::iter::once("email,phone,company,remark\n".to_owned()).chain((0..ROWS).map(row)).collect()
}

fn import(vault: &Vault, tenant: &Tenant) {
    let open = json!({ "dataset": tenant.dataset, "attestation": attestation() });
    let import = vault.acting(tenant).post("/v1/imports", &open).expect(201).text_of("id");
    let csv = [("content-type", "text/csv")];
    let path = format!("/v1/imports/{import}/content");
    let put =
        vault.acting(tenant).send(reqwest::Method::PUT, &path, &csv, Some(file().into_bytes()));
    assert_eq!(put.expect(200).body["rows"]["stored"], json!(ROWS));
}

fn found(vault: &Vault, tenant: &Tenant, what: &Value) -> usize {
    let search = json!({ "match": what, "fields": ["email"] });
    let found = vault.acting(tenant).post("/v1/leads/search", &search).expect(200);
    found.body["data"].as_array().map_or(0, Vec::len)
}

#[test]
fn an_embedded_vault_moves_into_postgres_with_everything_it_keeps() {
    if !on_postgres() {
        return;
    }
    let mut vault = Vault::init_on_files();
    vault.up();
    let (tenant, other) = (vault.tenant(), vault.tenant());
    let mut account = Account::of(&tenant);
    let lead = account.lead(&vault, "ada@example.com");
    let dead = account.lead(&vault, "grace@example.com");
    let noted = vault.lead(&tenant, "hopper@example.com");
    import(&vault, &tenant);
    let theirs = vault.lead(&other, "ada@example.com");
    let erase = format!("/v1/leads/{dead}/erase");
    vault.plain(&tenant).try_post(&erase, &json!({}), "e1").expect("an answer").expect(200);
    account.erased(&dead);
    let kept = published(&vault, &tenant);

    let stores = Stores::databases();
    let config = vault.config().display().to_string();
    let urls = stores.init_arguments(&vault.beside(""));
    let mut args = vec!["move-store".to_owned(), "--config".to_owned(), config];
    args.extend(urls);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (code, _, said) = run(&args);
    assert_eq!(code, Some(2), "while the service runs: {said}");
    vault.kill();
    // Cut off in the middle of it; the second run goes on.
    let mut begun = Command::new(binary());
    begun.args(&args).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut begun = begun.spawn().expect("it runs");
    let mut lines = BufReader::new(begun.stderr.take().expect("its lines")).lines();
    let in_the_middle =
        lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("of lead copied")));
    begun.kill().expect("it is killed");
    begun.wait().expect("it ends");
    assert!(in_the_middle.is_some(), "control: it had come to the leads");
    let (code, moved, said) = run(&args);
    assert_eq!(
        (code, &moved["ok"], &moved["tenants"]),
        (Some(0), &json!(true), &json!(2)),
        "{said}"
    );
    assert!(moved["rows"].as_u64() > Some(ROWS as u64), "{moved}");
    assert_eq!(run(&args).0, Some(2), "it is there already");
    for name in ["data.db", "keys.db"] {
        assert!(!vault.data().join(name).exists(), "{name} is set aside");
    }

    vault.up();
    account.assert_kept(&vault, "after the move");
    let (code, verdict) = verified(&vault, &tenant, &kept);
    assert_eq!((code, &verdict["ok"]), (Some(0), &json!(true)), "{verdict}");
    let read = vault.acting(&tenant).get(&format!("/v1/leads/{noted}")).expect(200);
    assert_eq!(read.body["notes"].as_array().map(Vec::len), Some(1), "{}", read.text);
    assert_eq!(found(&vault, &tenant, &json!({ "email": "row7@example.com" })), 1);
    assert_eq!(found(&vault, &tenant, &json!({ "phone": "+14155550007" })), 1);
    assert_eq!(found(&vault, &tenant, &json!({ "email": "grace@example.com" })), 0);
    let again = json!({ "dataset": tenant.dataset, "fields": { "email": "row7@example.com" } });
    assert_eq!(vault.acting(&tenant).post("/v1/leads", &again).status, 409, "it is taken");
    let suppressed =
        json!({ "dataset": tenant.dataset, "fields": { "email": "grace@example.com" } });
    vault.acting(&tenant).post("/v1/leads", &suppressed).expect(422);
    let read = vault.acting(&other).get(&format!("/v1/leads/{theirs}?fields=email")).expect(200);
    assert_eq!(read.body["fields"]["email"], "ada@example.com");
    vault.acting(&other).get(&format!("/v1/leads/{lead}?fields=email")).expect(404);
    // It goes on: new leads take leaves that nothing had before.
    let fresh = account.lead(&vault, "joan@example.com");
    assert_ne!(fresh, lead);
    account.assert_kept(&vault, "and on");

    // Without its databases in the configuration it does not take an empty store for its own.
    vault.kill();
    let text = std::fs::read_to_string(vault.config()).expect("configuration");
    let before = text.split("[postgres]").next().expect("the rest").to_owned();
    std::fs::write(vault.config(), before).expect("configuration");
    let (code, said) = vault.up_with(None).expect_err("it must not start");
    assert_eq!(code, Some(3), "{said}");
}
