//! The demo: every step holds on a real file, and a step that is broken is seen.

use leadvault_tests::kit::{Vault, run};
use serde_json::json;

#[test]
fn the_demo_shows_every_promise_and_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path().join("demo");
    let (code, report, err) = run(&["demo", "--once", "--dir", dir.to_str().expect("utf-8")]);
    assert_eq!((code, &report["ok"]), (Some(0), &json!(true)), "{err}");
    assert!(report["steps"].as_array().is_some_and(|s| s.len() >= 12));
    for member in ["log_dir", "vkey_file", "export_file"] {
        assert!(std::path::Path::new(report[member].as_str().expect(member)).exists(), "{member}");
    }
}

#[test]
fn a_demo_whose_file_cannot_be_imported_ends_with_1() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("no-header.csv");
    std::fs::write(&file, "ada@example.com,+14155552671\n").expect("a file");
    let demo = dir.path().join("demo");
    let (code, report, _) = run(&[
        "demo",
        "--once",
        "--dir",
        demo.to_str().expect("utf-8"),
        "--file",
        file.to_str().expect("utf-8"),
    ]);
    assert_eq!((code, &report["ok"]), (Some(1), &json!(false)));
    let steps = report["steps"].as_array().expect("steps");
    assert_eq!(steps.last().expect("a step")["name"], "import");
}

#[test]
fn an_import_keeps_every_cell_and_lists_what_it_refuses_without_a_value() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let caller = vault.acting(&tenant);
    let file = "First Name,Email,Phone,Date of birth,Shoe size\r\n\
                Ada,ada@example.com,(415) 555-2671,1980-01-02,\"=38, or so\"\r\n\
                Kid,kid@example.com,,2015-06-01,30\r\n\
                Grace,grace@example.com,,1975-03-04,\r\n";
    let open = json!({ "dataset": tenant.dataset, "attestation": { "source": "fair",
        "legal_basis": "consent", "notice": { "given": true, "at": "2026-10-01" },
        "jurisdictions": ["US-CA"], "no_minors": true, "no_special_category": true } });
    let import = caller.post("/v1/imports", &open).expect(201).text_of("id");
    let put = reqwest::Method::PUT;
    let path = format!("/v1/imports/{import}/content");
    let done = caller.send(put, &path, &[], Some(file.as_bytes().to_vec())).expect(200);
    assert_eq!(done.body["state"], "done");
    assert_eq!(
        done.body["rows"],
        json!({ "read": 3, "stored": 2, "updated": 0, "skipped": 0, "rejected": 1 })
    );
    let failures = caller.get(&format!("/v1/imports/{import}/failures")).expect(200).text;
    assert_eq!(failures, "row,column,code\r\n2,3,minor\r\n");
    let body = json!({ "match": { "email": "ada@example.com" }, "limit": 1 });
    let found = caller.post("/v1/leads/search", &body).expect(200);
    let lead = found.body["data"][0]["id"].as_str().expect("a lead").to_owned();
    let cells = caller.get(&format!("/v1/leads/{lead}?fields=original")).expect(200);
    assert_eq!(
        cells.body["original"],
        json!([
            ["First Name", "Ada"],
            ["Email", "ada@example.com"],
            ["Phone", "(415) 555-2671"],
            ["Date of birth", "1980-01-02"],
            ["Shoe size", "=38, or so"]
        ])
    );
}
