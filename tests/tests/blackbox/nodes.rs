//! Several nodes on one database: each is a process of its own. What one has answered binds the other's next commit,
//! and a node that is killed takes nothing acknowledged with it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use leadvault_tests::account::Account;
use leadvault_tests::kit::{Caller, Node, Tenant, Vault, on_postgres, until};
use reqwest::Method;
use serde_json::json;

use crate::log_kit::{published, verified};

/// Callers that write at the same time.
const WRITERS: usize = 64;
/// How long they do, and how many nodes are killed meanwhile, one after the other.
const UNDER_FIRE: (Duration, u32) = (Duration::from_secs(5), 2);
/// The same with `cargo xtask test --full`.
const UNDER_FIRE_FULL: (Duration, u32) = (Duration::from_secs(60), 20);

fn reads(caller: &Caller, lead: &str, email: &str) {
    let read = caller.get(&format!("/v1/leads/{lead}?fields=email")).expect(200);
    assert_eq!(read.body["fields"]["email"], email);
}

#[test]
fn what_one_node_has_answered_binds_the_others_next_commit() {
    if !on_postgres() {
        return;
    }
    let vault = Vault::start();
    // It is there before the tenant is.
    let node = vault.node();
    let tenant = vault.tenant();
    let (here, there) = (vault.acting(&tenant), node.acting(&tenant));
    node.plain(&tenant).get("/v1/tenant").expect(200);
    let lead = vault.lead(&tenant, "ada@example.com");
    reads(&there, &lead, "ada@example.com");
    let change = json!({ "fields": { "email": "lovelace@example.com" } });
    let merge = [("content-type", "application/merge-patch+json"), ("if-match", "\"v1\"")];
    let path = format!("/v1/leads/{lead}");
    let body = change.to_string().into_bytes();
    there.send(Method::PATCH, &path, &merge, Some(body)).expect(200);
    reads(&here, &lead, "lovelace@example.com");

    // A dataset made there takes a lead here, and each finds what the other stored.
    let second = json!({ "name": "second", "default_region": null, "origin": [] });
    let second = node.plain(&tenant).post("/v1/datasets", &second).expect(201).text_of("id");
    let of = Tenant { dataset: second.clone(), ..tenant.clone() };
    vault.lead(&of, "grace@example.com");
    let search = json!({ "match": { "email": "grace@example.com" }, "fields": ["email"] });
    let found = there.post("/v1/leads/search", &search).expect(200);
    assert_eq!(found.body["data"].as_array().map(Vec::len), Some(1), "{}", found.text);

    // An instruction that was suspended here permits nothing there, and the other way round.
    let instruction = format!("/v1/instructions/{}", tenant.instruction);
    let read = format!("/v1/leads/{lead}?fields=email");
    vault.plain(&tenant).post(&format!("{instruction}/suspend"), &json!({})).expect(200);
    assert_eq!(there.get(&read).status, 403);
    node.plain(&tenant).post(&format!("{instruction}/resume"), &json!({})).expect(200);
    reads(&here, &lead, "lovelace@example.com");

    // Keys that were suspended here are suspended there, and resumed the other way round.
    vault.plain(&tenant).post("/v1/tenant/keys/suspend", &json!({})).expect(200);
    assert_eq!(there.get(&read).expect(423).code(), "DENY_KEY_DISABLED");
    node.plain(&tenant).post("/v1/tenant/keys/resume", &json!({})).expect(200);
    reads(&here, &lead, "lovelace@example.com");
    reads(&there, &lead, "lovelace@example.com");

    // Erased here: gone there, at once.
    let gone = format!("/v1/leads/{lead}/erase");
    vault.plain(&tenant).try_post(&gone, &json!({}), "e1").expect("an answer").expect(200);
    there.get(&read).expect(404);
    let search = json!({ "match": { "email": "lovelace@example.com" }, "fields": ["email"] });
    let found = there.post("/v1/leads/search", &search).expect(200);
    assert_eq!(found.body["data"].as_array().map(Vec::len), Some(0), "{}", found.text);

    // A dataset that was shredded there.
    let shred = format!("/v1/datasets/{second}/shred");
    let begun = node.plain(&tenant).try_post(&shred, &json!({ "confirm": second }), "s1");
    let begun = begun.expect("an answer").expect(202);
    vault.plain(&tenant).finished(&begun.location.expect("an operation"));
    here.get(&format!("/v1/leads?dataset={second}")).expect(404);

    // A key made here opens there; revoked there, it does not open here.
    let made = vault.key(&tenant, "reader", &json!({}));
    let reader = made.text_of("secret");
    Caller::new(node.url(), &reader).get("/v1/tenant").expect(200);
    let revoke = format!("/v1/keys/{}", made.text_of("id"));
    node.plain(&tenant).send(Method::DELETE, &revoke, &[], None).expect(204);
    Caller::new(&vault.url(), &reader).get("/v1/tenant").expect(401);

    // One log, whoever wrote and whoever published.
    let kept = published(&vault, &tenant);
    there.get(&read).expect(404);
    published(&vault, &tenant);
    let (code, verdict) = verified(&vault, &tenant, &kept);
    assert_eq!((code, &verdict["ok"]), (Some(0), &json!(true)), "{verdict}");

    // And the end of the tenant.
    let confirm = json!({ "confirm": tenant.id });
    let shred = vault.plain(&tenant).try_post("/v1/tenant/shred", &confirm, "s2");
    shred.expect("an answer").expect(202);
    let refused = there.get(&read).status;
    assert!([401, 403, 404, 410, 423].contains(&refused), "{refused}");
}

