//! What a vault has told a test, and whether it still keeps all of it.
#![expect(clippy::expect_used, reason = "a kit of tests: what is unexpected fails the test")]

use leadvault_ledger::tree::leaf_hash;
use serde_json::json;

use crate::kit::{Answer, Tenant, Vault, run};

/// Entries one answer of the log holds at most.
const ENTRIES_PER_ANSWER: u64 = 1_000;

/// Everything acknowledged so far, of one tenant.
#[derive(Debug)]
pub struct Account {
    tenant: Tenant,
    alive: Vec<(String, String)>,
    erased: Vec<String>,
    entries: Vec<(u64, String)>,
    kept: Option<String>,
}

impl Account {
    /// Of a tenant that was told nothing yet.
    pub fn of(tenant: &Tenant) -> Self {
        let tenant = tenant.clone();
        Self { tenant, alive: Vec::new(), erased: Vec::new(), entries: Vec::new(), kept: None }
    }

    /// Notes where an answer's entry stands.
    pub fn note(&mut self, answer: &Answer) {
        if let (Some(index), Some(leaf)) = (answer.index, answer.leaf.clone()) {
            self.entries.push((index, leaf));
        }
    }

    /// Makes a lead that is to stay; its id.
    pub fn lead(&mut self, vault: &Vault, email: &str) -> String {
        let body = json!({ "dataset": self.tenant.dataset, "fields": { "email": email } });
        let made = vault.acting(&self.tenant).post("/v1/leads", &body).expect(201);
        self.acknowledged(&made, email);
        made.text_of("id")
    }

    /// Notes a lead that was made elsewhere and acknowledged.
    pub fn acknowledged(&mut self, made: &Answer, email: &str) {
        self.note(made);
        self.alive.push((made.text_of("id"), email.to_owned()));
    }

    /// From now on this lead must be gone: an erasure was requested of a server that recorded it.
    pub fn erased(&mut self, lead: &str) {
        self.alive.retain(|(id, _)| id != lead);
        self.erased.push(lead.to_owned());
    }

    /// Asserts that the vault keeps everything: each lead reads, each erased one is a 404, each entry stands
    /// where it was acknowledged, and the published log verifies as a continuation of the one kept before.
    pub fn assert_kept(&mut self, vault: &Vault, when: &str) {
        let caller = vault.acting(&self.tenant);
        for (lead, email) in self.alive.clone() {
            let read = caller.get(&format!("/v1/leads/{lead}?fields=email"));
            assert_eq!(read.status, 200, "{when}: {}", read.text);
            assert_eq!(read.body["fields"]["email"], email, "{when}");
            self.note(&read);
        }
        for lead in self.erased.clone() {
            let read = caller.get(&format!("/v1/leads/{lead}?fields=email"));
            assert_eq!(read.status, 404, "{when}: {}", read.text);
            self.note(&read);
        }
        let log = entries(vault, &self.tenant);
        for (index, leaf) in &self.entries {
            let entry = log.get(usize::try_from(*index).expect("an index"));
            let found = entry.map(|entry| hex::encode(leaf_hash(entry.as_bytes())));
            assert_eq!(found.as_deref(), Some(leaf.as_str()), "{when}: entry {index}");
        }
        let last = self.entries.iter().map(|(index, _)| *index).max();
        let checkpoint = vault.published(&self.tenant, last.map_or(0, |index| index + 1));
        self.verify_log(vault, when);
        self.kept = Some(checkpoint);
    }

    fn verify_log(&self, vault: &Vault, when: &str) {
        let (vkey, since) = (vault.beside("account.vkey"), vault.beside("account.since"));
        std::fs::write(&vkey, &self.tenant.vkey).expect("the vkey");
        let log = vault.data().join("log").join(&self.tenant.uuid);
        let text = |path: &std::path::Path| path.to_str().expect("utf-8").to_owned();
        let mut args = vec!["verify".to_owned(), "log".to_owned(), text(&log)];
        args.extend(["--vkey".to_owned(), text(&vkey)]);
        if let Some(kept) = &self.kept {
            std::fs::write(&since, kept).expect("the checkpoint");
            args.extend(["--since".to_owned(), text(&since)]);
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        // The publisher may replace a partial tile while it is read: a second look then finds the next one.
        let (code, verdict, _) = (0..3)
            .map(|_| run(&args))
            .find(|(code, _, _)| *code == Some(0))
            .unwrap_or_else(|| run(&args));
        assert_eq!((code, &verdict["ok"]), (Some(0), &json!(true)), "{when}: {verdict}");
    }
}

/// Every entry of a tenant's log.
pub fn entries(vault: &Vault, tenant: &Tenant) -> Vec<String> {
    let caller = vault.plain(tenant);
    let mut all: Vec<String> = Vec::new();
    loop {
        let from = all.len() as u64;
        let page = caller.get(&format!("/v1/log/entries?from={from}")).expect(200).text;
        let page: Vec<String> = page.lines().map(str::to_owned).collect();
        let is_last = (page.len() as u64) < ENTRIES_PER_ANSWER;
        all.extend(page);
        if is_last {
            return all;
        }
    }
}
