//! The log that the independent reference writes, read by our verifier.

use std::path::Path;
use std::process::Command;

use leadvault_ledger::publish::Tail;
use leadvault_ledger::{DirSource, Failure, LogSource, Verdict, verify_log};

use crate::support::{Files, ORIGIN, demo_entries, log_of, vkey};

/// Entries of the reference's log: three levels of tiles.
const ENTRIES: u32 = 70_000;
/// The root that `crypto_ref.py log DIR 70000` printed.
const ROOT: &str = "329599bc5454f11a2f2fe4103908346f24fe775c5e959327161b39c011c7f0e6";

fn verify(source: &dyn LogSource, key: &str) -> Verdict {
    verify_log(source, key, None).unwrap()
}

#[test]
fn our_log_of_the_same_entries_has_the_references_root() {
    let entries = demo_entries(ENTRIES);
    let tail = Tail::default().plan(entries.iter().map(Vec::as_slice)).unwrap().tail;
    assert_eq!(hex::encode(tail.frontier().root()), ROOT);
}

#[test]
fn the_log_that_the_reference_writes_verifies_and_equals_ours() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crypto/testdata/crypto_ref.py");
    let able = Command::new("python3").args(["-c", "import cryptography"]).output();
    if !able.is_ok_and(|output| output.status.success()) {
        use std::io::Write as _;
        let line = "SKIPPED: python3 with `cryptography` is not here; the reference's log is not checked\n";
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let run = Command::new("python3")
        .arg("-B")
        .arg(script)
        .arg("log")
        .arg(dir.path())
        .arg(ENTRIES.to_string())
        .output()
        .unwrap();
    assert!(run.status.success());
    assert_eq!(String::from_utf8(run.stdout).unwrap().trim(), format!("{ENTRIES} {ROOT}"));
    let key = std::fs::read_to_string(dir.path().join("vkey")).unwrap();
    assert_eq!(key.trim(), vkey());

    let source = DirSource::new(dir.path());
    let verdict = verify(&source, &key);
    assert!(verdict.ok, "{verdict:?}");
    assert_eq!((verdict.size, verdict.origin.as_str()), (u64::from(ENTRIES), ORIGIN));
    assert_eq!(verdict.entries_unknown, u64::from(ENTRIES));

    // Same entries, same key: the same files, byte for byte.
    let ours: Files = log_of(&demo_entries(ENTRIES));
    for (path, bytes) in &ours {
        assert_eq!(source.read(path).unwrap().as_ref(), Some(bytes), "{path}");
    }

    // Control: one byte of it.
    let bundle = dir.path().join("tile/entries/100");
    let mut bytes = std::fs::read(&bundle).unwrap();
    bytes[77] ^= 1;
    std::fs::write(&bundle, bytes).unwrap();
    let verdict = verify(&source, &key);
    let found = (verdict.failure, verdict.at.as_deref());
    assert_eq!(found, (Some(Failure::BadBundle), Some("tile/entries/100")));
}
