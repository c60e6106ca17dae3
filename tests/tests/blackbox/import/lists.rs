//! Whole lists over HTTP: every row in, every cell back.

use std::collections::BTreeMap;
use std::path::PathBuf;

use leadvault_tests::corpus;
use leadvault_tests::kit::Vault;
use leadvault_tests::package::{self, Package};
use serde_json::{Value, json};

use super::kit;

/// Rows of the generated list, where there is no sample.
const GENERATED: usize = 2_000;

/// Bytes and rows of the list: the sample where `LEADVAULT_SAMPLES` names its directory.
fn list() -> (Vec<u8>, usize) {
    match std::env::var_os("LEADVAULT_SAMPLES") {
        Some(directory) => {
            let path = PathBuf::from(directory).join("leads-10000.csv");
            (std::fs::read(path).expect("the sample"), 10_000)
        }
        None => (corpus::leads(GENERATED, 11).into_bytes(), GENERATED),
    }
}

/// Cells of a line as they came.
fn cells(line: &Value) -> Vec<String> {
    let pairs = line["original"].as_array().expect("cells");
    pairs.iter().map(|pair| pair[1].as_str().expect("a cell").to_owned()).collect()
}

#[test]
fn every_row_of_a_list_comes_in_and_every_cell_comes_back() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let (file, count) = list();
    let import = kit::import(&vault, &tenant, &file, json!({}));
    let counted =
        json!({ "read": count, "stored": count, "updated": 0, "skipped": 0, "rejected": 0 });
    assert_eq!(import.body["rows"], counted);
    let mapping = import.body["mapping"].as_array().expect("a mapping");
    let field_of = |header: &str| {
        let column = mapping.iter().find(|column| column["column"] == header);
        column.expect("a column")["field"].clone()
    };
    let expected = [
        ("Account Id", "external_id"),
        ("Lead Owner", "owner"),
        ("First Name", "first_name"),
        ("Last Name", "last_name"),
        ("Phone 1", "phone"),
        ("Phone 2", "phone_2"),
        ("Email 1", "email"),
        ("Email 2", "email_2"),
        ("Deal Stage", "stage"),
    ];
    for (header, field) in expected {
        assert_eq!(field_of(header), field, "{header}");
    }
    assert_eq!(field_of("Index"), Value::Null);
    let written = package::read_csv(std::str::from_utf8(&file).expect("text"));
    let caller = vault.plain(&tenant);
    let bytes = package::download(&caller, &package::export(&caller, true, "all"));
    let lines = Package::open(&bytes).leads();
    assert_eq!(lines.len(), count);
    let by_row: BTreeMap<u64, &Value> =
        lines.iter().map(|line| (line["row"].as_u64().expect("a row"), line)).collect();
    for (number, row) in (1_u64..).zip(&written[1..]) {
        assert_eq!(&cells(by_row[&number]), row, "row {number}");
    }
}
