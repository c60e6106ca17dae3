//! The log as an outsider verifies it: with our verifier and with others', offline, and every fault named.

use std::collections::BTreeMap;
use std::path::Path;

use leadvault_ledger::verify_log;
use leadvault_tests::kit::{Vault, copy_dir, run};
use serde_json::json;
use tlog_tiles::{Tile, TileHashReader, TileReader};

use crate::log_kit::{published, verified};

type Files = BTreeMap<String, Vec<u8>>;

/// Every file of a log, by its path in it.
fn files_of(log: &Path) -> Files {
    let mut files = Files::new();
    let mut dirs = vec![log.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                let name = path.strip_prefix(log).expect("inside").to_str().expect("utf-8");
                files.insert(name.to_owned(), std::fs::read(&path).expect("a file"));
            }
        }
    }
    files
}

fn holds(files: &Files, vkey: &str) -> leadvault_ledger::Verdict {
    verify_log(files, vkey, None).expect("files in memory can be read")
}

#[test]
fn every_flipped_byte_and_every_missing_file_of_a_served_log_is_named() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    vault.acting(&tenant).get(&format!("/v1/leads/{lead}?fields=email")).expect(200);
    published(&vault, &tenant);
    let mut files = files_of(&vault.data().join("log").join(&tenant.uuid));
    // The key that lies beside the log is for people; a verifier brings its own.
    let beside = files.remove("vkey").expect("a key beside the log");
    assert_eq!(String::from_utf8_lossy(&beside).trim(), tenant.vkey);
    assert!(holds(&files, &tenant.vkey).ok, "the control");
    // Partial files that a later one replaced are nobody's: what the log holds without is not looked at.
    let needed: Vec<String> = files
        .keys()
        .filter(|name| {
            let without: Files = files
                .iter()
                .filter(|(n, _)| n != name)
                .map(|(n, b)| (n.clone(), b.clone()))
                .collect();
            let verdict = holds(&without, &tenant.vkey);
            if !verdict.ok {
                assert_eq!(verdict.failure.map(|f| json!(f)), Some(json!("missing")), "{name}");
            }
            !verdict.ok
        })
        .cloned()
        .collect();
    assert!(needed.len() >= 3, "checkpoint, bundle and tile: {needed:?}");
    let mut flipped = 0;
    for name in needed {
        let length = files[&name].len();
        for place in 0..length {
            let bytes = files.get_mut(&name).expect("a file");
            bytes[place] ^= 1 << (place % 8);
            let verdict = holds(&files, &tenant.vkey);
            assert!(!verdict.ok && verdict.failure.is_some(), "{name}: byte {place}");
            assert!(verdict.at.is_some(), "{name}: byte {place}");
            files.get_mut(&name).expect("a file")[place] ^= 1 << (place % 8);
            flipped += 1;
        }
    }
    assert!(flipped > 1_000, "{flipped} bytes");
    assert!(holds(&files, &tenant.vkey).ok, "mended");
}

#[test]
fn a_log_that_was_rewritten_since_a_kept_checkpoint_is_a_fork_and_a_shorter_one_a_rollback() {
    let all = ["data.db", "keys.db", "slots", "log"];
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    published(&vault, &tenant);
    vault.kill();
    vault.keep(&all, "image");
    vault.up();
    let read = |vault: &Vault, times: usize| {
        for _ in 0..times {
            vault.acting(&tenant).get(&format!("/v1/leads/{lead}?fields=email")).expect(200);
        }
        published(vault, &tenant)
    };
    let kept = read(&vault, 2);
    assert_eq!(verified(&vault, &tenant, &kept).0, Some(0), "the control");
    // The same history told otherwise: first shorter than what was kept, then longer.
    vault.kill();
    vault.put_back(&all, "image");
    vault.up();
    read(&vault, 1);
    let (code, verdict) = verified(&vault, &tenant, &kept);
    assert_eq!((code, &verdict["failure"]), (Some(1), &json!("rollback")), "{verdict}");
    read(&vault, 4);
    let (code, verdict) = verified(&vault, &tenant, &kept);
    assert_eq!((code, &verdict["failure"]), (Some(1), &json!("fork")), "{verdict}");
    // A receipt is as good as a checkpoint.
    let answer = vault.acting(&tenant).get(&format!("/v1/leads/{lead}?fields=email")).expect(200);
    let receipt = answer.receipt.expect("a receipt");
    published(&vault, &tenant);
    assert_eq!(verified(&vault, &tenant, &receipt).0, Some(0));
    vault.kill();
    vault.put_back(&all, "image");
    let (code, verdict) = verified(&vault, &tenant, &receipt);
    assert_eq!((code, &verdict["failure"]), (Some(1), &json!("rollback")), "{verdict}");
}

/// Our files, read by another's reader.
struct TheirReader<'a>(&'a Files);

impl TileReader for TheirReader<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let path = |tile: &Tile| tile.path().replacen("tile/8/", "tile/", 1);
        let file = |tile| self.0.get(&path(tile)).cloned();
        tiles.iter().map(|tile| file(tile).ok_or(tlog_tiles::Error::InvalidTile)).collect()
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

