//! Vaults as earlier versions left them: each later one opens them, brings their schema up, and finds everything that
//! was acknowledged and nothing that was erased.
//!
//! A new one is made with `LEADVAULT_WRITE=1` and the name of a directory that is not there yet: the schema it has.

use leadvault_tests::kit::{Caller, Tenant, Vault, on_postgres, run, until};
use reqwest::Method;
use serde_json::{Value, json};

/// Of the embedded stores, by the last migration of `data.db`.
const EMBEDDED: [&str; 1] = ["embedded-17"];
/// Of PostgreSQL, by the last migration of the data store.
const POSTGRES: [&str; 1] = ["postgres-2"];
/// People of the list that is imported.
const PEOPLE: usize = 40;

fn list() -> String {
    let mut file = "Email,Full name,Phone 1,Company,Shoe size\n".to_owned();
    for n in 0..PEOPLE {
        file += &format!(
            "p{n}@example.com,Person {n},+1415555{n:04},Company {},{}\n",
            n % 7,
            36 + n % 12
        );
    }
    file
}

/// A vault with something of everything, and what is known of it.
fn make(name: &str) {
    let mut vault = Vault::start();
    let tenant = vault.tenant();
    let caller = vault.acting(&tenant);
    let attestation = leadvault_tests::kit::attestation();
    let open = json!({ "dataset": tenant.dataset, "format": "csv", "attestation": attestation });
    let import = caller.post("/v1/imports", &open).expect(201).text_of("id");
    let done = caller
        .try_send(Method::PUT, &format!("/v1/imports/{import}/content"), &[], Some(list().into()))
        .expect("an answer")
        .expect(200);
    assert_eq!(done.body["rows"]["stored"], PEOPLE);
    let body = json!({ "dataset": tenant.dataset, "external_id": "x-1", "tags": ["hot", "fair"],
        "fields": { "email": "ada@example.com", "first_name": "Ada" }, "notes": [{ "text": "Called back." }] });
    let ada = caller.post("/v1/leads", &body).expect(201).text_of("id");
    let gone = json!({ "dataset": tenant.dataset, "fields": { "email": "gone@example.com" } });
    let gone = caller.post("/v1/leads", &gone).expect(201).text_of("id");
    let plain = vault.plain(&tenant);
    let receipt = plain
        .try_post(&format!("/v1/leads/{gone}/erase"), &json!({}), "erase-gone")
        .expect("an answer")
        .expect(200);
    let shown =
        caller.get(&format!("/v1/leads/{ada}?fields=email,first_name,notes,tags")).expect(200);
    let size = shown.index.expect("an index") + 1;
    let checkpoint = vault.published(&tenant, size);
    vault.signal(rustix::process::Signal::TERM);
    assert_eq!(vault.ended(), Some(0), "a clean end");
    let known = json!({
        "tenant": { "id": tenant.id, "uuid": tenant.uuid, "key": tenant.key, "vkey": tenant.vkey,
            "dataset": tenant.dataset, "instruction": tenant.instruction },
        "import": import, "ada": shown.body, "gone": gone, "receipt": receipt.body,
        "checkpoint": checkpoint, "size": size,
    });
    vault.keep_as_fixture(name, &known);
}

fn tenant_of(known: &Value) -> Tenant {
    let text = |name: &str| known["tenant"][name].as_str().expect("a text").to_owned();
    Tenant {
        id: text("id"),
        uuid: text("uuid"),
        key: text("key"),
        vkey: text("vkey"),
        dataset: text("dataset"),
        instruction: text("instruction"),
    }
}

fn find(caller: &Caller, email: &str) -> Vec<Value> {
    let body = json!({ "match": { "email": email }, "fields": ["email", "company"], "limit": 5 });
    let found = caller.post("/v1/leads/search", &body).expect(200);
    found.body["data"].as_array().expect("leads").clone()
}

fn opens(name: &str) {
    let (mut vault, known) = Vault::of_fixture(name);
    vault.up();
    let tenant = tenant_of(&known);
    let caller = vault.acting(&tenant);
    let ada = known["ada"]["id"].as_str().expect("an id");
    let shown =
        caller.get(&format!("/v1/leads/{ada}?fields=email,first_name,notes,tags")).expect(200);
    assert_eq!(shown.body, known["ada"]);
    for n in 0..PEOPLE {
        let found = find(&caller, &format!("p{n}@example.com"));
        let [one] = found.as_slice() else { panic!("{name}: person {n}") };
        assert_eq!(one["fields"]["company"], format!("Company {}", n % 7));
        let id = one["id"].as_str().expect("an id");
        let whole = caller.get(&format!("/v1/leads/{id}?fields=original")).expect(200);
        assert_eq!(whole.body["original"][4], json!(["Shoe size", (36 + n % 12).to_string()]));
    }
    // What was erased is gone, and does not come back.
    let gone = known["gone"].as_str().expect("an id");
    caller.get(&format!("/v1/leads/{gone}")).expect(404);
    let again = json!({ "dataset": tenant.dataset, "fields": { "email": "gone@example.com" } });
    let refused = caller.post("/v1/leads", &again).expect(422);
    assert_eq!(refused.body["errors"][0]["code"], "suppressed");
    // The log goes on where it was.
    let more = json!({ "dataset": tenant.dataset, "fields": { "email": "new@example.com" } });
    let made = caller.post("/v1/leads", &more).expect(201);
    let size = made.index.expect("an index") + 1;
    assert!(size > known["size"].as_u64().expect("a size"));
    vault.published(&tenant, size);
    let (vkey, since) = (vault.beside("vkey"), vault.beside("since"));
    std::fs::write(&vkey, &tenant.vkey).expect("the vkey");
    std::fs::write(&since, known["checkpoint"].as_str().expect("a checkpoint")).expect("a file");
    let log = vault.data().join("log").join(&tenant.uuid);
    let [log, vkey, since] = [&log, &vkey, &since].map(|path| path.to_str().expect("utf-8"));
    let (code, verdict, said) = run(&["verify", "log", log, "--vkey", vkey, "--since", since]);
    assert_eq!((code, &verdict["ok"]), (Some(0), &json!(true)), "{name}: {verdict} {said}");
    // One that was made by it can be erased by this one.
    let receipt = vault
        .plain(&tenant)
        .try_post(&format!("/v1/leads/{ada}/erase"), &json!({}), "erase-ada")
        .expect("an answer")
        .expect(200);
    assert_eq!(receipt.body["type"], "ErasureReceipt");
    until("it is gone", || {
        let status = caller.get(&format!("/v1/leads/{ada}")).status;
        (status == 404).then_some(())
    });
}

#[test]
fn every_version_opens_the_vaults_of_those_before_it() {
    let names = if on_postgres() { POSTGRES } else { EMBEDDED };
    if std::env::var_os("LEADVAULT_WRITE").is_some() {
        for name in names {
            if !leadvault_tests::kit::fixture(name).exists() {
                make(name);
            }
        }
    }
    for name in names {
        opens(name);
    }
}
