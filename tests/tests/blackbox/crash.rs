//! SIGKILL at every numbered step of erasure, epoch, commit and publication: what was acknowledged holds,
//! nothing else is lost, the log is complete, and the erasure that was requested is finished by the next
//! start.

use std::path::Path;

use leadvault_tests::account::{Account, entries};
use leadvault_tests::kit::{Caller, Tenant, Vault};
use reqwest::Method;
use serde_json::{Value, json};

/// Every fail point on the way of one erasure, in order.
const ERASURE: &[&str] = &[
    "commit.1.begun",
    "commit.2.written",
    "commit.3.chunk",
    "commit.4.committed",
    "erase.requested",
    "advance.1.read",
    "advance.2.applied",
    "advance.3.decided",
    "advance.3.mirrored",
    "advance.4.control",
    "slot.first-copy",
    "slot.second-copy",
    "advance.5.slot",
    "advance.6.forgotten",
    "advance.6.confirmed",
    "advance.7.swept",
    "erase.punctured",
    "erase.row_removed",
    // An erasure commits two or three times: the permit to leave where there is none yet, the request, and
    // `erase.completed`.
    "commit.1.begun@2",
    "commit.2.written@2",
    "commit.3.chunk@2",
    "commit.4.committed@2",
    "erase.completed",
    "publish.1.files",
    "publish.2.checkpoint",
];
/// The steps of one commit (protocols.md 2.1).
const COMMIT: &[&str] =
    &["commit.1.begun", "commit.2.written", "commit.3.chunk", "commit.4.committed"];

/// Where the sealed epoch key stands in a slot record, and how long it is (`keys`, `slot_record.rs`).
const SEALED: std::ops::Range<usize> = 44..172;

/// The wraps of epoch keys that a slot file holds.
fn wraps(slot: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(slot).expect("the slot file");
    let records = bytes.windows(4).enumerate().filter(|(_, magic)| *magic == b"LVS\x01");
    records.map(|(at, _)| bytes[at + SEALED.start..at + SEALED.end].to_vec()).collect()
}

/// How often `wanted` occurs in a file.
fn occurrences(file: &Path, wanted: &[u8]) -> usize {
    let bytes = std::fs::read(file).expect("the slot file");
    bytes.windows(wanted.len()).filter(|window| *window == wanted).count()
}

/// Entries of a tenant's log that hold a word.
fn count(vault: &Vault, tenant: &Tenant, word: &str) -> usize {
    entries(vault, tenant).iter().filter(|line| line.contains(word)).count()
}

fn erase(vault: &Vault, tenant: &Tenant, lead: &str, key: &str) -> reqwest::Result<u16> {
    let path = format!("/v1/leads/{lead}/erase");
    vault.plain(tenant).try_post(&path, &json!({}), key).map(|answer| answer.status)
}

#[test]
fn a_kill_at_any_step_of_an_erasure_is_finished_by_the_next_start() {
    let mut vault = Vault::mirrored();
    let tenant = vault.tenant();
    let mut account = Account::of(&tenant);
    account.lead(&vault, "grace@example.com");
    let slot = vault.data().join("slots").join(&tenant.uuid);
    for (n, step) in ERASURE.iter().enumerate() {
        let lead = account.lead(&vault, &format!("ada{n}@example.com"));
        let old = wraps(&slot);
        assert_eq!(old.len(), 2, "{step}: two copies of the slot's record");
        assert!(old.iter().all(|wrap| occurrences(&slot, wrap) == 2), "the search finds a wrap");
        vault.kill();
        match vault.up_with(Some(step)) {
            Ok(()) => {
                let cut = erase(&vault, &tenant, &lead, &format!("e{n}"));
                assert!(cut.is_err(), "{step}: the server must have died, it answered {cut:?}");
                vault.wait_dead();
            }
            // A commit or a publication of the start itself came first: killed, and it said nothing.
            Err((code, said)) => assert_eq!(code, None, "{step}: {said}"),
        }
        vault.up();
        let requested = count(&vault, &tenant, "\"erase.requested\"");
        if requested == n {
            // Cut before the commit of the request: nothing happened, and it may be asked for again.
            let may = ["commit.", "publish."].iter().any(|group| step.starts_with(group));
            assert!(may, "{step}: comes after the request");
            account.assert_kept(&vault, step);
            assert_eq!(erase(&vault, &tenant, &lead, &format!("e{n}")).ok(), Some(200), "{step}");
        }
        let requested = count(&vault, &tenant, "\"erase.requested\"");
        assert_eq!(requested, n + 1, "{step}");
        account.erased(&lead);
        account.assert_kept(&vault, step);
        for wrap in old {
            assert_eq!(occurrences(&slot, &wrap), 0, "{step}: the old epoch key is in the slot");
        }
    }
    assert!(count(&vault, &tenant, "\"erase.completed\"") >= ERASURE.len());
}

