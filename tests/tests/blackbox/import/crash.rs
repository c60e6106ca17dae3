//! SIGKILL in the middle of an import: every row is stored, merged or refused exactly once, whichever way the
//! client goes on.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use leadvault_tests::kit::{Answer, Tenant, Vault};
use serde_json::json;

use super::kit;

/// Rows of the file: three slices of the engine with the larger ones.
const ROWS: usize = 2_600;
/// One row in so many repeats an address of the file.
const REPEATS: usize = 10;
/// One row in so many has the address of a lead that is there.
const HELD: usize = 7;
/// One row in so many is a person under 18.
const MINORS: usize = 23;
/// Where the process kills itself, in the order of the tries, and whether the client goes on from `next_byte`
/// (true) or sends the whole file again.
const KILLS: &[(&str, bool)] = &[
    ("import.plan_stored", false),
    ("import.slice_ready", false),
    ("import.slice_stored", true),
    ("import.slice_stored", false),
    ("import.slice_ready", true),
    ("import.done", true),
];

/// A file, and what the vault must hold and say once it is in.
struct Case {
    before: String,
    file: String,
    company_of: BTreeMap<String, String>,
    refused: Vec<usize>,
    updated: usize,
    stored: usize,
}

fn case() -> Case {
    let mut case = Case {
        before: "Email,Company\n".to_owned(),
        file: "Email,Company,Date of birth\n".to_owned(),
        company_of: BTreeMap::new(),
        refused: Vec::new(),
        updated: 0,
        stored: 0,
    };
    for n in 0..ROWS / HELD {
        let email = format!("held{n}@example.com");
        writeln!(case.before, "{email},before {n}").expect("a string");
        case.company_of.insert(email, format!("before {n}"));
    }
    let mut last = "p1@example.com".to_owned();
    for n in 1..=ROWS {
        let company = format!("company {n}");
        let (email, born) = match n {
            n if n % MINORS == 0 => (format!("minor{n}@example.com"), "2015-06-01"),
            n if n % HELD == 0 => (format!("held{}@example.com", n / HELD - 1), ""),
            n if n % REPEATS == 0 => (last.clone(), ""),
            n => (format!("p{n}@example.com"), ""),
        };
        writeln!(case.file, "{email},{company},{born}").expect("a string");
        if !born.is_empty() {
            case.refused.push(n);
            continue;
        }
        last.clone_from(&email);
        match case.company_of.insert(email, company) {
            Some(_) => case.updated += 1,
            None => case.stored += 1,
        }
    }
    case
}

fn begin(vault: &Vault, tenant: &Tenant, case: &Case) -> String {
    let before = kit::import(vault, tenant, case.before.as_bytes(), json!({}));
    assert_eq!(before.body["rows"]["stored"], ROWS / HELD);
    let update = json!({ "duplicates": { "by": ["email"], "action": "update" } });
    kit::open_import(vault, tenant, update)
}

/// Counts, failures and every value are what the file says.
fn check(vault: &Vault, tenant: &Tenant, import: &str, case: &Case) {
    let caller = vault.acting(tenant);
    let state = caller.get(&format!("/v1/imports/{import}")).expect(200);
    assert_eq!(state.body["state"], "done", "{}", state.text);
    let rows = json!({ "read": ROWS, "stored": case.stored, "updated": case.updated, "skipped": 0,
        "rejected": case.refused.len() });
    assert_eq!(state.body["rows"], rows);
    assert_eq!(state.body["next_byte"], case.file.len());
    let failures = caller.get(&format!("/v1/imports/{import}/failures")).expect(200).text;
    let mut expected = "row,column,code\r\n".to_owned();
    for n in &case.refused {
        write!(expected, "{n},2,minor\r\n").expect("a string");
    }
    assert_eq!(failures, expected);
    for (email, company) in &case.company_of {
        let body =
            json!({ "match": { "email": email }, "fields": ["email", "company"], "limit": 5 });
        let found = caller.post("/v1/leads/search", &body).expect(200);
        let leads = found.body["data"].as_array().expect("leads");
        assert_eq!(leads.len(), 1, "{email}");
        assert_eq!(leads[0]["fields"], json!({ "email": email, "company": company }));
    }
}

fn put(vault: &Vault, tenant: &Tenant, import: &str, case: &Case, resume: bool) -> Option<Answer> {
    let caller = vault.acting(tenant);
    let (file, total) = (case.file.as_bytes(), case.file.len());
    let state = caller.get(&format!("/v1/imports/{import}")).expect(200);
    let from = state.body["next_byte"].as_u64().expect("next_byte");
    let from = if resume { usize::try_from(from).expect("an offset") } else { 0 };
    let range = format!("bytes {from}-{}/{total}", total - 1);
    let path = format!("/v1/imports/{import}/content");
    kit::try_put(&caller, &path, &file[from..], (from > 0).then_some(range.as_str())).ok()
}

#[test]
fn a_kill_at_any_point_of_an_import_stores_every_row_exactly_once() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let case = case();
    let import = begin(&vault, &tenant, &case);
    for (point, resume) in KILLS {
        vault.kill();
        vault.up_with(Some(point)).expect("it starts");
        let answer = put(&vault, &tenant, &import, &case, *resume);
        assert!(answer.is_none(), "{point}: the server must have died, it answered {answer:?}");
        vault.wait_dead();
        vault.up();
    }
    check(&vault, &tenant, &import, &case);
    // The control: another tenant whose import nobody disturbs comes to the same.
    let other = vault.tenant();
    let import = begin(&vault, &other, &case);
    put(&vault, &other, &import, &case, false).expect("an answer").expect(200);
    check(&vault, &other, &import, &case);
}
