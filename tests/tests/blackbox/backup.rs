//! Old copies put back: erased stays erased, what was narrowed stays narrow, and what cannot be told apart
//! refuses to start.

use std::path::Path;

use leadvault_test_postgres::Store;
use leadvault_tests::kit::{Caller, Stores, Tenant, Vault, binary, instruction, on_postgres, run};
use serde_json::{Value, json};

use crate::log_kit::{published, verified};

fn erase(vault: &Vault, tenant: &Tenant, lead: &str, key: &str) {
    let path = format!("/v1/leads/{lead}/erase");
    vault.plain(tenant).try_post(&path, &json!({}), key).expect("an answer").expect(200);
}

/// A second dataset with a lead in it.
fn dataset(vault: &Vault, tenant: &Tenant) -> (String, String) {
    let body = json!({ "name": "doomed", "default_region": null, "origin": [] });
    let id = vault.plain(tenant).post("/v1/datasets", &body).expect(201).text_of("id");
    let of = Tenant { dataset: id.clone(), ..tenant.clone() };
    (id, vault.lead(&of, "hopper@example.com"))
}

fn shred(vault: &Vault, tenant: &Tenant, dataset: &str) {
    let path = format!("/v1/datasets/{dataset}/shred");
    let body = json!({ "confirm": dataset });
    let begun = vault.plain(tenant).try_post(&path, &body, "shred").expect("an answer").expect(202);
    let operation = begun.location.expect("an operation to follow");
    vault.plain(tenant).finished(&operation);
}

/// The dataset and its leads are gone, and nothing speaks of them.
fn is_shredded(vault: &Vault, tenant: &Tenant, dataset: &str, lead: &str) {
    let caller = vault.acting(tenant);
    caller.get(&format!("/v1/leads/{lead}?fields=email")).expect(404);
    caller.get(&format!("/v1/leads?dataset={dataset}")).expect(404);
    let listed = vault.plain(tenant).get("/v1/datasets").expect(200);
    assert!(!listed.text.contains(dataset), "{}", listed.text);
}

fn reads(caller: &Caller, lead: &str, email: &str) {
    let read = caller.get(&format!("/v1/leads/{lead}?fields=email")).expect(200);
    assert_eq!(read.body["fields"]["email"], email);
}

#[test]
fn an_old_data_database_brings_nothing_erased_back() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let dead = vault.lead(&tenant, "ada@example.com");
    let alive = vault.lead(&tenant, "grace@example.com");
    let (doomed, in_doomed) = dataset(&vault, &tenant);
    vault.kill();
    vault.keep(&["data.db"], "old");
    vault.up();
    // The control: until now everything reads.
    let caller = vault.acting(&tenant);
    reads(&caller, &dead, "ada@example.com");
    reads(&caller, &in_doomed, "hopper@example.com");
    erase(&vault, &tenant, &dead, "e1");
    shred(&vault, &tenant, &doomed);
    let kept = published(&vault, &tenant);
    vault.kill();
    vault.put_back(&["data.db"], "old");
    vault.up();
    let caller = vault.acting(&tenant);
    caller.get(&format!("/v1/leads/{dead}?fields=email")).expect(404);
    reads(&caller, &alive, "grace@example.com");
    is_shredded(&vault, &tenant, &doomed, &in_doomed);
    // The log was brought up from its files: the checkpoint of before still verifies.
    published(&vault, &tenant);
    let (code, verdict) = verified(&vault, &tenant, &kept);
    assert_eq!((code, &verdict["ok"]), (Some(0), &json!(true)), "{verdict}");
    // New leads take leaves that nothing had before, and another start finds nothing to do.
    let fresh = vault.lead(&tenant, "joan@example.com");
    vault.kill();
    vault.up();
    reads(&vault.acting(&tenant), &fresh, "joan@example.com");
    is_shredded(&vault, &tenant, &doomed, &in_doomed);
    let entries = vault.plain(&tenant).get("/v1/log/entries?from=0").expect(200).text;
    assert_eq!(entries.matches("\"operation\":\"restore\"").count(), 1);
}

