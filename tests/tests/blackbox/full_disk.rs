//! A store that cannot be written: nothing is released, the server says so, and it recovers by itself.

use leadvault_test_postgres::Store;
use leadvault_tests::account::Account;
use leadvault_tests::fault::{Full, refuse_writes};
use leadvault_tests::kit::{Answer, Caller, Stores, Tenant, Vault, on_postgres, until};
use serde_json::json;

/// How often a disk is filled before the server must be out of space: it gives up one ballast a store, and
/// readiness looks once a second.
const FILLS_MAX: usize = 2_000;

fn read(caller: &Caller, lead: &str) -> Answer {
    caller.get(&format!("/v1/leads/{lead}?fields=email"))
}

/// Asserts that an answer says that the journal cannot be written, and nothing else.
fn assert_unwritable(answer: &Answer, what: &str) {
    assert_eq!(
        (answer.status, answer.code()),
        (503, "journal_unwritable"),
        "{what}: {}",
        answer.text
    );
    assert!(answer.retry_after.is_some(), "{what}: no Retry-After");
    assert!(answer.index.is_none() && answer.receipt.is_none(), "{what}: nothing was committed");
    assert!(!answer.text.contains("example.com"), "{what}: something was released");
}

/// Asserts what every kind of call says while the journal is unwritable, and what readiness says.
fn assert_nothing_is_released(vault: &Vault, tenant: &Tenant, lead: &str) {
    let caller = vault.acting(tenant);
    assert_unwritable(&read(&caller, lead), "a read");
    assert_unwritable(&caller.get(&format!("/v1/leads/{lead}")), "a masked read");
    let list = format!("/v1/leads?dataset={}&limit=10", tenant.dataset);
    assert_unwritable(&caller.get(&list), "a list");
    let search = json!({ "match": { "email": "ada@example.com" }, "fields": ["email"] });
    assert_unwritable(&caller.post("/v1/leads/search", &search), "a search");
    let new = json!({ "dataset": tenant.dataset, "fields": { "email": "new@example.com" } });
    assert_unwritable(&caller.post("/v1/leads", &new), "a new lead");
    // Nothing there is an entry too: another id of the same form.
    let (head, tail) = lead.split_at(10);
    let (first, rest) = tail.split_at(1);
    let other = format!("{head}{}{rest}", if first == "0" { "1" } else { "0" });
    assert_unwritable(&read(&caller, &other), "a lead that is not there");
    let ready = Caller::nobody(&vault.url()).get("/readyz");
    assert_eq!(ready.status, 503, "{}", ready.text);
    assert_eq!(ready.body["ready"], false);
    assert_eq!(ready.body["reasons"], json!(["journal_unwritable"]));
    Caller::nobody(&vault.url()).get("/healthz").expect(200);
}

/// Asserts that the vault serves again without a restart, and readiness before any other call.
fn assert_recovers(vault: &Vault, tenant: &Tenant, lead: &str) {
    let ready = until("the server is ready again", || {
        let ready = Caller::nobody(&vault.url()).get("/readyz");
        (ready.status == 200).then_some(ready)
    });
    assert_eq!(ready.body["reasons"], json!([]));
    let found = read(&vault.acting(tenant), lead).expect(200);
    assert_eq!(found.body["fields"]["email"], "ada@example.com");
}

#[test]
fn a_full_disk_releases_nothing_and_the_server_recovers_by_itself() {
    if on_postgres() {
        // Its disk is not the server's.
        return;
    }
    let way = Full::way();
    eprintln!("the disk is full by {way:?}");
    let vault = way.start();
    let tenant = vault.tenant();
    let mut account = Account::of(&tenant);
    let lead = account.lead(&vault, "ada@example.com");
    let caller = vault.acting(&tenant);
    // The control: before, everything reads and the server is ready.
    read(&caller, &lead).expect(200);
    Caller::nobody(&vault.url()).get("/readyz").expect(200);
    for round in 0..2 {
        let mut fills = 0;
        loop {
            way.fill(&vault);
            // By a read, and then by readiness alone: it is seen before anybody reads.
            let answer = match round {
                0 => read(&caller, &lead),
                _ => Caller::nobody(&vault.url()).get("/readyz"),
            };
            account.note(&answer);
            if answer.status != 200 {
                if round == 0 {
                    assert_unwritable(&answer, "the first read without space");
                }
                break;
            }
            fills += 1;
            assert!(fills < FILLS_MAX, "the disk never was full");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert_nothing_is_released(&vault, &tenant, &lead);
        way.free(&vault);
        assert_recovers(&vault, &tenant, &lead);
        account.assert_kept(&vault, &format!("after full disk {round}"));
    }
}

#[test]
fn an_erasure_finds_room_on_a_full_disk() {
    if on_postgres() {
        // Its disk is not the server's.
        return;
    }
    let way = Full::way();
    let Full::Tmpfs(_) = way else {
        eprintln!("skipped: no namespaces here, and a limit on file size leaves no room to find");
        return;
    };
    let vault = way.start();
    let tenant = vault.tenant();
    let mut account = Account::of(&tenant);
    account.lead(&vault, "grace@example.com");
    let lead = account.lead(&vault, "ada@example.com");
    let ballast = |name: &str| vault.data().join(name).exists();
    assert!(
        ballast("data.db.ballast") && ballast("keys.db.ballast"),
        "room is kept from the start"
    );
    account.assert_kept(&vault, "before");
    way.fill(&vault);
    let path = format!("/v1/leads/{lead}/erase");
    let erased = vault.plain(&tenant).try_post(&path, &json!({}), "e1").expect("an answer");
    assert_eq!(erased.status, 200, "{}", erased.text);
    assert_eq!(erased.body["type"], "ErasureReceipt");
    assert!(!ballast("data.db.ballast"), "the room was used");
    account.erased(&lead);
    account.assert_kept(&vault, "after the erasure");
    way.free(&vault);
    until("room is kept again", || ballast("data.db.ballast").then_some(()));
}

#[test]
fn a_database_that_refuses_writes_releases_nothing_and_the_server_recovers_by_itself() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let mut account = Account::of(&tenant);
    let lead = account.lead(&vault, "ada@example.com");
    read(&vault.acting(&tenant), &lead).expect(200);
    if let Stores::Databases(pair) = vault.stores() {
        pair.refuse_writes(Store::Data, true);
        assert_nothing_is_released(&vault, &tenant, &lead);
        pair.refuse_writes(Store::Data, false);
        assert_recovers(&vault, &tenant, &lead);
        account.assert_kept(&vault, "after a store that refused writes");
        return;
    }
    let files = ["data.db", "data.db-wal"].map(|name| vault.data().join(name));
    let refused: Vec<bool> = files.iter().map(|file| refuse_writes(file, true)).collect();
    if refused.contains(&true) && !refused.contains(&false) {
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            assert_nothing_is_released(&vault, &tenant, &lead);
        }));
        for file in &files {
            assert!(refuse_writes(file, false), "the flag goes again");
        }
        if let Err(seen) = seen {
            std::panic::resume_unwind(seen);
        }
    } else {
        for file in &files {
            refuse_writes(file, false);
        }
        eprintln!("by a limit on file size: the immutable flag needs root and ext4");
        Full::FileLimit.fill(&vault);
        assert_nothing_is_released(&vault, &tenant, &lead);
        Full::FileLimit.free(&vault);
    }
    assert_recovers(&vault, &tenant, &lead);
    account.assert_kept(&vault, "after a store that refused writes");
}