/// One of two nodes, replaced by a new process when it is killed.
struct Pair<'v> {
    vault: &'v Vault,
    nodes: Mutex<[Option<Node>; 2]>,
    urls: Mutex<[String; 2]>,
}

impl<'v> Pair<'v> {
    fn of(vault: &'v Vault) -> Self {
        let nodes = [vault.node(), vault.node()];
        let urls = [nodes[0].url().to_owned(), nodes[1].url().to_owned()];
        Self { vault, nodes: Mutex::new(nodes.map(Some)), urls: Mutex::new(urls) }
    }

    fn url(&self, which: usize) -> String {
        self.urls.lock().expect("no panic")[which].clone()
    }

    /// SIGKILL, and another process in its place.
    fn replace(&self, which: usize) {
        drop(self.nodes.lock().expect("no panic")[which].take());
        let node = self.vault.node();
        self.urls.lock().expect("no panic")[which] = node.url().to_owned();
        self.nodes.lock().expect("no panic")[which] = Some(node);
    }
}

#[test]
fn nodes_that_are_killed_under_64_writers_lose_nothing_acknowledged() {
    if !on_postgres() {
        return;
    }
    let vault = Vault::start();
    let tenant = vault.tenant();
    let pair = Pair::of(&vault);
    let account = Mutex::new(Account::of(&tenant));
    let (stop, made, again) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (pair, tenant, account) = (&pair, &tenant, &account);
            let (stop, made, again) = (&stop, &made, &again);
            scope.spawn(move || {
                for n in 0.. {
                    if stop.load(Ordering::Acquire) {
                        break;
                    }
                    let email = format!("w{writer}n{n}@example.com");
                    let body = json!({ "dataset": tenant.dataset, "fields": { "email": email } });
                    let (body, key) = (body.to_string().into_bytes(), format!("w{writer}-{n}"));
                    // The same key until somebody answers, each time to the other node: made once.
                    for attempt in 0_usize.. {
                        let url = pair.url((writer + attempt) % 2);
                        let caller = Caller::new(&url, &tenant.key)
                            .under(&tenant.instruction, "crm_operations");
                        let headers = [
                            ("content-type", "application/json"),
                            ("idempotency-key", key.as_str()),
                        ];
                        let sent = caller.try_send(
                            Method::POST,
                            "/v1/leads",
                            &headers,
                            Some(body.clone()),
                        );
                        match sent {
                            Ok(answer) if answer.status == 201 => {
                                account.lock().expect("no panic").acknowledged(&answer, &email);
                                made.fetch_add(1, Ordering::AcqRel);
                                break;
                            }
                            // In doubt: the retry finds out.
                            Ok(answer) => {
                                assert!([409, 503].contains(&answer.status), "{}", answer.text);
                            }
                            Err(_) => {}
                        }
                        again.fetch_add(1, Ordering::AcqRel);
                        assert!(attempt < 2_000, "nobody answers");
                        std::thread::sleep(Duration::from_millis(20));
                    }
                }
            });
        }
        let full = std::env::var_os("LEADVAULT_FULL").is_some();
        let (time, kills) = if full { UNDER_FIRE_FULL } else { UNDER_FIRE };
        let pause = time / (kills + 1);
        for kill in 0..kills {
            // Not always at the same place of a second.
            std::thread::sleep(pause * (3 + kill % 3) / 4);
            let before = made.load(Ordering::Acquire);
            until("writes go on", || (made.load(Ordering::Acquire) > before).then_some(()));
            pair.replace(usize::from(kill % 2 == 1));
        }
        std::thread::sleep(pause);
        stop.store(true, Ordering::Release);
    });
    let made = usize::try_from(made.load(Ordering::Acquire)).expect("a number");
    assert!(made > WRITERS, "{made} leads");
    assert!(again.load(Ordering::Acquire) > 0, "control: the kills were felt");
    let mut account = account.into_inner().expect("no panic");
    account.assert_kept(&vault, "after the kills");
    // Every address once: no retry made a second lead.
    let stored = vault.plain(&tenant).get("/v1/log/entries?from=0&to=1").status;
    assert_eq!(stored, 200);
    let mut seen = std::collections::HashSet::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/leads?dataset={}&limit=200{cursor}", tenant.dataset);
        let page = vault.acting(&tenant).get(&path).expect(200).body;
        for lead in page["data"].as_array().expect("leads") {
            assert!(seen.insert(lead["id"].as_str().expect("an id").to_owned()));
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), made, "as many leads as were acknowledged");
}

