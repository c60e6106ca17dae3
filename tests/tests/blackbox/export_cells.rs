//! Every cell of a list of ten thousand leads goes in over HTTP and comes back in a package: byte for byte in
//! JSON lines, after taking away the guard in CSV.

use std::path::PathBuf;

use leadvault_tests::corpus;
use leadvault_tests::kit::{Tenant, Vault};
use leadvault_tests::package::{self, Package, read_csv};
use serde_json::{Value, json};

/// What a spreadsheet may take for a formula, and the guard itself.
const GUARDED: [char; 8] = ['=', '+', '-', '@', '\t', '\r', '\n', '\''];

/// A file of the sample directory, where `LEADVAULT_SAMPLES` names one.
fn sample(name: &str) -> Option<Vec<u8>> {
    let directory = PathBuf::from(std::env::var_os("LEADVAULT_SAMPLES")?);
    std::fs::read(directory.join(name)).ok()
}

fn csv(rows: &[Vec<String>]) -> Vec<u8> {
    let quoted = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
    let line = |row: &Vec<String>| row.iter().map(quoted).collect::<Vec<_>>().join(",") + "\r\n";
    rows.iter().map(line).collect::<String>().into_bytes()
}

/// Ten thousand leads in the layout of the sample; every fourth has a cell that needs the guard.
fn generated_leads() -> Vec<u8> {
    let mut rows = vec![corpus::LEAD_HEADERS.map(str::to_owned).to_vec()];
    rows.extend(corpus::lead_rows(10_000, 11));
    for (n, row) in rows.iter_mut().enumerate().skip(1).step_by(4) {
        let sign = GUARDED[n / 4 % GUARDED.len()];
        // The note and the company: any text may stand there.
        let cell = &mut row[if n % 8 == 1 { 13 } else { 5 }];
        *cell = format!("{sign}{cell}{}", if n % 3 == 0 { "\"quoted\"" } else { "" });
    }
    csv(&rows)
}

/// Children among the generated persons.
const MINORS: [usize; 3] = [4, 41, 100];

/// A hundred persons in the layout of the sample.
fn generated_people() -> Vec<u8> {
    let headers = ["Index", "User Id", "First Name", "Last Name", "Sex", "Email", "Phone"];
    let headers = headers.into_iter().chain(["Date of birth", "Job Title"]);
    let mut rows = vec![headers.map(str::to_owned).collect::<Vec<_>>()];
    for (n, lead) in (1..).zip(corpus::lead_rows(100, 12)) {
        let born = if MINORS.contains(&n) { "2021-03-04" } else { "1961-03-04" };
        let job = if n % 9 == 0 { "+Engineer, mining" } else { "Librarian" };
        let cell = |n: usize| lead[n].as_str();
        let cells = [cell(0), cell(1), cell(3), cell(4), "Male", cell(8), cell(6), born, job];
        rows.push(cells.map(str::to_owned).to_vec());
    }
    csv(&rows)
}

/// Makes a package of everything, opens it, and checks that it verifies.
fn packed(vault: &Vault, tenant: &Tenant, plain: bool) -> Package {
    let caller = vault.plain(tenant);
    let bytes = if plain {
        package::download(&caller, &package::export(&caller, true, "plain"))
    } else {
        let identity = age::x25519::Identity::generate();
        let body = json!({ "recipient": identity.to_public().to_string() }).to_string();
        let headers = [("content-type", "application/json")];
        let put = reqwest::Method::PUT;
        caller
            .send(put, "/v1/tenant/export-recipient", &headers, Some(body.into_bytes()))
            .expect(200);
        let sealed = package::download(&caller, &package::export(&caller, false, "age"));
        assert!(sealed.starts_with(b"age-encryption.org/v1\n"));
        age::decrypt(&identity, &sealed).expect("it opens")
    };
    let (code, verdict) = package::verify(vault, tenant, &bytes);
    assert_eq!((code, &verdict["ok"]), (Some(0), &json!(true)), "{verdict}");
    Package::open(&bytes)
}