#[test]
fn what_was_narrowed_since_the_copy_stays_narrow() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    let lifted = vault.lead(&tenant, "grace@example.com");
    let plain = vault.plain(&tenant);
    let key = json!({ "name": "sync", "role": "reader", "principal": "p2", "country": "DE" });
    let made = plain.post("/v1/keys", &key).expect(201);
    let (key, secret) = (made.text_of("id"), made.text_of("secret"));
    let draft = |effect: &str| {
        let mut body = instruction();
        body["effect"] = json!(effect);
        vault.plain(&tenant).post("/v1/instructions", &body).expect(201).text_of("id")
    };
    let (second, ban) = (draft("permit"), draft("prohibit"));
    let status = |vault: &Vault, id: &str, verb: &str, body: &Value| {
        let path = format!("/v1/instructions/{id}/{verb}");
        vault.plain(&tenant).post(&path, body).expect(200);
    };
    status(&vault, &second, "activate", &json!({ "version": 1 }));
    vault.kill();
    vault.keep(&["data.db"], "old");
    vault.up();
    let acting = vault.acting(&tenant);
    for (lead, verbs) in [(&lead, &["restrict"][..]), (&lifted, &["restrict", "unrestrict"])] {
        for verb in verbs {
            acting.post(&format!("/v1/leads/{lead}/{verb}"), &json!({})).expect(200);
        }
    }
    vault
        .plain(&tenant)
        .send(reqwest::Method::DELETE, &format!("/v1/keys/{key}"), &[], None)
        .expect(204);
    for verb in ["suspend", "revoke"] {
        status(&vault, &second, verb, &json!({}));
    }
    status(&vault, &ban, "activate", &json!({ "version": 1 }));
    let restrict = format!("/v1/tenants/{}/restrict", tenant.id);
    vault.operator().post(&restrict, &json!({})).expect(200);
    published(&vault, &tenant);
    vault.kill();
    vault.put_back(&["data.db"], "old");
    vault.up();
    // The key that was revoked does not live again.
    Caller::new(&vault.url(), &secret).get("/v1/tenant").expect(401);
    let plain = vault.plain(&tenant);
    assert_eq!(plain.get("/v1/tenant").expect(200).text_of("state"), "restricted");
    let of = |id: &str| plain.get(&format!("/v1/instructions/{id}")).expect(200).text_of("status");
    assert_eq!(of(&second), "revoked");
    assert_eq!(of(&ban), "active", "a prohibition narrows");
    let kinds = plain.get("/v1/notices").expect(200).text;
    assert!(kinds.contains("\"restored\""), "{kinds}");
    // Ending a prohibition widens: not before the tenant is active again.
    let reactivate = format!("/v1/tenants/{}/reactivate", tenant.id);
    vault.operator().post(&reactivate, &json!({})).expect(200);
    status(&vault, &ban, "revoke", &json!({}));
    let acting = vault.acting(&tenant);
    let read = |lead: &str| acting.get(&format!("/v1/leads/{lead}?fields=email"));
    assert_eq!(read(&lead).expect(403).code(), "DENY_RESTRICTED");
    read(&lifted).expect(200);
}

