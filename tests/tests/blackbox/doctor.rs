//! `doctor` finds each planted fault, names the file, and finds nothing of it before.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use leadvault_tests::kit::{Vault, copy_database, copy_dir, on_postgres, run};
use rustix::process::Signal;
use serde_json::json;

/// Codes and files that `doctor` finds.
fn found(vault: &Vault) -> Vec<(String, Option<String>)> {
    let config = vault.config();
    let (code, report, said) = run(&["doctor", "--config", config.to_str().expect("utf-8")]);
    let findings = report["findings"].as_array().cloned().expect("findings");
    assert_eq!(code, Some(i32::from(!findings.is_empty())), "{report} {said}");
    assert_eq!(report["ok"], findings.is_empty());
    let word = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    findings.iter().map(|f| (word(&f["code"]).expect("a code"), word(&f["at"]))).collect()
}

/// Plants a fault, looks, and mends it.
#[track_caller]
fn assert_found(vault: &Vault, code: &str, at: Option<&str>, plant: impl FnOnce(&Path)) {
    let before = found(vault);
    let is_it = |(c, a): &(String, Option<String>)| c == code && a.as_deref() == at;
    assert!(!before.iter().any(is_it), "{code}: found before it was planted: {before:?}");
    let (data, copy) = (vault.data(), vault.beside("doctor-copy"));
    copy_kept(&data, &copy);
    plant(&data);
    let after = found(vault);
    assert!(after.iter().any(is_it), "{code} {at:?} is not among {after:?}");
    copy_kept(&copy, &data);
    std::fs::remove_dir_all(&copy).expect("removed");
    assert_eq!(found(vault), before, "{code}: mended");
}

/// Makes `to` what `from` is, modes included; but for the ballast, which is large and nothing but room.
fn copy_kept(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for dir in [to, from] {
        for entry in std::fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            let target = to.join(path.file_name().expect("a name"));
            match (path.extension().is_some_and(|e| e == "ballast"), dir == to) {
                (true, true) => {}
                (true, false) => drop(std::fs::File::create(target).expect("a file")),
                (false, true) if path.is_dir() => std::fs::remove_dir_all(path).expect("removed"),
                (false, true) => std::fs::remove_file(path).expect("removed"),
                (false, false) if path.is_dir() => copy_dir(&path, &target),
                (false, false) => drop(std::fs::copy(path, target).expect("a copy")),
            }
        }
    }
    let mode = std::fs::metadata(from).expect("a directory").permissions();
    std::fs::set_permissions(to, mode).expect("mode");
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("mode");
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).expect("a file");
    bytes[at] ^= 1;
    std::fs::write(path, bytes).expect("a change");
}

