//! SIGKILL at every numbered step of the erasure: what was acknowledged holds, nothing else is lost, and the
//! erasure that was requested is finished by the next start.

use leadvault_tests::kit::Vault;
use serde_json::json;

/// Every fail point on the way of one erasure, in order.
const STEPS: &[&str] = &[
    "erase.requested",
    "advance.1.read",
    "advance.2.applied",
    "advance.3.decided",
    "advance.4.control",
    "advance.5.slot",
    "advance.6.forgotten",
    "advance.7.swept",
    "erase.punctured",
    "erase.row_removed",
    "erase.completed",
];

#[test]
fn a_kill_at_any_step_of_an_erasure_is_finished_by_the_next_start() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let alive = vault.lead(&tenant, "grace@example.com");
    for (n, step) in STEPS.iter().enumerate() {
        let lead = vault.lead(&tenant, &format!("ada{n}@example.com"));
        vault.kill();
        vault.up_with(Some(step)).expect("it starts");
        let path = format!("/v1/leads/{lead}/erase");
        let cut = vault.plain(&tenant).try_post(&path, &json!({}), &format!("e{n}"));
        assert!(cut.is_err(), "{step}: the server must have died, it answered {cut:?}");
        vault.wait_dead();
        vault.up();
        let caller = vault.acting(&tenant);
        caller.get(&format!("/v1/leads/{lead}?fields=email")).expect(404);
        let read = caller.get(&format!("/v1/leads/{alive}?fields=email")).expect(200);
        assert_eq!(read.body["fields"]["email"], "grace@example.com", "{step}");
    }
    let log = vault.plain(&tenant).get("/v1/log/entries?from=0").expect(200).text;
    let count = |word: &str| log.lines().filter(|line| line.contains(word)).count();
    assert_eq!(count("\"erase.requested\""), STEPS.len());
    assert!(count("\"erase.completed\"") >= STEPS.len());
}

#[test]
fn what_was_acknowledged_survives_a_kill_at_any_moment() {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let mut acknowledged = Vec::new();
    for n in 0..20 {
        acknowledged.push((vault.lead(&tenant, &format!("p{n}@example.com")), n));
        if n % 5 == 4 {
            vault.kill();
            vault.up();
        }
    }
    let caller = vault.acting(&tenant);
    for (lead, n) in acknowledged {
        let read = caller.get(&format!("/v1/leads/{lead}?fields=email")).expect(200);
        assert_eq!(read.body["fields"]["email"], format!("p{n}@example.com"));
    }
}