#[test]
fn suspended_keys_and_a_shredded_tenant_stay_so() {
    let mut vault = Vault::start();
    let (suspended, shredded) = (vault.tenant(), vault.tenant());
    let lead = vault.lead(&suspended, "ada@example.com");
    vault.kill();
    vault.keep(&["data.db"], "old");
    vault.up();
    vault.plain(&suspended).post("/v1/tenant/keys/suspend", &json!({})).expect(200);
    let confirm = json!({ "confirm": shredded.id });
    let shred = vault.plain(&shredded).try_post("/v1/tenant/shred", &confirm, "s");
    shred.expect("an answer").expect(202);
    published(&vault, &suspended);
    // Made after the copy: its keys stay, the data store does not know it any more.
    let later = vault.tenant();
    vault.kill();
    vault.put_back(&["data.db"], "old");
    vault.up();
    let path = format!("/v1/leads/{lead}?fields=email");
    assert_eq!(vault.acting(&suspended).get(&path).expect(423).code(), "DENY_KEY_DISABLED");
    vault.plain(&suspended).post("/v1/tenant/keys/resume", &json!({})).expect(200);
    reads(&vault.acting(&suspended), &lead, "ada@example.com");
    let listed = vault.operator().get("/v1/tenants").expect(200);
    let state = |id: &str| {
        let all = listed.body["data"].as_array().expect("tenants");
        all.iter().find(|t| t["id"] == id).map(|t| t["state"].clone())
    };
    assert_eq!(state(&shredded.id), Some(json!("closed")));
    assert_eq!(state(&later.id), None);
    vault.plain(&later).get("/v1/tenant").expect(401);
}

/// Copies `old`, erases a lead, puts the copy back; how the start ends.
fn started_with_old(old: &[&str]) -> Result<(), (Option<i32>, String)> {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    vault.kill();
    vault.keep(old, "old");
    vault.up();
    erase(&vault, &tenant, &lead, "e1");
    vault.kill();
    vault.put_back(old, "old");
    vault.up_with(None)
}

#[track_caller]
fn refuses(old: &[&str], refusal: &str) {
    let (code, said) = started_with_old(old).expect_err("it must not start");
    assert_eq!(code, Some(3), "{old:?}: {said}");
    assert!(said.contains(refusal), "{old:?}: {said}");
}

#[test]
fn old_data_and_key_databases_beside_current_slots_refuse_to_start() {
    started_with_old(&["data.db"]).expect("the control: an old data store alone starts");
    refuses(&["keys.db"], "key_store_behind_slot");
    refuses(&["data.db", "keys.db"], "key_store_behind_slot");
}

#[test]
fn old_slots_refuse_to_start() {
    refuses(&["slots"], "slot_behind_log");
    refuses(&["data.db", "slots"], "slot_behind_log");
    refuses(&["keys.db", "slots"], "slot_behind_log");
    // The log is brought up from its bundles first, and knows of the erasure.
    refuses(&["data.db", "keys.db", "slots"], "slot_behind_log");
}

#[test]
fn old_data_beside_old_bundles_is_told_by_the_key_store() {
    started_with_old(&["log"])
        .expect("the control: the data store publishes again what is missing");
    refuses(&["data.db", "log"], "log_behind_checkpoint");
}

#[test]
fn an_image_of_everything_is_named_rollback_by_a_checkpoint_kept_from_before() {
    let all = ["data.db", "keys.db", "slots", "log"];
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    let early = published(&vault, &tenant);
    vault.kill();
    vault.keep(&all, "old");
    vault.up();
    erase(&vault, &tenant, &lead, "e1");
    let kept = published(&vault, &tenant);
    // The control: before the image is put back the log verifies against both.
    for since in [&early, &kept] {
        assert_eq!(verified(&vault, &tenant, since).0, Some(0));
    }
    vault.kill();
    vault.put_back(&all, "old");
    vault.up();
    // From inside it cannot be told: the lead reads.
    reads(&vault.acting(&tenant), &lead, "ada@example.com");
    let (code, verdict) = verified(&vault, &tenant, &kept);
    assert_eq!((code, &verdict["failure"]), (Some(1), &json!("rollback")), "{verdict}");
    assert_eq!(verified(&vault, &tenant, &early).0, Some(0));
}

