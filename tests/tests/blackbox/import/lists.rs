//! Whole lists over HTTP and by the command: every row in, every cell back, out of one vault and into another.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use leadvault_tests::corpus;
use leadvault_tests::kit::{Tenant, Vault, attestation, run};
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

/// The lines of a plain export of everything, and the package.
fn export(vault: &Vault, tenant: &Tenant, key: &str) -> (Vec<u8>, Vec<Value>) {
    let caller = vault.plain(tenant);
    let started = caller.try_post("/v1/exports", &json!({ "plain": true }), key);
    let operation = started.expect("an answer").expect(202).location.expect("Location");
    let made = caller.finished(&operation);
    let path = format!("/v1/exports/{}/content", made["id"].as_str().expect("an id"));
    let package = kit::download(vault, tenant, &path);
    let mut zip = zip::ZipArchive::new(Cursor::new(package.clone())).expect("a package");
    let names: Vec<String> =
        zip.file_names().map(|name| name.expect("a name").into_owned()).collect();
    let mut lines = Vec::new();
    for name in names
        .iter()
        .filter(|name| name.contains("/data/leads-") && name.strip_suffix(".jsonl").is_some())
    {
        let mut text = String::new();
        zip.by_name(name).expect("a part").read_to_string(&mut text).expect("text");
        lines.extend(text.lines().map(|line| serde_json::from_str(line).expect("a line")));
    }
    (package, lines)
}

/// Cells of a line as they came.
fn cells(line: &Value) -> Vec<String> {
    let pairs = line["original"].as_array().expect("cells");
    pairs.iter().map(|pair| pair[1].as_str().expect("a cell").to_owned()).collect()
}

/// Rows of an RFC 4180 text, read by nothing of the product.
fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut chars) = (false, text.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            c => cell.push(c),
        }
    }
    rows
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
    let written = rows(std::str::from_utf8(&file).expect("text"));
    let (_, lines) = export(&vault, &tenant, "all");
    assert_eq!(lines.len(), count);
    let by_row: BTreeMap<u64, &Value> =
        lines.iter().map(|line| (line["row"].as_u64().expect("a row"), line)).collect();
    for (number, row) in (1_u64..).zip(&written[1..]) {
        assert_eq!(&cells(by_row[&number]), row, "row {number}");
    }
}

