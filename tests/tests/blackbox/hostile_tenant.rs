//! A tenant that tries: with keys that are limited, weak, revoked or its neighbour's, and with the source at hand.

use std::io::{Read, Write as _};
use std::sync::mpsc::{Receiver, Sender, channel};

use leadvault_tests::kit::{Answer, Caller, Tenant, Vault, instruction};
use reqwest::Method;
use serde_json::{Value, json};

/// A body whose end comes when it is let go.
struct Late {
    begin: std::io::Cursor<Vec<u8>>,
    end: std::io::Cursor<Vec<u8>>,
    go_on: Option<Receiver<()>>,
}

impl Late {
    fn new(begin: &[u8], end: &[u8]) -> (Self, Sender<()>) {
        let (sender, go_on) = channel();
        let cursor = |bytes: &[u8]| std::io::Cursor::new(bytes.to_vec());
        (Self { begin: cursor(begin), end: cursor(end), go_on: Some(go_on) }, sender)
    }
}

impl Read for Late {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.begin.read(buffer)? {
            0 => {
                if let Some(go_on) = self.go_on.take() {
                    let _ = go_on.recv();
                }
                self.end.read(buffer)
            }
            n => Ok(n),
        }
    }
}

fn by(vault: &Vault, made: &Answer) -> Caller {
    Caller::new(&vault.url(), &made.text_of("secret"))
}

fn revoke(vault: &Vault, tenant: &Tenant, made: &Answer) {
    let path = format!("/v1/keys/{}", made.text_of("id"));
    vault.plain(tenant).send(Method::DELETE, &path, &[], None).expect(204);
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code()), (status, code), "{}", answer.text);
}

/// A key is looked at when the headers are there; its body may come an hour later.
#[test]
fn a_key_that_is_revoked_while_its_body_is_on_the_way_does_nothing() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let stolen = vault.key(&tenant, "controller", &json!({}));
    let keys = || {
        let listed = vault.plain(&tenant).get("/v1/keys").expect(200);
        listed.body["data"].as_array().map_or(0, Vec::len)
    };
    let before = keys();
    let body =
        json!({ "name": "another", "role": "controller", "principal": "p", "country": "DE" });
    let body = body.to_string();
    let address = vault.url().replace("http://", "");
    let mut line = std::net::TcpStream::connect(address).expect("a connection");
    let head = format!(
        "POST /v1/keys HTTP/1.1\r\nhost: vault\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\
         expect: 100-continue\r\nconnection: close\r\n\r\n",
        stolen.text_of("secret"),
        body.len()
    );
    line.write_all(head.as_bytes()).expect("sent");
    // The server asks for the body: the key was genuine.
    let mut asked = [0_u8; 25];
    line.read_exact(&mut asked).expect("an interim answer");
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    revoke(&vault, &tenant, &stolen);
    line.write_all(body.as_bytes()).expect("sent");
    let mut answer = String::new();
    line.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert_eq!(keys() + 1, before, "one revoked, none made");
}

#[test]
fn an_upload_ends_where_its_key_is_revoked() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let made = vault.key(&tenant, "editor", &json!({}));
    let caller = by(&vault, &made).under(&tenant.instruction, "crm_operations");
    let open = json!({ "dataset": tenant.dataset });
    let import = caller.post("/v1/imports", &open).expect(201).text_of("id");
    let rows = |from: usize, to: usize| -> Vec<u8> {
        (from..to).flat_map(|n| format!("p{n}@example.org,P{n}\n").into_bytes()).collect()
    };
    let begin = [b"Email,First Name\n".to_vec(), rows(0, 3_000)].concat();
    let (late, go_on) = Late::new(&begin, &rows(3_000, 6_000));
    let path = format!("/v1/imports/{import}/content");
    let upload = std::thread::spawn(move || caller.put_stream(&path, late));
    let watcher = vault.plain(&tenant);
    let read = || watcher.get(&format!("/v1/imports/{import}")).expect(200);
    for n in 0.. {
        if read().body["rows"]["read"].as_u64() > Some(0) {
            break;
        }
        assert!(n < 1_200, "nothing is stored");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    revoke(&vault, &tenant, &made);
    go_on.send(()).expect("the body waits");
    // The answer may come while the client still sends; some clients call that a broken connection.
    if let Ok(answer) = upload.join().expect("a call") {
        refused(&answer, 401, "unauthenticated");
    }
    let rows = read().body["rows"]["read"].as_u64().expect("rows");
    assert!(rows <= 3_000, "{rows} rows, some of them after the end of the key");
}

