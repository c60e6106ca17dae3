//! Every file of a published log, changed or gone: the verifier names it and ends with 1.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use leadvault_tests::kit::{Tenant, Vault, copy_dir, files, run, until};
use serde_json::{Value, json};

/// Entries of the log: more than one full bundle, so that there are full and partial tiles of two levels.
const ENTRIES: u64 = 270;
/// Of a file up to this size each byte is changed; of a larger one, as many bytes spread over it.
const EACH_BYTE_UP_TO: usize = 24;

struct Log {
    dir: PathBuf,
    vkey: PathBuf,
}

impl Log {
    fn verify(&self, since: Option<&Path>) -> (Option<i32>, Value) {
        let text = |path: &Path| path.to_str().expect("utf-8").to_owned();
        let mut args = vec!["verify".to_owned(), "log".to_owned(), text(&self.dir)];
        args.extend(["--vkey".to_owned(), text(&self.vkey)]);
        if let Some(since) = since {
            args.extend(["--since".to_owned(), text(since)]);
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let (code, verdict, _) = run(&args);
        (code, verdict)
    }
}

/// A log of a server that has ended, and its verifier key.
fn log_of(vault: &mut Vault, tenant: &Tenant, name: &str) -> Log {
    vault.signal(rustix::process::Signal::TERM);
    assert_eq!(vault.ended(), Some(0), "a clean end");
    let (dir, vkey) = (vault.beside(name), vault.beside("vkey"));
    copy_dir(&vault.data().join("log").join(&tenant.uuid), &dir);
    std::fs::write(&vkey, &tenant.vkey).expect("the vkey");
    Log { dir, vkey }
}

/// The files that the last checkpoint needs: of the partial tiles of one place, the widest. Narrower ones are of
/// checkpoints before it.
fn needed(files: Vec<String>) -> Vec<String> {
    let partial = |name: &str| {
        let (place, width) = name.rsplit_once(".p/")?;
        Some((place.to_owned(), width.parse::<u32>().ok()?))
    };
    let widest: BTreeMap<String, u32> = files.iter().filter_map(|name| partial(name)).fold(
        BTreeMap::new(),
        |mut all, (place, width)| {
            let held = all.entry(place).or_default();
            *held = width.max(*held);
            all
        },
    );
    let is_needed = |name: &String| {
        partial(name).is_none_or(|(place, width)| widest.get(&place) == Some(&width))
    };
    files.into_iter().filter(is_needed).collect()
}

#[test]
fn a_changed_or_missing_file_of_the_log_is_named() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    let caller = vault.acting(&tenant);
    let mut last = 0;
    while last < ENTRIES {
        let read = caller.get(&format!("/v1/leads/{lead}?fields=email")).expect(200);
        last = read.index.expect("an index");
    }
    let log = log_of(&mut vault, &tenant, "log");
    let (code, verdict) = log.verify(None);
    assert_eq!((code, &verdict["ok"]), (Some(0), &json!(true)), "{verdict}");
    let files = needed(files(&log.dir));
    assert!(
        files.len() >= 6,
        "checkpoint, a full and a partial tile and bundle, a level above: {files:?}"
    );
    for name in &files {
        let path = log.dir.join(name);
        let before = std::fs::read(&path).expect("a file");
        let step = before.len().div_ceil(EACH_BYTE_UP_TO);
        for at in (0..before.len()).step_by(step.max(1)) {
            let mut bytes = before.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).expect("a change");
            let (code, verdict) = log.verify(None);
            assert_eq!(
                (code, &verdict["ok"]),
                (Some(1), &json!(false)),
                "{name} byte {at}: {verdict}"
            );
            let named = verdict["at"].as_str().expect("a place");
            assert_eq!(named, name, "byte {at}: {verdict}");
        }
        for (cut, kind) in [(before.len().saturating_sub(1), "one byte short"), (0, "empty")] {
            if name == "vkey" && cut > 0 {
                // Its last byte ends the line; without it the key is the same.
                continue;
            }
            std::fs::write(&path, &before[..cut]).expect("a change");
            let (code, verdict) = log.verify(None);
            assert_eq!(
                (code, &verdict["ok"]),
                (Some(1), &json!(false)),
                "{name} {kind}: {verdict}"
            );
            assert_eq!(verdict["at"].as_str(), Some(name.as_str()), "{kind}: {verdict}");
        }
        std::fs::remove_file(&path).expect("a file");
        let (code, verdict) = log.verify(None);
        if name == "vkey" {
            // A copy for people; the key to verify with is the one that is given.
            assert_eq!(code, Some(0), "{verdict}");
        } else {
            assert_eq!(
                (code, &verdict["failure"]),
                (Some(1), &json!("missing")),
                "{name}: {verdict}"
            );
            assert_eq!(verdict["at"].as_str(), Some(name.as_str()), "{verdict}");
        }
        std::fs::write(&path, &before).expect("mended");
    }
    let (code, verdict) = log.verify(None);
    assert_eq!(code, Some(0), "mended: {verdict}");
}