#[test]
fn restore_puts_the_data_store_back_and_nothing_else() {
    if on_postgres() {
        // The command is about a file; a database is put back with the tools of PostgreSQL.
        return;
    }
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let dead = vault.lead(&tenant, "ada@example.com");
    let alive = vault.lead(&tenant, "grace@example.com");
    vault.kill();
    // A careless backup: everything is in it.
    vault.keep(&["data.db", "keys.db", "slots"], "backup");
    vault.up();
    erase(&vault, &tenant, &dead, "e1");
    let kept = published(&vault, &tenant);
    let lost = vault.lead(&tenant, "joan@example.com");
    published(&vault, &tenant);
    let (config, backup) = (vault.config(), vault.beside("backup"));
    let text = |p: &Path| p.to_str().expect("utf-8").to_owned();
    let (config, backup) = (text(&config), text(&backup));
    let restore = |from: &str| run(&["restore", "--config", &config, "--from", from]);
    // Not while the service runs.
    let (code, _, said) = restore(&backup);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("stop the service"), "{said}");
    vault.kill();
    // What is no backup changes nothing.
    let nothing = vault.beside("nothing");
    std::fs::create_dir_all(&nothing).expect("a directory");
    assert_eq!(restore(&text(&nothing)).0, Some(2));
    std::fs::write(nothing.join("data.db"), b"not a database at all").expect("a file");
    assert_eq!(restore(&text(&nothing)).0, Some(2));
    assert_eq!(restore(&text(&vault.data())).0, Some(2), "the live data store itself");
    let slots = std::fs::read(vault.data().join("slots").join(&tenant.uuid)).expect("a slot");
    let (code, report, said) = restore(&backup);
    assert_eq!((code, &report["ok"]), (Some(0), &json!(true)), "{said}");
    assert!(said.contains("4/4"), "{said}");
    let of = &report["tenants"][0];
    assert_eq!(of["tenant"], json!(tenant.id));
    assert!(of["from_size"].as_u64() < of["to_size"].as_u64(), "{report}");
    assert_eq!(of["rows_removed"], json!(1), "{report}");
    let now = std::fs::read(vault.data().join("slots").join(&tenant.uuid)).expect("a slot");
    assert_eq!(now, slots, "the slot was not restored");
    vault.up();
    let caller = vault.acting(&tenant);
    caller.get(&format!("/v1/leads/{dead}?fields=email")).expect(404);
    reads(&caller, &alive, "grace@example.com");
    caller.get(&format!("/v1/leads/{lost}?fields=email")).expect(404);
    // Its row is gone too: the first page begins with the one that lives.
    let first = caller.get("/v1/leads?limit=1").expect(200).body;
    assert_eq!(first["data"][0]["id"], json!(alive), "{first}");
    published(&vault, &tenant);
    assert_eq!(verified(&vault, &tenant, &kept).0, Some(0));
    let entries = vault.plain(&tenant).get("/v1/log/entries?from=0").expect(200).text;
    let id = report["backup_id"].as_str().expect("an id");
    assert!(entries.contains(&format!("\"backup_id\":\"{id}\"")));
    // Another restore keeps the present data store as well, and the one that was kept before.
    vault.kill();
    let kept_first = std::fs::read(report["set_aside"].as_str().expect("a path")).expect("a file");
    let (code, second, said) = restore(&backup);
    assert_eq!(code, Some(0), "{said}");
    assert_ne!(second["set_aside"], report["set_aside"]);
    let still = std::fs::read(report["set_aside"].as_str().expect("a path")).expect("a file");
    assert_eq!(still, kept_first);
}