/// An exit leaves a permit for everything in the register, good for thirty days. It is the controller's.
#[test]
fn nobody_else_leaves_by_the_permit_of_an_exit() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let plain = vault.plain(&tenant);
    let mut exits = Vec::new();
    for n in 0..2 {
        let lead = vault.lead(&tenant, &format!("p{n}@example.org"));
        let path = format!("/v1/leads/{lead}/erase");
        let done = plain.try_post(&path, &json!({}), &path).expect("an answer").expect(200);
        let index = done.index.expect("an entry");
        let entry = plain.get(&format!("/v1/log/entries?from={index}&to={}", index + 1));
        exits.push(entry.expect(200).body["instruction"]["id"].as_str().expect("an id").to_owned());
    }
    let lead = vault.lead(&tenant, "last@example.org");
    let path = format!("/v1/leads/{lead}/erase");
    let editor = by(&vault, &vault.key(&tenant, "editor", &json!({})));
    let erase = |caller: &Caller| caller.try_post(&path, &json!({}), "mine").expect("an answer");
    for exit in &exits {
        let named = editor.clone().under(exit, "retention_deletion");
        refused(&erase(&named), 403, "DENY_NO_INSTRUCTION");
    }
    let purpose = [("purpose", "retention_deletion"), ("idempotency-key", "m")];
    let found = editor.send(Method::POST, &path, &purpose, None);
    refused(&found, 403, "DENY_NO_INSTRUCTION");
    vault.acting(&tenant).get(&format!("/v1/leads/{lead}?fields=email")).expect(200);
    // It is shown to its owner, the hash it has in the log included, and changed by nobody.
    let listed = plain.get("/v1/instructions").expect(200).text;
    for exit in &exits {
        let shown = plain.get(&format!("/v1/instructions/{exit}")).expect(200);
        assert_eq!(
            (&shown.body["kind"], &shown.body["status"]),
            (&json!("one_off"), &json!("active"))
        );
        assert_eq!(shown.body["hash"], hash_of(&shown.body), "{}", shown.text);
        assert!(listed.contains(exit.as_str()), "{listed}");
        let path = format!("/v1/instructions/{exit}/revoke");
        refused(&plain.post(&path, &json!({})), 409, "state_conflict");
    }
    // The control: its owner leaves by it.
    erase(&plain.clone().under(&exits[0], "retention_deletion")).expect(200);
}