/// What other people's crates make of a log: the size they found, if all of it holds.
fn judged_by_others(files: &Files, vkey: &str) -> Option<u64> {
    let note = signed_note::Note::from_bytes(files.get("checkpoint")?).ok()?;
    let verifier = signed_note::StandardVerifier::new(vkey.trim()).ok()?;
    let known = signed_note::VerifierList::new(vec![Box::new(verifier)]);
    let (held, _) = note.verify(&known).ok()?;
    if held.is_empty() {
        return None;
    }
    let read = tlog_tiles::Checkpoint::from_bytes(note.text()).ok()?;
    let reader = TheirReader(files);
    let hashes = TileHashReader::new(read.size(), *read.hash(), &reader);
    let root = tlog_tiles::tree_hash(read.size(), &hashes).ok()?;
    (root.0 == read.hash().0).then_some(read.size())
}

#[test]
fn the_log_of_the_demo_holds_for_our_verifier_and_for_signed_note_and_tlog_tiles() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path().join("demo");
    let (code, report, err) = run(&["demo", "--once", "--dir", dir.to_str().expect("utf-8")]);
    assert_eq!(code, Some(0), "{err}");
    let member = |name: &str| report[name].as_str().expect("a path").to_owned();
    let (log, vkey) = (member("log_dir"), member("vkey_file"));
    let (code, verdict, _) = run(&["verify", "log", &log, "--vkey", &vkey]);
    assert_eq!((code, &verdict["ok"]), (Some(0), &json!(true)), "{verdict}");
    let vkey = std::fs::read_to_string(vkey).expect("a key");
    let mut files = files_of(Path::new(&log));
    assert_eq!(judged_by_others(&files, &vkey), verdict["size"].as_u64());
    // The control: they see a flipped byte too.
    for (kind, place) in [("checkpoint", 40), ("tile/0", 5)] {
        // Of the partial tiles one is read; which one is theirs to say.
        let names: Vec<_> = files.keys().filter(|n| n.starts_with(kind)).cloned().collect();
        for name in &names {
            files.get_mut(name).expect("a file")[place] ^= 1;
        }
        assert_eq!(judged_by_others(&files, &vkey), None, "{kind}");
        for name in &names {
            files.get_mut(name).expect("a file")[place] ^= 1;
        }
    }
    assert_eq!(judged_by_others(&files, &vkey), verdict["size"].as_u64(), "mended");
}

#[test]
fn a_served_log_verifies_and_every_planted_fault_is_named() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    let caller = vault.acting(&tenant);
    let kept = published(&vault, &tenant);
    let old = vault.beside("old");
    copy_dir(&vault.data().join("log").join(&tenant.uuid), &old);
    for _ in 0..5 {
        caller.get(&format!("/v1/leads/{lead}?fields=email")).expect(200);
    }
    published(&vault, &tenant);
    let log = vault.beside("log");
    copy_dir(&vault.data().join("log").join(&tenant.uuid), &log);
    let vkey = vault.beside("vkey");
    std::fs::write(&vkey, &tenant.vkey).expect("vkey");
    let since = vault.beside("since");
    std::fs::write(&since, &kept).expect("since");
    let text = |p: &std::path::Path| p.to_str().expect("utf-8").to_owned();
    let verify =
        || run(&["verify", "log", &text(&log), "--vkey", &text(&vkey), "--since", &text(&since)]);
    let (code, verdict, _) = verify();
    assert_eq!((code, &verdict["ok"]), (Some(0), &json!(true)), "{verdict}");
    assert_eq!(verdict["entries_unknown"], 0);
    let newest = std::fs::read(log.join("checkpoint")).expect("checkpoint");
    // A flipped byte in each file.
    for name in ["checkpoint", "tile/entries", "tile/0"] {
        let path = log.join(name);
        let path = if path.is_dir() { newest_file(&path) } else { path };
        let before = std::fs::read(&path).expect("a file");
        let mut bytes = before.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, &bytes).expect("flipped");
        let (code, verdict, _) = verify();
        assert_eq!((code, &verdict["ok"]), (Some(1), &json!(false)), "{name}");
        std::fs::remove_file(&path).expect("removed");
        let (code, verdict, _) = verify();
        assert_eq!((code, &verdict["ok"]), (Some(1), &json!(false)), "{name}");
        std::fs::write(&path, &before).expect("mended");
    }
    // An older copy of the whole log where a newer checkpoint was seen: rollback.
    std::fs::write(&since, &newest).expect("since");
    let (code, verdict, _) =
        run(&["verify", "log", &text(&old), "--vkey", &text(&vkey), "--since", &text(&since)]);
    assert_eq!((code, &verdict["failure"]), (Some(1), &json!("rollback")), "{verdict}");
}

/// The file a checkpoint needs: the deepest, largest partial or the full tile.
fn newest_file(dir: &std::path::Path) -> std::path::PathBuf {
    let mut files = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { dirs.push(path) } else { files.push(path) }
        }
    }
    files.sort_by_key(|f| std::fs::metadata(f).map_or(0, |m| m.len()));
    files.pop().expect("a file")
}
