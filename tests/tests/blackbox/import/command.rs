//! `leadvault import`: files and packages by the command, what it refuses before anything is sent, and where it
//! goes on.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use leadvault_tests::kit::{Tenant, Vault, attestation, run};
use leadvault_tests::package::{self, Package};
use serde_json::{Value, json};

use super::kit;

/// A file beside a vault, by its path.
fn beside(vault: &Vault, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path = vault.beside(name);
    std::fs::write(&path, bytes).expect("a file");
    path.to_str().expect("utf-8").to_owned()
}

/// The command on a file beside a vault.
fn import(
    vault: &Vault,
    url: &str,
    tenant: &Tenant,
    file: &str,
    more: &[&str],
) -> (Option<i32>, Value, String) {
    let key = beside(vault, "key", &tenant.key);
    let attestation = beside(vault, "attestation.json", attestation().to_string());
    let args = ["import", file, "--url", url, "--key-file", &key, "--dataset", &tenant.dataset];
    let act = ["--instruction", &tenant.instruction, "--purpose", "crm_operations"];
    let rest = ["--attestation", &attestation, "--json"];
    run(&[&args[..], &act, &rest, more].concat())
}

/// A plain package of everything.
fn export(vault: &Vault, tenant: &Tenant, key: &str) -> Vec<u8> {
    let caller = vault.plain(tenant);
    package::download(&caller, &package::export(&caller, true, key))
}

/// Leads of the tenant's dataset, as its first page has them.
fn leads(vault: &Vault, tenant: &Tenant) -> usize {
    let path = format!("/v1/leads?dataset={}", tenant.dataset);
    let listed = vault.acting(tenant).get(&path).expect(200).body;
    listed["data"].as_array().expect("leads").len()
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

#[test]
fn an_export_of_one_vault_comes_into_another_by_the_command_plain_and_encrypted() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let file = "Email,Phone,Company,Tags,Notes,Score\r\n\
                Ada@example.com,(415) 555-2671,\"Acme, Inc\",a;b,called,7\r\n\
                grace@example.com,,=cmd(),,,\r\n";
    kit::import(&vault, &tenant, file.as_bytes(), json!({}));
    vault.lead(&tenant, "made@example.com");
    let package = export(&vault, &tenant, "out");
    let lines = Package::open(&package).leads();
    assert_eq!(lines.len(), 3);
    let other = Vault::start();
    let plain = beside(&other, "package.zip", &package);
    let identity = age::x25519::Identity::generate();
    let sealed = age::encrypt(&identity.to_public(), &package).expect("sealed");
    let encrypted = beside(&other, "package.zip.age", sealed);
    let secret = age::secrecy::ExposeSecret::expose_secret(&identity.to_string()).to_owned();
    let identity_file = beside(&other, "identity.txt", format!("# a key\n{secret}\n"));
    let vkey = beside(&other, "vkey", &tenant.vkey);
    let signed = ["--identity", &identity_file, "--vkey", &vkey];
    let cases: [(&str, &[&str]); 2] = [(&plain, &[]), (&encrypted, &signed)];
    for (package, more) in cases {
        let into = other.tenant();
        let (code, done, err) = import(&other, &other.url(), &into, package, more);
        assert_eq!(code, Some(0), "{err}");
        assert_eq!(done["rows"]["stored"], 3);
        let again = Package::open(&export(&other, &into, "back")).leads();
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
    let rows = "Email,Date of birth\na@example.com,\nb@example.com,2015-06-01\n";
    let file = beside(&vault, "leads.csv", rows);
    let (code, done, err) = import(&vault, &vault.url(), &tenant, &file, &[]);
    assert_eq!(code, Some(1), "{err}");
    assert_eq!((&done["rows"]["stored"], &done["rows"]["rejected"]), (&json!(1), &json!(1)));
    let file = beside(&vault, "leads.csv", "Name,Email\nAda,a@example.com\n");
    let (code, _, err) = import(&vault, &vault.url(), &tenant, &file, &[]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("column 0") && !err.contains("a@example.com"), "{err}");
    let mapping = beside(&vault, "mapping.json", r#"{"Name":"full_name"}"#);
    let mapping = ["--mapping", &mapping, "--duplicates", "update"];
    let (code, done, err) = import(&vault, &vault.url(), &tenant, &file, &mapping);
    assert_eq!((code, &done["rows"]["updated"]), (Some(0), &json!(1)), "{err}");
    let url = vault.url();
    vault.kill();
    let (code, _, err) = import(&vault, &url, &tenant, &file, &[]);
    assert_eq!(code, Some(4), "{err}");
}

#[test]
fn a_package_that_is_not_whole_or_of_another_key_is_refused_before_anything_is_sent() {
    let vault = Vault::start();
    let (tenant, other) = (vault.tenant(), vault.tenant());
    vault.lead(&tenant, "ada@example.com");
    let bytes = export(&vault, &tenant, "out");
    let mut changed = Package::open(&bytes);
    let part = changed.files.keys().find(|path| path.starts_with("data/leads-")).cloned();
    let part = changed.files.get_mut(&part.expect("a part")).expect("its bytes");
    let at = part.windows(3).position(|w| w == b"ada").expect("the lead");
    part[at] = b'i';
    let changed = beside(&vault, "changed.zip", changed.to_zip());
    let whole = beside(&vault, "whole.zip", &bytes);
    let elsewhere = beside(&vault, "vkey", Vault::start().tenant().vkey);
    for (file, more, says) in
        [(&changed, &[][..], "bad_hash"), (&whole, &["--vkey", &elsewhere], "bad_signature")]
    {
        let (code, _, err) = import(&vault, &vault.url(), &other, file, more);
        assert_eq!(code, Some(1), "{err}");
        assert!(err.contains(says) && !err.contains("example.com"), "{err}");
        assert_eq!(leads(&vault, &other), 0);
    }
    let (code, _, err) = import(&vault, &vault.url(), &other, &whole, &[]);
    assert_eq!((code, leads(&vault, &other)), (Some(0), 1), "the control: {err}");
}

#[test]
fn a_workbook_is_refused_by_the_command_and_by_the_server_and_a_list_is_not() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let mut workbook = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for part in ["[Content_Types].xml", "xl/workbook.xml", "xl/worksheets/sheet1.xml"] {
        workbook.start_file(part, zip::write::SimpleFileOptions::default()).expect("a part");
        workbook.write_all(b"<?xml version=\"1.0\"?>ada@example.com").expect("its text");
    }
    let workbook = workbook.finish().expect("a workbook").into_inner();
    for (name, bytes) in
        [("leads.xlsx", workbook), ("leads.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec())]
    {
        let file = beside(&vault, name, bytes);
        let (code, _, err) = import(&vault, &vault.url(), &tenant, &file, &[]);
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains("save") && !err.contains("ada@"), "{err}");
    }
    let id = kit::open_import(&vault, &tenant, json!({}));
    let path = format!("/v1/imports/{id}/content");
    let refused = kit::put(&vault.acting(&tenant), &path, b"%PDF-1.7\nEmail\n", None).expect(415);
    assert_eq!(refused.code(), "media_type");
    let id = kit::open_import(&vault, &tenant, json!({}));
    let path = format!("/v1/imports/{id}/content");
    let done = kit::put(&vault.acting(&tenant), &path, b"Email\nada@example.com\n", None);
    assert_eq!(done.expect(200).body["rows"]["stored"], 1, "the control");
}

#[test]
fn going_on_takes_the_same_dataset_and_a_finished_import_the_same_file() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let done = kit::import(&vault, &tenant, b"Email\nada@example.com\n", json!({}));
    let id = done.text_of("id");
    let caller = vault.plain(&tenant);
    let second = caller.post("/v1/datasets", &json!({ "name": "second" })).expect(201);
    let elsewhere = Tenant { dataset: second.text_of("id"), ..tenant.clone() };
    let same = beside(&vault, "same.csv", "Email\nada@example.com\n");
    let longer = beside(&vault, "longer.csv", "Email\nada@example.com\ngrace@example.com\n");
    for (tenant, file, says) in
        [(&elsewhere, &same, "another dataset"), (&tenant, &longer, "finished")]
    {
        let (code, _, err) = import(&vault, &vault.url(), tenant, file, &["--resume", &id]);
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains(says), "{err}");
    }
    let (code, again, err) = import(&vault, &vault.url(), &tenant, &same, &["--resume", &id]);
    assert_eq!((code, &again["rows"]["stored"]), (Some(0), &json!(1)), "{err}");
    assert_eq!(leads(&vault, &tenant), 1);
}