/// A node that kills itself at a step of a job, and what the other makes of it.
#[track_caller]
fn taken_up(
    step: &str,
    begin: impl Fn(&Caller, &Tenant, &str) -> Option<String>,
) -> (Vault, Tenant, String) {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    let mut doomed = vault.node_with(&[("LEADVAULT_FAILPOINT", step)]);
    let operation = begin(&doomed.plain(&tenant), &tenant, &lead);
    until("the node is dead", || doomed.is_dead().then_some(()));
    if let Some(operation) = operation {
        vault.plain(&tenant).finished(&operation);
    }
    (vault, tenant, lead)
}

#[test]
fn work_of_a_node_that_died_is_finished_by_the_other() {
    if !on_postgres() {
        return;
    }
    // An export, rendered by half.
    let (vault, tenant, _) = taken_up("export.assembled", |caller, _, _| {
        let begun = caller.try_post("/v1/exports", &json!({ "plain": true }), "x1");
        Some(begun.expect("an answer").expect(202).text_of("operation"))
    });
    let entries = vault.plain(&tenant).get("/v1/log/entries?from=0").expect(200).text;
    assert_eq!(entries.matches("\"operation\":\"export.ready\"").count(), 1, "{entries}");
    drop(vault);

    // A dataset's shred, its keys forgotten and its rows not removed.
    let (vault, tenant, lead) = taken_up("shred.forgotten", |caller, tenant, _| {
        let path = format!("/v1/datasets/{}/shred", tenant.dataset);
        let begun = caller.try_post(&path, &json!({ "confirm": tenant.dataset }), "s1");
        begun.ok().and_then(|answer| answer.location)
    });
    vault.acting(&tenant).get(&format!("/v1/leads/{lead}?fields=email")).expect(404);
    let ended = || {
        let entries = vault.plain(&tenant).get("/v1/log/entries?from=0").expect(200).text;
        (entries.matches("\"operation\":\"erase.completed\"").count() == 1).then_some(())
    };
    until("the shred is over", ended);
    drop(vault);

    // An erasure between the slot and the row.
    let (vault, tenant, lead) = taken_up("erase.punctured", |caller, _, lead| {
        let _ = caller.try_post(&format!("/v1/leads/{lead}/erase"), &json!({}), "e1");
        None
    });
    vault.acting(&tenant).get(&format!("/v1/leads/{lead}?fields=email")).expect(404);
    until("the erasure is over", || {
        let entries = vault.plain(&tenant).get("/v1/log/entries?from=0").expect(200).text;
        (entries.matches("\"operation\":\"erase.completed\"").count() == 1).then_some(())
    });
}
