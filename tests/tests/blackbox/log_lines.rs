//! What stands in the log and how often: repeated denials, and who made a tenant.

use leadvault_tests::kit::{Vault, until};
use serde_json::{Value, json};

#[test]
fn identical_denials_within_a_second_are_one_entry_with_a_count() {
    const CALLS: usize = 40;
    let vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    let (denied, other) = (vault.plain(&tenant), vault.acting(&tenant));
    let path = format!("/v1/leads/{lead}?fields=email");
    let entries = || -> Vec<Value> {
        let text = vault.plain(&tenant).get("/v1/log/entries?from=0").expect(200).text;
        text.lines().map(|line| serde_json::from_str(line).expect("an entry")).collect()
    };
    let before = entries().len();
    let denied = denied.under("ins_01h455vb4pex5vsknk084sn02q", "crm_operations");
    for _ in 0..CALLS {
        let answer = denied.get(&path).expect(403);
        let index = usize::try_from(answer.index.expect("an index")).expect("small");
        assert!(answer.receipt.is_some());
        // The entry it names is a denial like it.
        let entry = &entries()[index];
        assert_eq!(entry["decision"]["code"], json!(answer.code()));
    }
    // The control: allowed reads are one entry each.
    let allowed = entries().len();
    for _ in 0..3 {
        other.get(&path).expect(200);
    }
    let sum = |all: &[Value]| -> u64 {
        let denials = all[before..].iter().filter(|e| e["decision"]["code"] != "ALLOW");
        denials.map(|e| e["count"].as_u64().unwrap_or(1)).sum()
    };
    // The last count is written when its second is over.
    let all = until("every denial is counted", || {
        let all = entries();
        (sum(&all) >= CALLS as u64).then_some(all)
    });
    assert_eq!(sum(&all), CALLS as u64, "every denial is counted once");
    let denials = all[before..].iter().filter(|e| e["decision"]["code"] != "ALLOW").count();
    assert!(denials < CALLS, "{denials} entries for {CALLS} denials");
    let reads = all[allowed..].iter().filter(|e| e["decision"]["code"] == "ALLOW").count();
    assert_eq!(reads, 3);
}

#[test]
fn the_operators_acts_stand_in_the_operator_log_and_in_the_tenants() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let restrict = format!("/v1/tenants/{}/restrict", tenant.id);
    vault.operator().post(&restrict, &json!({})).expect(200);
    let reactivate = format!("/v1/tenants/{}/reactivate", tenant.id);
    vault.operator().post(&reactivate, &json!({})).expect(200);
    let own = vault.plain(&tenant).get("/v1/log/entries?from=0").expect(200).text;
    assert_eq!(own.matches("\"operation\":\"tenant.state\"").count(), 2, "{own}");
    let bundles = vault.data().join("log").join("operator").join("tile").join("entries");
    let text = || -> String {
        let mut all = String::new();
        let mut dirs = vec![bundles.clone()];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    dirs.push(path);
                } else {
                    let bytes = std::fs::read(path).unwrap_or_default();
                    all.push_str(&String::from_utf8_lossy(&bytes));
                }
            }
        }
        all
    };
    // Behind the commit, within about a second.
    while !["restricted", "active"].iter().all(|s| text().contains(&format!("\"state\":\"{s}\""))) {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let text = text();
    assert!(text.contains("\"operation\":\"tenant.create\""));
    assert!(text.contains(&tenant.id), "the operator log names the tenant");
    assert!(!own.contains("tenant_id"), "the tenant's own does not");
}