#[test]
fn an_answer_that_comes_before_the_end_of_a_large_file_is_heard() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    // More than sockets and buffers hold, so that the server answers while it is sent.
    let rows = (0..1_000_000).map(|n| format!("Person {n},p{n}@example.com\n"));
    let text: String = std::iter::once("Name,Email\n".to_owned()).chain(rows).collect();
    let file = beside(&vault, "leads.csv", &text);
    let (code, _, err) = import(&vault, &vault.url(), &tenant, &file, &[]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("column 0") && !err.contains("cut off; going on"), "{err}");
}

#[test]
fn input_no_server_needs_to_see_ends_with_two_and_says_what_it_is() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let file = beside(&vault, "leads.csv", "Email\nada@example.com\n");
    for url in ["localhost", "ftp://localhost", "http://", "http://localhost/v1?x=1"] {
        let (code, _, err) = import(&vault, url, &tenant, &file, &[]);
        assert_eq!(code, Some(2), "{url}: {err}");
    }
    let none = vault.beside("none").to_str().expect("utf-8").to_owned();
    let large = beside(&vault, "large.json", vec![b' '; (16 << 20) + 1]);
    let broken = beside(&vault, "broken.json", "{\"Email\": ada@example.com}");
    for (mapping, says) in
        [(&none, "cannot read"), (&large, "larger than"), (&broken, "line 1, column 11")]
    {
        let (code, _, err) = import(&vault, &vault.url(), &tenant, &file, &["--mapping", mapping]);
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains(says) && !err.contains("ada@"), "{err}");
    }
    let nobody = Tenant { key: "two words".to_owned(), ..tenant };
    let (code, _, err) = import(&vault, &vault.url(), &nobody, &file, &[]);
    assert_eq!(code, Some(2), "{err}");
    assert!(!err.contains("two words"), "{err}");
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
    let file = beside(&vault, "leads.csv", text);
    let (url, cut) = cutting_proxy(&vault.url());
    let (code, done, err) = import(&vault, &url, &tenant, &file, &[]);
    assert_eq!(code, Some(0), "{err}");
    assert!(cut.load(Ordering::SeqCst) && err.contains("cut off; going on"), "it was cut: {err}");
    let rows = json!({ "read": 3_000, "stored": 3_000, "updated": 0, "skipped": 0, "rejected": 0 });
    assert_eq!(done["rows"], rows);
}
