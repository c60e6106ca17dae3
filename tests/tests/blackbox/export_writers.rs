//! An export beside writers: its counts are those of the entry that allowed it and of the erasures since.

use std::sync::atomic::{AtomicBool, Ordering};

use leadvault_tests::corpus;
use leadvault_tests::kit::{Caller, Tenant, Vault};
use leadvault_tests::package::{self, Package};
use reqwest::Method;
use serde_json::json;

/// Leads that are there before.
const LEADS: usize = 600;

fn lead(caller: &Caller, tenant: &Tenant, email: &str) -> String {
    let body = json!({ "dataset": tenant.dataset, "fields": { "email": email } });
    caller.post("/v1/leads", &body).expect(201).text_of("id")
}

/// Leads erased beside one export.
const ERASED: usize = 3;

/// Ends the writers, also where the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Makes leads until it is over; how many.
fn make(caller: &Caller, tenant: &Tenant, over: &AtomicBool) -> usize {
    let mut made = 0;
    while !over.load(Ordering::SeqCst) {
        lead(caller, tenant, &format!("later{made}@example.com"));
        made += 1;
    }
    made
}

/// Changes a lead until it is over; its last version.
fn change(caller: &Caller, id: &str, over: &AtomicBool) -> usize {
    let mut version = 1;
    while !over.load(Ordering::SeqCst) {
        let company = json!({ "fields": { "company": format!("V{version}") } });
        let tag = format!("\"v{version}\"");
        let headers =
            [("content-type", "application/merge-patch+json"), ("if-match", tag.as_str())];
        let body = company.to_string().into_bytes();
        caller.send(Method::PATCH, &format!("/v1/leads/{id}"), &headers, Some(body)).expect(200);
        version += 1;
    }
    version
}

/// Starts an export beside erasures; its id once all of them are over.
fn export_beside(plain: &Caller, erased: &[String], key: &str) -> String {
    std::thread::scope(|scope| {
        for lead in erased {
            scope.spawn(move || {
                let path = format!("/v1/leads/{lead}/erase");
                plain.try_post(&path, &json!({}), lead).expect("an answer").expect(200);
            });
        }
        package::export(plain, true, key)
    })
}

#[test]
fn an_export_beside_writers_has_the_leads_of_its_first_entry_but_for_the_erased() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let import = package::import(&vault, &tenant, corpus::leads(LEADS, 5).into_bytes());
    assert_eq!(import["rows"]["stored"], LEADS);
    let (acting, plain) = (vault.acting(&tenant), vault.plain(&tenant));
    let kept = lead(&acting, &tenant, "kept@example.com");
    let singles: Vec<String> =
        (0..5 * ERASED).map(|n| lead(&acting, &tenant, &format!("s{n}@example.com"))).collect();
    let over = AtomicBool::new(false);
    let (bytes, left) = std::thread::scope(|scope| {
        let ends = Over(&over);
        let made = scope.spawn(|| make(&acting, &tenant, &over));
        let changed = scope.spawn(|| change(&acting, &kept, &over));
        let mut tries = singles.chunks(ERASED).enumerate().map(|(n, erased)| {
            let id = export_beside(&plain, erased, &format!("beside{n}"));
            let (status, _, bytes) = plain.fetch(&format!("/v1/exports/{id}/content"), &[]);
            // An erasure that came when it was ready has made it stale: another try.
            (status, bytes, singles.len() - (n + 1) * ERASED)
        });
        let (_, bytes, left) = tries.find(|(status, ..)| *status == 200).expect("one is ready");
        drop(ends);
        // The control: there was something beside it.
        assert!(made.join().expect("made") > 0 && changed.join().expect("changed") > 1);
        (bytes, left)
    });
    let (code, verdict) = package::verify(&vault, &tenant, &bytes);
    assert_eq!((code, &verdict["ok"]), (Some(0), &json!(true)), "{verdict}");
    let package = Package::open(&bytes);
    let leads = package.leads();
    let emails: Vec<&str> =
        leads.iter().filter_map(|lead| lead["fields"]["email"].as_str()).collect();
    assert!(emails.contains(&"kept@example.com"));
    let ids: Vec<&str> = leads.iter().filter_map(|lead| lead["id"].as_str()).collect();
    for (n, single) in singles.iter().enumerate() {
        assert_eq!(ids.contains(&single.as_str()), n >= singles.len() - left, "{n}");
    }
    let later = emails.iter().filter(|email| email.starts_with("later")).count();
    assert_eq!(leads.len() - later, LEADS + 1 + left, "no erased one, all others");
}