#[test]
fn who_was_erased_since_the_copy_is_kept_from_coming_in_again() {
    if on_postgres() {
        // The command is about a file; a database is put back with the tools of PostgreSQL.
        return;
    }
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let dead = vault.lead(&tenant, "ada@example.com");
    vault.kill();
    vault.keep(&["data.db"], "backup");
    vault.up();
    erase(&vault, &tenant, &dead, "e1");
    published(&vault, &tenant);
    let text = |p: &Path| p.to_str().expect("utf-8").to_owned();
    let (config, backup) = (text(&vault.config()), text(&vault.beside("backup")));
    let again = json!({ "dataset": tenant.dataset, "fields": { "email": "Ada@Example.com" } });
    // A restore of what was restored knows it too.
    for _ in 0..2 {
        vault.kill();
        let (code, report, said) = run(&["restore", "--config", &config, "--from", &backup]);
        assert_eq!(code, Some(0), "{said}");
        assert!(report["suppressions_carried"].as_u64() > Some(0), "{report}");
        vault.up();
        let refused = vault.acting(&tenant).post("/v1/leads", &again).expect(422);
        assert_eq!(refused.body["errors"][0]["code"], "suppressed");
    }
    // The control, and what is said of it: without the present data store nothing is known.
    vault.kill();
    for name in ["data.db", "data.db-wal", "data.db-shm"] {
        let _ = std::fs::remove_file(vault.data().join(name));
    }
    let (code, report, said) = run(&["restore", "--config", &config, "--from", &backup]);
    assert_eq!((code, &report["suppressions_carried"]), (Some(0), &Value::Null), "{said}");
    assert!(said.contains("cannot be read"), "{said}");
    vault.up();
    vault.acting(&tenant).post("/v1/leads", &again).expect(201);
}

#[test]
fn a_restore_killed_at_any_step_is_finished_by_the_next_one_or_by_the_next_start() {
    if on_postgres() {
        // The command is about a file; a database is put back with the tools of PostgreSQL.
        return;
    }
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let dead = vault.lead(&tenant, "ada@example.com");
    let alive = vault.lead(&tenant, "grace@example.com");
    vault.kill();
    vault.keep(&["data.db"], "backup");
    vault.up();
    erase(&vault, &tenant, &dead, "e1");
    published(&vault, &tenant);
    vault.kill();
    let text = |p: &Path| p.to_str().expect("utf-8").to_owned();
    let (config, backup) = (text(&vault.config()), text(&vault.beside("backup")));
    let args = ["restore", "--config", &config, "--from", &backup];
    for step in ["copied", "checked", "set_aside", "replaced", "brought_up"] {
        for again in [true, false] {
            let mut command = std::process::Command::new(binary());
            command.args(args).env("LEADVAULT_FAILPOINT", format!("restore.{step}"));
            let ended = command.output().expect("it runs").status;
            assert_eq!(ended.code(), None, "{step}: killed");
            if again {
                assert_eq!(run(&args).0, Some(0), "{step}");
            }
            vault.up();
            let caller = vault.acting(&tenant);
            caller.get(&format!("/v1/leads/{dead}?fields=email")).expect(404);
            reads(&caller, &alive, "grace@example.com");
            published(&vault, &tenant);
            vault.kill();
        }
    }
}

#[test]
fn a_lost_key_store_is_rebuilt_from_the_mirror_and_the_logs_go_on() {
    let mut vault = Vault::init();
    let mirror = vault.beside("mirror");
    let config = std::fs::read_to_string(vault.config()).expect("configuration");
    let choice = format!("choices = [\"mirror\"]\nmirror = \"{}\"", mirror.display());
    let mirrored = config.replace("choices = [\"accept-total-loss\"]", &choice);
    assert_ne!(config, mirrored);
    std::fs::write(vault.config(), mirrored).expect("configuration");
    vault.up();
    let tenant = vault.tenant();
    let dead = vault.lead(&tenant, "ada@example.com");
    let alive = vault.lead(&tenant, "grace@example.com");
    erase(&vault, &tenant, &dead, "e1");
    let kept = published(&vault, &tenant);
    vault.kill();
    vault.lose_keys();
    // The control: without its key store it does not start.
    let (code, said) = vault.up_with(None).expect_err("it must not start");
    assert_eq!(code, Some(3));
    assert!(said.contains("key_store_behind_slot"), "{said}");
    let text = |p: &Path| p.to_str().expect("utf-8").to_owned();
    let (code, _, said) =
        run(&["keys", "restore", "--mirror", &text(&mirror), "--config", &text(&vault.config())]);
    assert_eq!(code, Some(0), "{said}");
    vault.up();
    let caller = vault.acting(&tenant);
    caller.get(&format!("/v1/leads/{dead}?fields=email")).expect(404);
    reads(&caller, &alive, "grace@example.com");
    let fresh = vault.lead(&tenant, "joan@example.com");
    reads(&caller, &fresh, "joan@example.com");
    published(&vault, &tenant);
    assert_eq!(verified(&vault, &tenant, &kept).0, Some(0));
}