#[test]
fn a_log_that_was_cut_or_written_anew_is_named_by_what_was_kept() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    let read = format!("/v1/leads/{lead}?fields=email");
    vault.acting(&tenant).get(&read).expect(200);
    // A common past, at which the vault is copied.
    vault.signal(rustix::process::Signal::TERM);
    assert_eq!(vault.ended(), Some(0));
    let copy = vault.beside("copy");
    copy_dir(&vault.data(), &copy);
    vault.keep(&["data.db", "keys.db"], "stores");
    let old = vault.beside("old");
    copy_dir(&vault.data().join("log").join(&tenant.uuid), &old);
    // One future: three reads, and what a tenant keeps of it.
    vault.up();
    let mut kept_receipt = String::new();
    let mut index = 0;
    for _ in 0..3 {
        let answer = vault.acting(&tenant).get(&read).expect(200);
        kept_receipt = answer.receipt.expect("a receipt");
        index = answer.index.expect("an index");
    }
    let kept = vault.published(&tenant, index + 1);
    let log = log_of(&mut vault, &tenant, "one");
    let (since, receipt) = (vault.beside("since"), vault.beside("receipt"));
    std::fs::write(&since, &kept).expect("kept");
    std::fs::write(&receipt, &kept_receipt).expect("kept");
    for kept in [&since, &receipt] {
        let (code, verdict) = log.verify(Some(kept));
        assert_eq!(code, Some(0), "the control: {verdict}");
    }
    // The past put back: rollback.
    let rolled = Log { dir: old, vkey: log.vkey.clone() };
    for kept in [&since, &receipt] {
        let (code, verdict) = rolled.verify(Some(kept));
        assert_eq!((code, &verdict["failure"]), (Some(1), &json!("rollback")), "{verdict}");
    }
    assert_eq!(rolled.verify(None).0, Some(0), "without what was kept it cannot be told");
    // Another future from the same past, longer: fork.
    std::fs::remove_dir_all(vault.data()).expect("removed");
    copy_dir(&copy, &vault.data());
    vault.put_back(&["data.db", "keys.db"], "stores");
    for key in ["root.key", "operator.key"] {
        use std::os::unix::fs::PermissionsExt as _;
        let narrow = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(vault.data().join(key), narrow).expect("mode");
    }
    vault.up();
    let other = vault.lead(&tenant, "grace@example.com");
    let path = format!("/v1/leads/{other}?fields=email");
    let index = (0..6).filter_map(|_| vault.acting(&tenant).get(&path).expect(200).index).max();
    let index = index.expect("an index");
    until("it is published", || (!vault.published(&tenant, index + 1).is_empty()).then_some(()));
    let forked = log_of(&mut vault, &tenant, "two");
    for kept in [&since, &receipt] {
        let (code, verdict) = forked.verify(Some(kept));
        assert_eq!((code, &verdict["failure"]), (Some(1), &json!("fork")), "{verdict}");
    }
    assert_eq!(forked.verify(None).0, Some(0), "without what was kept it cannot be told");
}
