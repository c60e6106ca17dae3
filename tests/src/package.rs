//! Exports over HTTP, and packages taken apart and put together again.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a kit of tests: what is unexpected fails the test"
)]

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use crate::kit::{Caller, Tenant, Vault, attestation, run};

/// Starts an export of everything; its operation.
pub fn start(caller: &Caller, plain: bool, key: &str) -> String {
    let begun = caller.try_post("/v1/exports", &json!({ "plain": plain }), key);
    begun.expect("an answer").expect(202).text_of("operation")
}

/// Makes an export of everything; its id.
pub fn export(caller: &Caller, plain: bool, key: &str) -> String {
    let made = caller.finished(&start(caller, plain, key));
    made["id"].as_str().expect("an id").to_owned()
}

/// The bytes of an export.
pub fn download(caller: &Caller, id: &str) -> Vec<u8> {
    let (status, _, bytes) = caller.fetch(&format!("/v1/exports/{id}/content"), &[]);
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&bytes));
    bytes
}

/// The files of a package by path, in its own directory `root`.
#[derive(Debug, Clone)]
pub struct Package {
    /// The directory.
    pub root: String,
    /// Contents by path inside of it.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Package {
    /// Takes a ZIP apart.
    pub fn open(zip: &[u8]) -> Self {
        let mut zip = ZipArchive::new(Cursor::new(zip)).expect("a zip");
        let mut files = BTreeMap::new();
        let mut root = String::new();
        for index in 0..zip.len() {
            let mut file = zip.by_index(index).expect("a file");
            let name = file.name().expect("utf-8").into_owned();
            let (directory, path) = name.split_once('/').expect("a directory");
            root = directory.to_owned();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).expect("contents");
            files.insert(path.to_owned(), bytes);
        }
        Self { root, files }
    }

    /// Puts it together again.
    pub fn to_zip(&self) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (path, bytes) in &self.files {
            let full = format!("{}/{path}", self.root);
            zip.start_file(full, SimpleFileOptions::default()).expect("a file");
            zip.write_all(bytes).expect("contents");
        }
        zip.finish().expect("a zip").into_inner()
    }

    /// Writes it as files of a directory; the package's own.
    pub fn unpack(&self, into: &Path) -> PathBuf {
        let root = into.join(&self.root);
        for (path, bytes) in &self.files {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            std::fs::write(path, bytes).expect("a file");
        }
        root
    }

    /// A file as text.
    pub fn text(&self, path: &str) -> &str {
        let bytes = self.files.get(path).unwrap_or_else(|| panic!("{path} is missing"));
        std::str::from_utf8(bytes).expect("utf-8")
    }

    /// A JSON file.
    pub fn json(&self, path: &str) -> Value {
        serde_json::from_str(self.text(path)).expect("JSON")
    }

    /// The lines of every file of leads.
    pub fn leads(&self) -> Vec<Value> {
        let lines = |path: &&String| {
            path.strip_prefix("data/leads-")
                .is_some_and(|rest| rest.strip_suffix(".jsonl").is_some())
        };
        let names = self.files.keys().filter(lines);
        let lines = names.flat_map(|path| self.text(path).lines());
        lines.map(|line| serde_json::from_str(line).expect("a line")).collect()
    }
}

/// `leadvault verify export` of bytes: exit code and verdict.
pub fn verify(vault: &Vault, tenant: &Tenant, bytes: &[u8]) -> (Option<i32>, Value) {
    let (file, vkey) = (vault.beside("package"), vault.beside("vkey"));
    std::fs::write(&file, bytes).expect("a file");
    std::fs::write(&vkey, &tenant.vkey).expect("a file");
    let (file, vkey) = (file.to_str().expect("utf-8"), vkey.to_str().expect("utf-8"));
    let (code, verdict, _) = run(&["verify", "export", file, "--vkey", vkey]);
    (code, verdict)
}

/// Rows of a well-formed CSV file, read by a reader that shares nothing with the product.
pub fn read_csv(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut chars) = (false, text.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted && chars.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            c => cell.push(c),
        }
    }
    rows
}

/// Imports a CSV file with an attestation; the import as it came out.
pub fn import(vault: &Vault, tenant: &Tenant, file: Vec<u8>) -> Value {
    let caller = vault.acting(tenant);
    let open = json!({ "dataset": tenant.dataset, "attestation": attestation() });
    let id = caller.post("/v1/imports", &open).expect(201).text_of("id");
    let path = format!("/v1/imports/{id}/content");
    caller.send(reqwest::Method::PUT, &path, &[], Some(file)).expect(200).body
}

/// The entries of a tenant's log.
pub fn entries(caller: &Caller) -> Vec<Value> {
    let mut entries: Vec<Value> = Vec::new();
    loop {
        let text = caller.get(&format!("/v1/log/entries?from={}", entries.len())).expect(200).text;
        let before = entries.len();
        entries.extend(text.lines().map(|l| serde_json::from_str::<Value>(l).expect("an entry")));
        if entries.len() == before {
            return entries;
        }
    }
}