/// What a vault that takes an export must hold of a line.
fn kept(line: &Value) -> Value {
    let mut line = line.clone();
    // The other vault has times of its own; these came along as fields.
    if let Some(fields) = line["fields"].as_object_mut() {
        fields.retain(|name, _| name != "created_at" && name != "updated_at");
    }
    let members = ["external_id", "fields", "tags", "notes", "original"];
    members
        .iter()
        .map(|m| ((*m).to_owned(), line[*m].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn sorted(lines: &[Value]) -> Vec<String> {
    let mut lines: Vec<String> = lines.iter().map(|line| kept(line).to_string()).collect();
    lines.sort();
    lines
}

struct Files {
    key: PathBuf,
    attestation: PathBuf,
}

fn files(vault: &Vault, tenant: &Tenant) -> Files {
    let files = Files { key: vault.beside("key"), attestation: vault.beside("attestation.json") };
    std::fs::write(&files.key, &tenant.key).expect("a file");
    std::fs::write(&files.attestation, attestation().to_string()).expect("a file");
    files
}

fn import(
    vault: &Vault,
    url: &str,
    tenant: &Tenant,
    file: &Path,
    more: &[&str],
) -> (Option<i32>, Value, String) {
    let files = files(vault, tenant);
    let path = |path: &Path| path.to_str().expect("utf-8").to_owned();
    let (file, key, attestation) = (path(file), path(&files.key), path(&files.attestation));
    let mut args = vec![
        "import",
        &file,
        "--url",
        url,
        "--key-file",
        &key,
        "--dataset",
        &tenant.dataset,
        "--attestation",
        &attestation,
        "--instruction",
        &tenant.instruction,
        "--purpose",
        "crm_operations",
        "--json",
    ];
    args.extend(more);
    run(&args)
}

#[test]
fn an_export_of_one_vault_comes_into_another_by_the_command_plain_and_encrypted() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let file = "Email,Phone,Company,Tags,Notes,Score\r\n\
                Ada@example.com,(415) 555-2671,\"Acme, Inc\",a;b,called,7\r\n\
                grace@example.com,,=cmd(),,,\r\n";
    kit::import(&vault, &tenant, file.as_bytes(), json!({}));
    vault.lead(&tenant, "made@example.com");
    let (package, lines) = export(&vault, &tenant, "out");
    assert_eq!(lines.len(), 3);
    let other = Vault::start();
    let plain = other.beside("package.zip");
    std::fs::write(&plain, &package).expect("a file");
    let identity = age::x25519::Identity::generate();
    let sealed = age::encrypt(&identity.to_public(), &package).expect("sealed");
    let encrypted = other.beside("package.zip.age");
    std::fs::write(&encrypted, sealed).expect("a file");
    let identity_file = other.beside("identity.txt");
    let secret = age::secrecy::ExposeSecret::expose_secret(&identity.to_string()).to_owned();
    std::fs::write(&identity_file, format!("# a key\n{secret}\n")).expect("a file");
    let identity_file = identity_file.to_str().expect("utf-8").to_owned();
    let cases: [(&Path, Vec<&str>); 2] =
        [(&plain, Vec::new()), (&encrypted, vec!["--identity", &identity_file])];
    for (package, more) in cases {
        let into = other.tenant();
        let (code, done, err) = import(&other, &other.url(), &into, package, &more);
        assert_eq!(code, Some(0), "{err}");
        assert_eq!(done["rows"]["stored"], 3);
        let (_, again) = export(&other, &into, "back");
        assert_eq!(sorted(&again), sorted(&lines));
    }
    // The control: without the identity it is refused as unusable input.
    let (code, _, err) = import(&other, &other.url(), &other.tenant(), &encrypted, &[]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("--identity"));
}

#[test]
fn the_command_ends_with_one_for_rejected_rows_two_for_questions_and_four_without_a_server() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let file = vault.beside("leads.csv");
    std::fs::write(&file, "Email,Date of birth\na@example.com,\nb@example.com,2015-06-01\n")
        .expect("a file");
    let (code, done, err) = import(&vault, &vault.url(), &tenant, &file, &[]);
    assert_eq!(code, Some(1), "{err}");
    assert_eq!((&done["rows"]["stored"], &done["rows"]["rejected"]), (&json!(1), &json!(1)));
    std::fs::write(&file, "Name,Email\nAda,a@example.com\n").expect("a file");
    let (code, _, err) = import(&vault, &vault.url(), &tenant, &file, &[]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("column 0") && !err.contains("a@example.com"), "{err}");
    let mapping = vault.beside("mapping.json");
    std::fs::write(&mapping, r#"{"Name":"full_name"}"#).expect("a file");
    let mapping = ["--mapping", mapping.to_str().expect("utf-8"), "--duplicates", "update"];
    let (code, done, err) = import(&vault, &vault.url(), &tenant, &file, &mapping);
    assert_eq!((code, &done["rows"]["updated"]), (Some(0), &json!(1)), "{err}");
    let url = vault.url();
    vault.kill();
    let (code, _, err) = import(&vault, &url, &tenant, &file, &[]);
    assert_eq!(code, Some(4), "{err}");
}

/// Bytes after which the first long upload is cut.
const CUT_AFTER: usize = 200_000;

/// A proxy in front of a server that cuts one connection in the middle of an upload. Its address.
fn cutting_proxy(url: &str) -> (String, Arc<AtomicBool>) {
    let server = url.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let cut = Arc::new(AtomicBool::new(false));
    let done = Arc::clone(&cut);
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect(&server).expect("the server");
            let (back_from, back_to) =
                (server.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
            std::thread::spawn(move || pipe(&back_from, &back_to, None));
            let cut = Arc::clone(&cut);
            std::thread::spawn(move || pipe(&client, &server, Some(&cut)));
        }
    });
    (address, done)
}

/// Copies one way until the end, or until the cut.
fn pipe(mut from: &TcpStream, mut to: &TcpStream, cut: Option<&AtomicBool>) {
    let (mut buffer, mut copied) = (vec![0_u8; 16 << 10], 0);
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        copied += n;
        let over = copied > CUT_AFTER;
        if over && cut.is_some_and(|cut| !cut.swap(true, Ordering::SeqCst)) {
            break;
        }
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    // Either end may be gone already.
    let _ = from.shutdown(std::net::Shutdown::Both);
    let _ = to.shutdown(std::net::Shutdown::Both);
}

#[test]
fn an_upload_whose_connection_breaks_goes_on_by_itself_and_stores_each_row_once() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let rows = (0..3_000).map(|n| format!("p{n}@example.com,{}\n", "x".repeat(150)));
    let text: String = std::iter::once("Email,Company\n".to_owned()).chain(rows).collect();
    let file = vault.beside("leads.csv");
    std::fs::write(&file, text).expect("a file");
    let (url, cut) = cutting_proxy(&vault.url());
    let (code, done, err) = import(&vault, &url, &tenant, &file, &[]);
    assert_eq!(code, Some(0), "{err}");
    assert!(cut.load(Ordering::SeqCst) && err.contains("cut off"), "it was cut: {err}");
    let rows = json!({ "read": 3_000, "stored": 3_000, "updated": 0, "skipped": 0, "rejected": 0 });
    assert_eq!(done["rows"], rows);
}