/// A key that is limited to a dataset, beside one that is not.
#[test]
fn a_limited_key_reaches_its_datasets_and_widens_nothing() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let plain = vault.plain(&tenant);
    let own = plain.post("/v1/datasets", &json!({ "name": "own" })).expect(201).text_of("id");
    let theirs = vault.lead(&tenant, "ada@example.com");
    let body = json!({ "dataset": own, "fields": { "email": "ada@example.com" } });
    let mine = vault.acting(&tenant).post("/v1/leads", &body).expect(201).text_of("id");
    let key = vault.key(&tenant, "controller", &json!({ "datasets": [own] }));
    let limited = by(&vault, &key);
    let acting = limited.clone().under(&tenant.instruction, "crm_operations");
    // Lists and searches that name no dataset are about the key's own.
    let search =
        json!({ "match": { "email": "ada@example.com" }, "fields": ["email"], "limit": 5 });
    for answer in [acting.get("/v1/leads?limit=1"), acting.post("/v1/leads/search", &search)] {
        let answer = answer.expect(200);
        assert_eq!(answer.body["data"].as_array().map(Vec::len), Some(1), "{}", answer.text);
        assert_eq!(answer.body["data"][0]["id"], mine.as_str());
        assert!(!answer.text.contains(&theirs) && answer.body["has_more"] == false);
    }
    let listed = limited.get("/v1/datasets").expect(200);
    assert!(listed.text.contains(&own) && !listed.text.contains(&tenant.dataset));
    // Everything, or more of itself, it does not get.
    let more = json!({ "name": "n", "role": "controller", "principal": "p", "country": "DE" });
    refused(&limited.post("/v1/keys", &more), 403, "DENY_DATASET");
    refused(&limited.post("/v1/datasets", &json!({ "name": "n" })), 403, "DENY_DATASET");
    refused(&limited.post("/v1/instructions", &instruction()), 403, "DENY_DATASET");
    refused(&limited.get("/v1/log/entries?from=0"), 403, "DENY_DATASET");
    let all = limited.try_post("/v1/exports", &json!({ "plain": true }), "all").expect("an answer");
    refused(&all, 403, "DENY_DATASET");
    let confirm = json!({ "confirm": tenant.id });
    let shred = limited.try_post("/v1/tenant/shred", &confirm, "all").expect("an answer");
    refused(&shred, 403, "DENY_DATASET");
    // What is its own it does export.
    let one = json!({ "dataset": own, "plain": true });
    limited.try_post("/v1/exports", &one, "own").expect("an answer").expect(202);
}

#[test]
fn no_body_sets_what_the_server_sets() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let plain = vault.plain(&tenant);
    let lead = json!({ "dataset": tenant.dataset, "fields": { "company": "Babbage" } });
    let key = json!({ "name": "n", "role": "reader", "principal": "p", "country": "DE" });
    let with = |body: &Value, member: &str, value: Value| {
        let mut body = body.clone();
        body[member] = value;
        body
    };
    for (path, body, member) in [
        ("/v1/leads", &lead, "id"),
        ("/v1/leads", &lead, "version"),
        ("/v1/leads", &lead, "tenant"),
        ("/v1/keys", &key, "secret"),
        ("/v1/keys", &key, "tenant"),
        ("/v1/instructions", &instruction(), "status"),
        ("/v1/instructions", &instruction(), "hash"),
        ("/v1/instructions", &instruction(), "signature"),
        ("/v1/instructions", &instruction(), "tenant_id"),
    ] {
        let body = with(body, member, json!("active"));
        refused(&vault.acting(&tenant).post(path, &body), 400, "unknown_field");
    }
    let mut approved = instruction();
    approved["issuer"]["second_approver_id"] = json!("somebody");
    refused(&plain.post("/v1/instructions", &approved), 400, "unknown_field");
    let challenged = with(&instruction(), "legal", json!({ "challenge": { "provision": "none" } }));
    refused(&plain.post("/v1/instructions", &challenged), 422, "invalid");
    let operator = with(&key, "role", json!("operator"));
    assert!(matches!(plain.post("/v1/keys", &operator).status, 400 | 422));
    let employed = with(&key, "employer", json!("operator"));
    refused(&plain.post("/v1/keys", &employed), 422, "invalid");
}

/// Two persons are two principals, not two keys.
#[test]
fn one_person_with_two_keys_does_not_approve_a_high_risk_alone() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let key =
        |who: &str| by(&vault, &vault.key(&tenant, "controller", &json!({ "principal": who })));
    let (first, again, second) = (key("ada"), key(" ada "), key("grace"));
    let mut body = instruction();
    body["kind"] = json!("emergency");
    body["validity"]["until"] = json!("2126-01-01T00:00:00Z");
    let id = first.post("/v1/instructions", &body).expect(201).text_of("id");
    let path = format!("/v1/instructions/{id}/activate");
    let activate = |caller: &Caller| caller.post(&path, &json!({ "version": 1 }));
    let waiting = activate(&first).expect(202);
    assert_eq!(waiting.body["status"], "awaiting_second");
    refused(&activate(&first), 409, "state_conflict");
    refused(&activate(&again), 409, "state_conflict");
    let lead = vault.lead(&tenant, "ada@example.com");
    let read = format!("/v1/leads/{lead}?fields=email");
    let under = vault.plain(&tenant).under(&id, "crm_operations");
    refused(&under.get(&read), 403, "DENY_INSTRUCTION_DRAFT");
    let drafted = first.get(&format!("/v1/instructions/{id}")).expect(200);
    assert_eq!(drafted.body["hash"], hash_of(&drafted.body), "{}", drafted.text);
    let active = activate(&second).expect(200);
    assert_eq!(active.body["hash"], hash_of(&active.body), "{}", active.text);
    assert_eq!(active.body["hash"], drafted.body["hash"]);
    under.get(&read).expect(200);
}