/// A call that commits, as the test makes it.
struct Committing {
    name: &'static str,
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Option<Value>,
}

impl Committing {
    fn send(&self, caller: &Caller) -> reqwest::Result<leadvault_tests::kit::Answer> {
        let headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let body = self.body.as_ref().map(|body| body.to_string().into_bytes());
        caller.try_send(self.method.clone(), &self.path, &headers, body)
    }
}

#[test]
fn a_kill_at_any_step_of_a_commit_leaves_all_of_it_or_nothing() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let mut account = Account::of(&tenant);
    let lead = account.lead(&vault, "grace@example.com");
    let changed = vault.lead(&tenant, "changes@example.com");
    for (n, step) in COMMIT.iter().enumerate() {
        let is_committed = *step == "commit.4.committed";
        let made = format!("made{n}@example.com");
        let json = ("content-type", "application/json".to_owned());
        let merge = ("content-type", "application/merge-patch+json".to_owned());
        let etag =
            vault.acting(&tenant).get(&format!("/v1/leads/{changed}")).etag.expect("an ETag");
        let calls = [
            Committing {
                name: "read",
                method: Method::GET,
                path: format!("/v1/leads/{lead}?fields=email"),
                headers: Vec::new(),
                body: None,
            },
            Committing {
                name: "create",
                method: Method::POST,
                path: "/v1/leads".to_owned(),
                headers: vec![json.clone()],
                body: Some(json!({ "dataset": tenant.dataset, "fields": { "email": made } })),
            },
            Committing {
                name: "change",
                method: Method::PATCH,
                path: format!("/v1/leads/{changed}"),
                headers: vec![merge, ("if-match", etag)],
                body: Some(json!({ "fields": { "last_name": format!("N{n}") } })),
            },
        ];
        for call in &calls {
            let when = format!("{} cut at {step}", call.name);
            let before = entries(&vault, &tenant).len();
            vault.kill();
            vault.up_with(Some(step)).expect("it starts");
            let cut = call.send(&vault.acting(&tenant));
            assert!(cut.is_err(), "{when}: the server must have died, it answered {cut:?}");
            vault.wait_dead();
            vault.up();
            let after = entries(&vault, &tenant).len();
            assert_eq!(after > before, is_committed, "{when}: {before} entries, then {after}");
            account.assert_kept(&vault, &when);
        }
        let found = vault.acting(&tenant).post(
            "/v1/leads/search",
            &json!({ "dataset": tenant.dataset, "match": { "email": made }, "fields": ["email"] }),
        );
        let found = found.expect(200).body["data"].as_array().map_or(0, Vec::len);
        assert_eq!(found, usize::from(is_committed), "{step}: the lead whose answer was cut");
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill_at_any_moment() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let mut account = Account::of(&tenant);
    for n in 0..20 {
        account.lead(&vault, &format!("p{n}@example.com"));
        if n % 5 == 4 {
            vault.kill();
            vault.up();
        }
    }
    account.assert_kept(&vault, "after four kills");
}
