//! Downloads: ranges, their entries, and the command that goes on where it was cut off.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use leadvault_tests::kit::{Caller, Tenant, Vault, run};
use leadvault_tests::package;
use serde_json::{Value, json};

/// Bytes that each download so far released, by the log.
fn downloads(caller: &Caller) -> Vec<u64> {
    let entries = package::entries(caller);
    let of = |entry: &&Value| entry["operation"] == "export.download";
    let bytes = |entry: &Value| entry["resource"]["bytes"].as_u64().expect("bytes");
    entries.iter().filter(of).map(bytes).collect()
}

#[test]
fn a_range_is_cut_from_the_package_and_every_download_is_an_entry() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    vault.lead(&tenant, "ada@example.com");
    let caller = vault.plain(&tenant);
    let id = package::export(&caller, true, "one");
    let path = format!("/v1/exports/{id}/content");
    let (status, headers, whole) = caller.fetch(&path, &[]);
    assert_eq!(status, 200);
    let total = whole.len();
    let etag = headers["etag"].to_str().expect("a tag").to_owned();
    assert_eq!(headers["content-disposition"], format!("attachment; filename=\"export-{id}.zip\""));
    assert_eq!(headers["accept-ranges"], "bytes");
    assert!(headers.contains_key("ledger-receipt"));
    let ranges = [
        ("bytes=10-19", 10, 20),
        ("bytes=10-", 10, total),
        ("bytes=-7", total - 7, total),
        ("bytes=0-", 0, total),
        ("bytes=10-99999999", 10, total),
    ];
    for (range, first, end) in ranges {
        let (status, headers, part) =
            caller.fetch(&path, &[("range", range), ("if-range", etag.as_str())]);
        assert_eq!((status, part.as_slice()), (206, &whole[first..end]), "{range}");
        let span = format!("bytes {first}-{}/{total}", end - 1);
        assert_eq!(headers["content-range"], span, "{range}");
    }
    // Of something else, or nothing that can be read: the whole.
    for headers in [
        [("range", "bytes=10-19"), ("if-range", "\"exp_01kb0000000000000000000000\"")],
        [("range", "bytes=10-19"), ("if-range", "Wed, 25 Nov 2026 00:00:00 GMT")],
        [("range", "bytes=0-1,5-6"), ("accept", "*/*")],
    ] {
        let (status, _, part) = caller.fetch(&path, &headers);
        assert_eq!((status, part.len()), (200, total), "{headers:?}");
    }
    let behind = format!("bytes={total}-");
    let (status, headers, problem) = caller.fetch(&path, &[("range", behind.as_str())]);
    assert_eq!(status, 416);
    assert_eq!(headers["content-range"], format!("bytes */{total}"));
    let problem: Value = serde_json::from_slice(&problem).expect("a problem");
    assert_eq!(problem["code"], "range_not_satisfiable");
    let mut expected = vec![total as u64];
    expected.extend(ranges.map(|(_, first, end)| (end - first) as u64));
    expected.extend([total as u64; 3]);
    assert_eq!(downloads(&caller), expected, "what was refused released nothing");
}

struct Command<'a> {
    vault: &'a Vault,
    out: std::path::PathBuf,
    key_file: std::path::PathBuf,
}

impl<'a> Command<'a> {
    fn new(vault: &'a Vault, tenant: &Tenant) -> Self {
        let key_file = vault.beside("tenant.key");
        std::fs::write(&key_file, &tenant.key).expect("a file");
        Self { vault, out: vault.beside("leads.zip"), key_file }
    }

    fn run(&self, more: &[&str]) -> (Option<i32>, Value, String) {
        let text = |path: &Path| path.to_str().expect("utf-8").to_owned();
        let (url, key, out) = (self.vault.url(), text(&self.key_file), text(&self.out));
        let mut args = vec!["export", "--url", &url, "--key-file", &key, "--out", &out, "--json"];
        args.extend(more);
        run(&args)
    }
}

#[test]
fn the_command_writes_a_private_file_and_replaces_none_unless_told() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    vault.lead(&tenant, "ada@example.com");
    let command = Command::new(&vault, &tenant);
    // Encrypted is the default, and nobody is registered to encrypt to.
    let (code, _, err) = command.run(&[]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("no_recipient") && !command.out.exists(), "{err}");
    let (code, export, err) = command.run(&["--plain"]);
    assert_eq!((code, &export["state"]), (Some(0), &json!("ready")), "{err}");
    let mode = std::fs::metadata(&command.out).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let bytes = std::fs::read(&command.out).expect("the file");
    assert_eq!(package::verify(&vault, &tenant, &bytes).0, Some(0));
    std::fs::write(&command.out, "mine").expect("a file");
    let (code, _, err) = command.run(&["--plain"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("--force"), "{err}");
    assert_eq!(std::fs::read(&command.out).expect("the file"), b"mine");
    assert_eq!(command.run(&["--plain", "--force"]).0, Some(0));
    let bytes = std::fs::read(&command.out).expect("the file");
    assert_eq!(package::verify(&vault, &tenant, &bytes).0, Some(0));
    let left = std::fs::read_dir(command.out.parent().expect("a directory")).expect("files");
    let left = left.filter_map(|entry| entry.expect("a file").file_name().into_string().ok());
    assert_eq!(left.filter(|name| name.strip_suffix(".part").is_some()).count(), 0);
}

#[test]
fn a_command_that_was_cut_off_asks_for_the_rest_alone() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    vault.lead(&tenant, "ada@example.com");
    let caller = vault.plain(&tenant);
    let id = package::export(&caller, true, "one");
    let whole = package::download(&caller, &id);
    let command = Command::new(&vault, &tenant);
    let part = vault.beside(&format!(".leads.zip.all.{id}.part"));
    std::fs::write(&part, &whole[..whole.len() / 3]).expect("a file");
    let (code, export, err) = command.run(&["--plain"]);
    assert_eq!((code, &export["id"]), (Some(0), &json!(id)), "{err}");
    assert_eq!(std::fs::read(&command.out).expect("the file"), whole);
    let rest = (whole.len() - whole.len() / 3) as u64;
    assert_eq!(downloads(&caller), [whole.len() as u64, rest]);
    // What is there is not of this package: the digest tells, and nothing gets the name.
    std::fs::remove_file(&command.out).expect("removed");
    std::fs::write(&part, vec![0; whole.len() / 3]).expect("a file");
    let (code, _, err) = command.run(&["--plain"]);
    assert_eq!(code, Some(4), "{err}");
    assert!(!command.out.exists() && !part.exists());
}

#[test]
fn a_server_that_is_not_there_is_a_reason_to_come_again() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let url = vault.url();
    let command = Command::new(&vault, &tenant);
    let (key, out) = (command.key_file.clone(), command.out.clone());
    vault.kill();
    let (key, out) = (key.to_str().expect("utf-8"), out.to_str().expect("utf-8"));
    let (code, _, _) = run(&["export", "--url", &url, "--key-file", key, "--out", out]);
    assert_eq!(code, Some(4));
}