#[test]
fn each_planted_fault_is_found_and_named() {
    if on_postgres() {
        // Its faults are planted in files.
        return;
    }
    let mut vault = Vault::init();
    assert!(found(&vault).contains(&("not_started_yet".to_owned(), None)));
    vault.up();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    vault.signal(Signal::TERM);
    assert_eq!(vault.ended(), Some(0));
    let old_keys = vault.beside("old-keys.db");
    copy_database(&vault.data().join("keys.db"), &old_keys);
    let old_data = vault.beside("old-data.db");
    copy_database(&vault.data().join("data.db"), &old_data);
    let old_slots = vault.beside("old-slots");
    copy_dir(&vault.data().join("slots"), &old_slots);
    vault.up();
    let path = format!("/v1/leads/{lead}/erase");
    vault.plain(&tenant).try_post(&path, &json!({}), "e1").expect("an answer").expect(200);
    // It may look while the server runs.
    let beside = found(&vault);
    assert!(beside.iter().all(|(code, _)| !code.contains("damaged")), "{beside:?}");
    vault.signal(Signal::TERM);
    assert_eq!(vault.ended(), Some(0));

    let slot = format!("slots/{}", tenant.uuid);
    let log = format!("log/{}", tenant.uuid);
    let checkpoint = format!("{log}/checkpoint");
    let none: Option<&str> = None;
    assert_found(&vault, "root_key_mode", none, |d| mode(&d.join("root.key"), 0o640));
    assert_found(&vault, "operator_key_mode", none, |d| mode(&d.join("operator.key"), 0o604));
    assert_found(&vault, "data_dir_mode", none, |d| mode(d, 0o755));
    assert_found(&vault, "root_key_unreadable", none, |d| {
        std::fs::write(d.join("root.key"), "no key").expect("written");
    });
    assert_found(&vault, "operator_key_unreadable", none, |d| {
        std::fs::write(d.join("operator.key"), "no key").expect("written");
    });
    assert_found(&vault, "root_key_other", none, |d| {
        std::fs::write(d.join("root.key"), "11".repeat(32)).expect("written");
    });
    assert_found(&vault, "slot_missing", Some(&slot), |d| {
        std::fs::remove_file(d.join(&slot)).expect("removed");
    });
    assert_found(&vault, "slot_damaged", Some(&slot), |d| {
        std::fs::write(d.join(&slot), vec![0; 8192]).expect("written");
    });
    assert_found(&vault, "slots_unusable", none, |d| {
        std::fs::remove_dir_all(d.join("slots")).expect("removed");
    });
    assert_found(&vault, "slot_behind_log", Some(&slot), |d| {
        copy_dir(&old_slots, &d.join("slots"))
    });
    assert_found(&vault, "key_store_behind_slot", Some(&slot), |d| {
        copy_database(&old_keys, &d.join("keys.db"));
    });
    assert_found(&vault, "data_behind_log", Some(&log), |d| {
        copy_database(&old_data, &d.join("data.db"));
    });
    assert_found(&vault, "log_damaged", Some(&checkpoint), |d| flip(&d.join(&checkpoint), 60));
    for name in ["data.db", "keys.db"] {
        assert_found(&vault, "database_damaged", Some(name), |d| {
            let file = d.join(name);
            let len = std::fs::metadata(&file).expect("a file").len();
            let mut bytes = std::fs::read(&file).expect("a file");
            // Every page but the first: its head, where the structure is.
            for page in 1..usize::try_from(len / 4096).expect("a length") {
                bytes[page * 4096..page * 4096 + 8].fill(0xff);
            }
            std::fs::write(&file, bytes).expect("written");
        });
        assert_found(&vault, "database_missing", Some(name), |d| {
            std::fs::remove_file(d.join(name)).expect("removed");
        });
        let ballast = format!("{name}.ballast");
        assert_found(&vault, "ballast_missing", Some(&ballast), |d| {
            std::fs::remove_file(d.join(&ballast)).expect("removed");
        });
    }
    let plain: PathBuf = vault.config();
    let configured = |from: &str, to: &str, code: &str| {
        let good = std::fs::read_to_string(&plain).expect("configuration");
        assert!(!found(&vault).iter().any(|(c, _)| c == code), "{code}: before");
        std::fs::write(&plain, good.replacen(from, to, 1)).expect("configuration");
        assert!(found(&vault).iter().any(|(c, _)| c == code), "{code}");
        std::fs::write(&plain, good).expect("configuration");
    };
    configured("listen = \"127.0.0.1:0\"", "listen = \"0.0.0.0:0\"", "plain_http");
    configured("choices = [\"accept-total-loss\"]", "choices = []", "durability_not_chosen");
    let mirror = vault.beside("mirror");
    std::fs::create_dir(&mirror).expect("a directory");
    let same = format!("choices = [\"mirror\"]\nmirror = \"{}\"", mirror.display());
    configured("choices = [\"accept-total-loss\"]", &same, "mirror_same_disk");
    let gone = same.replace("/mirror\"", "/nowhere\"");
    configured("choices = [\"accept-total-loss\"]", &gone, "mirror_unusable");
    let tls = "[tls]\ncert_file = \"none.pem\"\nkey_file = \"none.key\"\n[limits]";
    configured("[limits]", tls, "tls_unusable");
    assert!(
        found(&vault).iter().any(|(code, _)| code == "accept_total_loss"),
        "the choice is repeated"
    );
    vault.up();
}