#[test]
fn a_restore_that_is_refused_leaves_the_present_data_store_in_its_place() {
    if on_postgres() {
        // The command is about a file; a database is put back with the tools of PostgreSQL.
        return;
    }
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    // A backup of another vault holds another log.
    let mut other = Vault::start();
    other.tenant();
    other.kill();
    other.keep(&["data.db"], "backup");
    let theirs = other.beside("backup");
    published(&vault, &tenant);
    vault.kill();
    let text = |p: &Path| p.to_str().expect("utf-8").to_owned();
    let (code, _, said) =
        run(&["restore", "--config", &text(&vault.config()), "--from", &text(&theirs)]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("log_behind_checkpoint"), "{said}");
    vault.up();
    reads(&vault.acting(&tenant), &lead, "ada@example.com");
}

#[test]
fn a_copy_of_another_vault_is_refused_also_before_anything_was_published() {
    if on_postgres() {
        // The command is about a file; a database is put back with the tools of PostgreSQL.
        return;
    }
    let mut other = Vault::start();
    other.tenant();
    other.kill();
    other.keep(&["data.db"], "backup");
    let theirs = other.beside("backup");
    for wait in [0, 50, 300] {
        let mut vault = Vault::start();
        let tenant = vault.tenant();
        let lead = vault.lead(&tenant, "ada@example.com");
        std::thread::sleep(std::time::Duration::from_millis(wait));
        vault.kill();
        let text = |p: &Path| p.to_str().expect("utf-8").to_owned();
        let (code, _, said) =
            run(&["restore", "--config", &text(&vault.config()), "--from", &text(&theirs)]);
        assert_eq!(code, Some(3), "{wait} ms: {said}");
        let codes = ["slot_behind_log", "log_behind_checkpoint"];
        assert!(codes.iter().any(|code| said.contains(code)), "{said}");
        vault.up();
        reads(&vault.acting(&tenant), &lead, "ada@example.com");
    }
}

#[test]
fn a_database_of_another_vault_in_the_place_of_ones_own_is_refused() {
    let Stores::Databases(_) = Vault::init().stores() else {
        // With files it is the command that puts one there, and the test above.
        return;
    };
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    published(&vault, &tenant);
    let mut other = Vault::start();
    other.tenant();
    vault.kill();
    other.kill();
    vault.keep(&["data.db"], "own");
    other.keep(&["data.db"], "theirs");
    if let (Stores::Databases(own), Stores::Databases(theirs)) = (vault.stores(), other.stores()) {
        own.put_in(Store::Data, theirs, "theirs");
    }
    let (code, said) = vault.up_with(None).expect_err("it must not start");
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("log_behind_checkpoint") || said.contains("slot_behind_log"), "{said}");
    vault.put_back(&["data.db"], "own");
    vault.up();
    reads(&vault.acting(&tenant), &lead, "ada@example.com");
}

#[test]
fn a_root_key_that_others_may_read_refuses_to_start() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut vault = Vault::init();
    let wide = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(vault.data().join("root.key"), wide).expect("mode");
    let (code, said) = vault.up_with(None).expect_err("it must not start");
    assert_eq!(code, Some(3));
    assert!(said.contains("root_key_mode"), "{said}");
}