/// The cells of a package's JSON lines by number of the data record.
fn of_lines(package: &Package) -> Vec<(u64, Vec<(String, String)>)> {
    let pair = |pair: &Value| {
        let text = |n: usize| pair[n].as_str().expect("a text").to_owned();
        (text(0), text(1))
    };
    let lead = |lead: Value| {
        let original = lead["original"].as_array().expect("pairs");
        (lead["row"].as_u64().expect("a row"), original.iter().map(pair).collect())
    };
    let mut rows: Vec<_> = package.leads().into_iter().map(lead).collect();
    rows.sort();
    rows
}

/// Data records by their number: header and cell.
type Records = Vec<(u64, Vec<(String, String)>)>;

/// The cells of a package's CSV by number of the data record, the guard taken away; and how many had one.
fn of_csv(package: &Package) -> (Records, usize) {
    let read = read_csv(package.text("data/leads-0001.csv"));
    let (headers, rows) = read.split_first().expect("a header");
    let row_at = headers.iter().position(|header| header == "row").expect("a column");
    let mut guarded = 0;
    let mut cells = |row: &Vec<String>| {
        let mut pairs = Vec::new();
        for (header, cell) in headers.iter().zip(row) {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']), "a bare formula");
            let Some(header) = header.strip_prefix("original:") else { continue };
            guarded += usize::from(cell.starts_with('\''));
            pairs.push((header.to_owned(), cell.strip_prefix('\'').unwrap_or(cell).to_owned()));
        }
        (row[row_at].parse().expect("a number"), pairs)
    };
    let mut rows: Vec<_> = rows.iter().map(&mut cells).collect();
    rows.sort();
    (rows, guarded)
}

/// What the file says, by number of the data record.
fn of_file(bytes: &[u8]) -> Vec<(u64, Vec<(String, String)>)> {
    let read = read_csv(std::str::from_utf8(bytes).expect("utf-8"));
    let (headers, rows) = read.split_first().expect("a header");
    let pairs = |row: &Vec<String>| headers.iter().cloned().zip(row.iter().cloned()).collect();
    (1..).zip(rows).map(|(n, row)| (n, pairs(row))).collect()
}

#[test]
fn each_of_140_000_cells_comes_back_plain_and_encrypted() {
    let file = sample("leads-10000.csv").unwrap_or_else(generated_leads);
    let written = of_file(&file);
    let cells = written.iter().flat_map(|(_, pairs)| pairs);
    let need = cells.clone().filter(|(_, cell)| cell.starts_with(GUARDED)).count();
    assert_eq!(cells.count(), 140_000);
    assert!(need > 2_000, "the control: {need} cells need the guard");
    let vault = Vault::start();
    let tenant = vault.tenant();
    let import = package::import(&vault, &tenant, file);
    assert_eq!(import["rows"]["stored"], 10_000, "{import}");
    for plain in [true, false] {
        let package = packed(&vault, &tenant, plain);
        assert!(of_lines(&package) == written, "JSON lines, plain: {plain}");
        let (rows, guarded) = of_csv(&package);
        assert!(rows == written, "CSV, plain: {plain}");
        assert_eq!(guarded, need);
    }
}

#[test]
fn of_a_hundred_persons_no_cell_of_an_adult_is_lost_and_none_of_a_child_is_kept() {
    let file = sample("people-100.csv").unwrap_or_else(generated_people);
    let vault = Vault::start();
    let tenant = vault.tenant();
    let import = package::import(&vault, &tenant, file.clone());
    let caller = vault.acting(&tenant);
    let path = format!("/v1/imports/{}/failures", import["id"].as_str().expect("an id"));
    let failures = caller.get(&path).expect(200).text;
    let refused: Vec<u64> = failures
        .lines()
        .skip(1)
        .map(|line| {
            assert!(line.ends_with(",7,minor"), "{line}");
            line.split(',').next().expect("a row").parse().expect("a number")
        })
        .collect();
    assert!(!refused.is_empty() && refused.len() < 20, "{refused:?}");
    let (children, adults): (Vec<_>, Vec<_>) =
        of_file(&file).into_iter().partition(|(n, _)| refused.contains(n));
    assert_eq!(import["rows"]["stored"], adults.len());
    let package = packed(&vault, &tenant, true);
    assert!(of_lines(&package) == adults);
    assert!(of_csv(&package).0 == adults);
    for (_, pairs) in children {
        let (_, id) = &pairs[1];
        assert!(!package.text("data/leads-0001.jsonl").contains(id.as_str()));
    }
}
