//! Packages judged by programs that nobody here wrote: Python's zipfile and hashlib, `age`, `minisign`, and, with
//! `LEADVAULT_FULL`, bagit and frictionless. What is not installed is said in one line.
#![expect(clippy::print_stderr, reason = "a missing referee is said")]

use std::path::Path;
use std::process::{Command, Stdio};

use leadvault_tests::kit::Vault;
use leadvault_tests::package::{self, Package};
use serde_json::json;

/// Reads the ZIP with its own means and checks every promise that hashes make.
const CHECK: &str = r#"
import csv, hashlib, io, json, sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
assert z.testzip() is None
names = z.namelist()
root = names[0].split("/")[0] + "/"
read = lambda path: z.read(root + path)
def manifest(path):
    lines = read(path).decode().splitlines()
    return {line[66:]: line[:64] for line in lines}
payload, tags = manifest("manifest-sha256.txt"), manifest("tagmanifest-sha256.txt")
for path, digest in {**payload, **tags}.items():
    assert hashlib.sha256(read(path)).hexdigest() == digest, path
unsigned = {"tagmanifest-sha256.txt", "tagmanifest-sha256.txt.minisig"}
assert {n[len(root):] for n in names} == set(payload) | set(tags) | unsigned
info = dict(line.split(": ", 1) for line in read("bag-info.txt").decode().splitlines())
sizes = [z.getinfo(root + path).file_size for path in payload]
assert info["Payload-Oxum"] == f"{sum(sizes)}.{len(sizes)}"
about = json.loads(read("data/datapackage.json"))
for resource in about["resources"]:
    data = read("data/" + resource["path"])
    assert resource["bytes"] == len(data)
    assert resource["hash"] == "sha256:" + hashlib.sha256(data).hexdigest()
rows = list(csv.reader(io.StringIO(read("data/leads-0001.csv").decode(), newline="")))
fields = next(r for r in about["resources"] if r["path"] == "leads-0001.csv")["schema"]["fields"]
assert rows[0] == [field["name"] for field in fields]
assert all(len(row) == len(rows[0]) for row in rows)
lines = [json.loads(line) for line in read("data/leads-0001.jsonl").decode().splitlines()]
assert len(rows) - 1 == len(lines) == int(info["Leadvault-Leads"]) == about["leadvault"]["leads"]
print("ok", len(lines))
"#;

const BAGIT: &str = "import sys, bagit; bagit.Bag(sys.argv[1]).validate()";
const FRICTIONLESS: &str = r#"
import sys
from frictionless import Package
report = Package(sys.argv[1] + "/data/datapackage.json").validate()
assert report.valid, report.flatten(["type", "note"])
"#;

/// Whether a program answers; says so where it does not.
fn present(program: &str, probe: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(probe).stdout(Stdio::null()).stderr(Stdio::null());
    let there = command.status().is_ok_and(|status| status.success());
    if !there {
        eprintln!("not installed, not asked: {program} {}", probe.join(" "));
    }
    there
}

fn judge(command: &mut Command) -> String {
    let output = command.output().expect("it runs");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {err}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn outside_programs_find_the_package_whole() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let file = "First Name,Email,\"Company, form\"\r\nAda Byron,ada@example.com,\"=Engines, \"\"Inc\"\"\"\r\n\
                Grace,grace@example.com,'Navy\r\n";
    package::import(&vault, &tenant, file.as_bytes().to_vec());
    vault.lead(&tenant, "noted@example.com");
    let caller = vault.plain(&tenant);
    let identity = age::x25519::Identity::generate();
    let body = json!({ "recipient": identity.to_public().to_string() }).to_string();
    let headers = [("content-type", "application/json")];
    let put = reqwest::Method::PUT;
    caller.send(put, "/v1/tenant/export-recipient", &headers, Some(body.into_bytes())).expect(200);
    let sealed = package::download(&caller, &package::export(&caller, false, "one"));
    let path = |name: &str| vault.beside(name).to_str().expect("utf-8").to_owned();
    let (age_file, zip, key) = (path("package.zip.age"), path("package.zip"), path("age.key"));
    std::fs::write(&age_file, &sealed).expect("a file");
    let secret = age::secrecy::ExposeSecret::expose_secret(&identity.to_string()).to_owned();
    std::fs::write(&key, secret + "\n").expect("a file");
    if present("age", &["--version"]) {
        judge(Command::new("age").args(["--decrypt", "-i", &key, "-o", &zip, &age_file]));
    } else {
        std::fs::write(&zip, age::decrypt(&identity, &sealed).expect("it opens")).expect("a file");
    }
    let bytes = std::fs::read(&zip).expect("the zip");
    assert_eq!(package::verify(&vault, &tenant, &bytes).0, Some(0));
    let package = Package::open(&bytes);
    let root = package.unpack(&vault.beside("unpacked"));
    let info = package.text("bag-info.txt");
    let signing = info.lines().find_map(|line| line.strip_prefix("Leadvault-Signing-Key: "));
    let signing = signing.expect("a key");
    let tags = package.files.get("tagmanifest-sha256.txt").expect("the manifest");
    let signature = package.text("tagmanifest-sha256.txt.minisig");
    let public = minisign_verify::PublicKey::from_base64(signing).expect("a key");
    let signature = minisign_verify::Signature::decode(signature).expect("a signature");
    public.verify(tags, &signature, true).expect("it verifies");
    if present("minisign", &["-v"]) {
        let mut command = Command::new("minisign");
        command.args(["-V", "-m", "tagmanifest-sha256.txt", "-P", signing]).current_dir(&root);
        judge(&mut command);
    }
    if present("sha256sum", &["--version"]) {
        for manifest in ["tagmanifest-sha256.txt", "manifest-sha256.txt"] {
            let mut command = Command::new("sha256sum");
            judge(command.args(["--check", "--strict", "--quiet", manifest]).current_dir(&root));
        }
    }
    if present("python3", &["-c", "import zipfile"]) {
        let said = judge(Command::new("python3").args(["-c", CHECK, &zip]));
        assert_eq!(said.trim(), "ok 3");
    }
    if std::env::var_os("LEADVAULT_FULL").is_some() {
        python(&root, "bagit", BAGIT);
        python(&root, "frictionless", FRICTIONLESS);
    }
}

/// Judges by a package of Python's, where it is installed.
fn python(root: &Path, module: &str, script: &str) {
    if present("python3", &["-c", &format!("import {module}")]) {
        judge(Command::new("python3").args(["-c", script]).arg(root));
    }
}