/// The hash of decisions.md 1, from what was answered alone.
fn hash_of(instruction: &Value) -> String {
    let mut covered = instruction.clone();
    let members = covered.as_object_mut().expect("an object");
    for outside in ["hash", "signature", "status", "created_at"] {
        members.remove(outside);
    }
    assert!(covered["legal"].get("challenge").is_none());
    let text = serde_json_canonicalizer::to_vec(&covered).expect("JSON");
    hex::encode(leadvault_crypto::sha256(&[&text]))
}

#[test]
fn a_cursor_goes_on_in_its_own_query_of_its_own_tenant() {
    let vault = Vault::start();
    let (mine, theirs) = (vault.tenant(), vault.tenant());
    let plain = vault.plain(&mine);
    let other = plain.post("/v1/datasets", &json!({ "name": "o" })).expect(201).text_of("id");
    for n in 0..3 {
        vault.lead(&mine, &format!("p{n}@example.org"));
        vault.lead(&theirs, &format!("p{n}@example.org"));
    }
    let caller = vault.acting(&mine);
    let page = |dataset: &str, cursor: &str| {
        caller.get(&format!("/v1/leads?dataset={dataset}&limit=1&cursor={cursor}"))
    };
    let first = caller.get(&format!("/v1/leads?dataset={}&limit=1", mine.dataset)).expect(200);
    let cursor = first.text_of("next_cursor");
    page(&mine.dataset, &cursor).expect(200);
    refused(&page(&other, &cursor), 400, "bad_request");
    refused(&caller.get(&format!("/v1/leads?limit=1&cursor={cursor}")), 400, "bad_request");
    let foreign = vault.acting(&theirs);
    let path = format!("/v1/leads?dataset={}&limit=1&cursor={cursor}", theirs.dataset);
    refused(&foreign.get(&path), 400, "bad_request");
    let mut forged = cursor.clone().into_bytes();
    let middle = forged.len() / 2;
    forged[middle] = if forged[middle] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).expect("ascii");
    refused(&page(&mine.dataset, &forged), 400, "bad_request");
    let search = json!({ "match": { "email": "p1@example.org" }, "limit": 1, "cursor": cursor });
    refused(&caller.post("/v1/leads/search", &search), 400, "bad_request");
}

#[test]
fn an_idempotency_key_is_one_tenants_and_one_persons() {
    let vault = Vault::start();
    let (mine, theirs) = (vault.tenant(), vault.tenant());
    let erase = |tenant: &Tenant, caller: &Caller, n: u8| {
        let path = format!("/v1/leads/{}/erase", vault.lead(tenant, &format!("p{n}@example.org")));
        caller.try_post(&path, &json!({}), "the-same").expect("an answer")
    };
    let first = erase(&mine, &vault.plain(&mine), 1).expect(200);
    let second = erase(&theirs, &vault.plain(&theirs), 1).expect(200);
    assert_ne!(first.body["lead"], second.body["lead"]);
    refused(&erase(&mine, &vault.plain(&mine), 2), 422, "idempotency_mismatch");
    let other = by(&vault, &vault.key(&mine, "controller", &json!({ "principal": "another" })));
    erase(&mine, &other, 3).expect(200);
}
