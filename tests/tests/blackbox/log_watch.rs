//! `verify log URL` and `log watch`: the served log, followed from outside with a key.

use std::path::Path;

use leadvault_tests::kit::{Tenant, Vault, run};
use serde_json::json;

use crate::log_kit::published;

fn text(path: &Path) -> String {
    path.to_str().expect("utf-8").to_owned()
}

/// Files an outsider has: the API key and the log's verifier key.
fn keys(vault: &Vault, tenant: &Tenant) -> (String, String) {
    let (key, vkey) = (vault.beside("tenant.key"), vault.beside("log.vkey"));
    std::fs::write(&key, format!("{}\n", tenant.key)).expect("key");
    std::fs::write(&vkey, format!("{}\n", tenant.vkey)).expect("vkey");
    (text(&key), text(&vkey))
}

#[test]
fn a_log_verifies_at_its_url_with_a_key() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let kept = published(&vault, &tenant);
    vault.lead(&tenant, "ada@example.com");
    published(&vault, &tenant);
    let (key, vkey) = keys(&vault, &tenant);
    let since = vault.beside("since");
    std::fs::write(&since, kept).expect("kept");
    let url = format!("{}/v1/log", vault.url());
    let verify = |key: &str, vkey: &str| {
        run(&["verify", "log", &url, "--vkey", vkey, "--key-file", key, "--since", &text(&since)])
    };
    let (code, verdict, err) = verify(&key, &vkey);
    assert_eq!((code, &verdict["ok"]), (Some(0), &json!(true)), "{verdict} {err}");
    // Another log's key, a key that is none, and a server that is gone are three different answers.
    let other = vault.tenant();
    let other_vkey = vault.beside("other.vkey");
    std::fs::write(&other_vkey, &other.vkey).expect("vkey");
    let (code, verdict, _) = verify(&key, &text(&other_vkey));
    assert_eq!((code, &verdict["ok"]), (Some(1), &json!(false)), "{verdict}");
    let wrong = vault.beside("wrong.key");
    std::fs::write(&wrong, "lv_live_local_wrong").expect("key");
    let (code, verdict, err) = verify(&text(&wrong), &vkey);
    assert_eq!((code, verdict), (Some(2), json!(null)), "{err}");
    vault.kill();
    assert_eq!(verify(&key, &vkey).0, Some(4));
}

#[test]
fn a_watcher_keeps_the_checkpoint_and_sees_a_log_that_was_put_back() {
    let all = ["data.db", "keys.db", "slots", "log"];
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    published(&vault, &tenant);
    vault.kill();
    vault.keep(&all, "image");
    vault.up();
    let (key, vkey) = keys(&vault, &tenant);
    let state = text(&vault.beside("kept.checkpoint"));
    let watch = |url: &str| {
        let with = ["--key-file", &key, "--vkey", &vkey, "--state", &state, "--once"];
        run(&[&["log", "watch", "--url", url], &with[..]].concat())
    };
    let size = || {
        let kept = std::fs::read_to_string(&state).expect("a kept checkpoint");
        kept.lines().nth(1).and_then(|n| n.parse::<u64>().ok()).expect("a size")
    };
    assert_eq!(watch(&vault.url()).0, Some(0));
    let first = size();
    vault.lead(&tenant, "ada@example.com");
    published(&vault, &tenant);
    assert_eq!(watch(&vault.url()).0, Some(0));
    let second = size();
    assert!(second > first, "it moved with the log");
    vault.kill();
    assert_eq!(watch("http://127.0.0.1:1").0, Some(4), "nobody answers");
    assert_eq!(size(), second);
    vault.put_back(&all, "image");
    vault.up();
    let (code, verdict, _) = watch(&vault.url());
    assert_eq!((code, &verdict["failure"]), (Some(1), &json!("rollback")), "{verdict}");
    assert_eq!(size(), second, "what was kept stays");
}
