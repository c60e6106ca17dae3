//! The log as an outsider verifies it: with our verifier, offline, and every fault named.

use leadvault_tests::kit::{Vault, copy_dir, run};
use serde_json::json;

#[test]
fn a_served_log_verifies_and_every_planted_fault_is_named() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    let caller = vault.acting(&tenant);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let kept = caller.get("/v1/log/checkpoint").expect(200).text;
    let old = vault.beside("old");
    copy_dir(&vault.data().join("log").join(&tenant.uuid), &old);
    for _ in 0..5 {
        caller.get(&format!("/v1/leads/{lead}?fields=email")).expect(200);
    }
    std::thread::sleep(std::time::Duration::from_millis(2500));
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
