//! Isolation: every operation of openapi.json, by everybody who should get nothing and once by the right key.
//!
//! The rows of [`rows`] are compared with the document, so that a new operation without a row fails. A call
//! is made once and sent without a key, with keys that are not in force, by another tenant, by weaker roles,
//! by a key that is limited to another dataset, and last by the right one.

mod judge;
mod rows;
mod shot;
mod things;

use std::collections::{BTreeMap, BTreeSet};

use leadvault_tests::kit::{Answer, Caller, Tenant, Vault, run};
use serde_json::{Value, json};

use judge::{Trial, leaks, traces};
use rows::{Foreign, Limited, Row, Who, rows};
use shot::Shot;

const ROLES: &[&str] = &["controller", "editor", "reader", "auditor"];
const METHODS: &[&str] = &["get", "head", "put", "post", "patch", "delete"];

/// `METHOD /path` of every operation of the document.
fn operations() -> BTreeSet<String> {
    let (code, document, err) = run(&["openapi"]);
    assert_eq!(code, Some(0), "{err}");
    let paths = document["paths"].as_object().expect("paths");
    let named = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("methods").keys();
        let methods = methods.filter(|m| METHODS.contains(&m.as_str()));
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    named.collect()
}

/// What stands in one of the two and not in the other.
fn difference(rows: &[Row], operations: &BTreeSet<String>) -> Vec<String> {
    let rowed: BTreeSet<_> = rows.iter().map(|r| format!("{} {}", r.method, r.path)).collect();
    rowed.symmetric_difference(operations).cloned().collect()
}

#[test]
fn every_operation_has_a_row_and_every_row_an_operation() {
    let operations = operations();
    let mut all = rows();
    assert_eq!(difference(&all, &operations), Vec::<String>::new());
    assert_eq!(all.len(), operations.len(), "one row each");
    // The control: a row taken away is missed.
    let gone = all.pop().expect("rows");
    assert_eq!(difference(&all, &operations), [format!("{} {}", gone.method, gone.path)]);
}

/// A path with ids of nobody in the place of its parameters.
fn of_nobody(path: &str) -> String {
    let prefix = |of: &str| match of {
        "leads" => "ct",
        "datasets" => "ds",
        "instructions" => "ins",
        "imports" => "imp",
        "exports" => "exp",
        "keys" => "key",
        "notices" => "ntc",
        "operations" => "op",
        _ => "tn",
    };
    let collection = path.split('/').nth(2).unwrap_or_default();
    let id = format!("{}_01h455vb4pex5vsknk084sn02q", prefix(collection));
    let path = path.replace("{id}", &id).replace("{path}", "0/000");
    path.replace("{index}", "0").replace("{n}", "0")
}

/// A tenant and its keys.
struct Side {
    tenant: Tenant,
    keys: BTreeMap<&'static str, Caller>,
    /// Keys that are limited to another dataset of the tenant.
    limited: BTreeMap<&'static str, Caller>,
    /// Ids and values that nobody else may be told.
    secrets: Vec<String>,
}

impl Side {
    fn new(vault: &Vault) -> Self {
        let tenant = vault.tenant();
        let lead = vault.lead(&tenant, things::EMAIL);
        let other = json!({ "datasets": [things::dataset(vault, &tenant)] });
        let key = |role: &str, with: &Value| {
            Caller::new(&vault.url(), &vault.key(&tenant, role, with).text_of("secret"))
        };
        let limited = ROLES.iter().map(|role| (*role, key(role, &other))).collect();
        let keys = ROLES.iter().map(|role| (*role, key(role, &json!({})))).collect();
        let secrets = vec![
            tenant.id.clone(),
            tenant.dataset.clone(),
            tenant.instruction.clone(),
            lead,
            things::EMAIL.to_owned(),
        ];
        Self { tenant, keys, limited, secrets }
    }

    /// A caller with one of the keys, under the tenant's instruction where the call needs one.
    fn by(&self, role: &str, shot: &Shot) -> Caller {
        self.under(self.keys[role].clone(), shot)
    }

    fn under(&self, caller: Caller, shot: &Shot) -> Caller {
        if shot.under { caller.under(&self.tenant.instruction, "crm_operations") } else { caller }
    }

    /// How many entries of the tenant's log name a request.
    fn entries_of(&self, vault: &Vault, request: &str) -> usize {
        let log = vault.plain(&self.tenant).get("/v1/log/entries?from=0").expect(200).text;
        log.lines().filter(|line| line.contains(request)).count()
    }

    fn log_size(&self, vault: &Vault) -> usize {
        vault.plain(&self.tenant).get("/v1/log/entries?from=0").expect(200).text.lines().count()
    }
}

/// Callers whose key is none, wrong, revoked or expired.
fn strangers(vault: &Vault, side: &Side) -> Vec<(&'static str, Caller)> {
    let caller = |key: &str| Caller::new(&vault.url(), key);
    let mut wrong = side.tenant.key.clone();
    let last = if wrong.pop() == Some('0') { '1' } else { '0' };
    wrong.push(last);
    let revoked = vault.key(&side.tenant, "controller", &json!({}));
    let path = format!("/v1/keys/{}", revoked.text_of("id"));
    vault.plain(&side.tenant).send(reqwest::Method::DELETE, &path, &[], None).expect(204);
    let ended = json!({ "expires_at": "2026-01-01T00:00:00Z" });
    let expired = vault.key(&side.tenant, "controller", &ended);
    vec![
        ("none", Caller::nobody(&vault.url())),
        ("wrong", caller(&wrong)),
        ("revoked", caller(&revoked.text_of("secret"))),
        ("expired", caller(&expired.text_of("secret"))),
        ("operator's, wrong", caller(&format!("lv_op_{}", "0".repeat(64)))),
    ]
}

#[test]
fn every_operation_is_a_401_without_a_key_and_with_a_wrong_one() {
    let vault = Vault::start();
    let side = Side::new(&vault);
    let strangers = strangers(&vault, &side);
    let before = side.log_size(&vault);
    for row in rows().iter().filter(|row| row.who != Who::Anybody) {
        let path = of_nobody(row.path);
        let shot = Shot::new(row.method.parse().expect("a method"), path).once().json(&json!({}));
        for (what, caller) in &strangers {
            let answer = shot.send(caller);
            let got = (answer.status, answer.code(), answer.index);
            assert_eq!(
                got,
                (401, shot.heard("unauthenticated"), None),
                "{what}: {} {}",
                row.method,
                row.path
            );
        }
    }
    assert_eq!(side.log_size(&vault), before, "a 401 leaves nothing in a log");
}

#[test]
fn every_operation_gives_each_key_what_it_may_have_and_nothing_else() {
    let vault = Vault::start();
    let (mine, theirs) = (Side::new(&vault), Side::new(&vault));
    let mut wrong = Vec::new();
    for row in rows() {
        let fresh = row.ends.then(|| (Side::new(&vault), Side::new(&vault)));
        let (mine, theirs) = fresh.as_ref().map_or((&mine, &theirs), |(m, t)| (m, t));
        let shot = (row.make)(&vault, &theirs.tenant);
        let mut found = Vec::new();
        match row.who {
            Who::Anybody => {}
            Who::Operator => operator_row(&row, &shot, &vault, theirs, &mut found),
            Who::Author => {
                weaker_roles(&shot, theirs, &["controller"], &mut found);
                limited(&row, &shot, theirs, &["controller"], &mut found);
                foreign(&row, &shot, &vault, (mine, theirs), &mut found);
            }
            Who::Tenant(roles) => {
                weaker(&shot, &vault, theirs, roles, &mut found);
                limited(&row, &shot, theirs, roles, &mut found);
                foreign(&row, &shot, &vault, (mine, theirs), &mut found);
            }
        }
        let right = match row.who {
            Who::Anybody => shot.send(&Caller::nobody(&vault.url())),
            Who::Operator => shot.send(&vault.operator()),
            // An exit needs no instruction of a controller's key.
            Who::Tenant(roles) => shot.send(&theirs.by(roles[0], &shot)),
            Who::Author => shot.send(&theirs.by("controller", &shot)),
        };
        if right.status != row.ok {
            found.push(format!("the right key got {}: {}", right.status, right.text));
        }
        wrong.extend(found.into_iter().map(|f| format!("{} {}: {f}", row.method, row.path)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn operator_row(row: &Row, shot: &Shot, vault: &Vault, theirs: &Side, found: &mut Vec<String>) {
    for (role, caller) in &theirs.keys {
        expect(shot, &shot.send(caller), (403, "role_insufficient"), role, found);
    }
    if row.foreign != Foreign::Own {
        expect(
            shot,
            &shot.of_nobody().send(&vault.operator()),
            (404, "not_found"),
            "nobody's",
            found,
        );
    }
}

/// Roles that may not, and the operator's key, which reads nothing of a tenant.
fn weaker(shot: &Shot, vault: &Vault, theirs: &Side, allowed: &[&str], found: &mut Vec<String>) {
    let operator = vault.operator();
    expect(shot, &shot.send(&operator), (403, "role_insufficient"), "operator", found);
    weaker_roles(shot, theirs, allowed, found);
}

/// Roles of the tenant that may not.
fn weaker_roles(shot: &Shot, theirs: &Side, allowed: &[&str], found: &mut Vec<String>) {
    for role in ROLES.iter().filter(|role| !allowed.contains(role)) {
        expect(shot, &shot.send(&theirs.by(role, shot)), (403, "role_insufficient"), role, found);
    }
}

/// A key of the right role that is limited to another dataset.
fn limited(row: &Row, shot: &Shot, theirs: &Side, roles: &[&str], found: &mut Vec<String>) {
    let answer = shot.send(&theirs.under(theirs.limited[roles[0]].clone(), shot));
    match row.limited {
        Limited::NotFound => expect(shot, &answer, (404, "not_found"), "limited", found),
        Limited::Refused => expect(shot, &answer, (403, "DENY_DATASET"), "limited", found),
        Limited::Within => {
            if answer.status != row.ok || answer.text.contains(&theirs.tenant.dataset) {
                found.push(format!("limited: {} {}", answer.status, answer.text));
            }
        }
    }
}

/// Another tenant's strongest key.
fn foreign(
    row: &Row,
    shot: &Shot,
    vault: &Vault,
    (mine, theirs): (&Side, &Side),
    found: &mut Vec<String>,
) {
    let caller = mine.by("controller", shot);
    let answer = shot.send(&caller);
    // Jobs of the other tenant write entries of their own meanwhile: only those of this call count.
    let request = answer.headers.get("request-id").expect("every answer has one");
    let log = (0, theirs.entries_of(vault, request));
    if row.foreign == Foreign::Own {
        found.extend(traces(&answer, &theirs.secrets, log).into_iter().map(str::to_owned));
        return;
    }
    assert!(shot.names_something(), "{} {}", row.method, row.path);
    let unknown = shot.of_nobody().send(&caller);
    let trial = Trial { foreign: &answer, unknown: &unknown, secrets: &theirs.secrets, log };
    found.extend(leaks(&trial).into_iter().map(|leak| format!("foreign: {leak}: {}", answer.text)));
    let logged = row.foreign == Foreign::NotFound;
    if answer.index.is_some() != logged {
        found.push(format!("foreign: an entry of the caller's own: {:?}", answer.index));
    }
    if let Some(index) = answer.index {
        let own = vault.plain(&mine.tenant);
        let entry = own.get(&format!("/v1/log/entries?from={index}&to={}", index + 1)).expect(200);
        if entry.body["decision"]["code"] != "NOT_FOUND" {
            found.push(format!("foreign: the entry says {}", entry.body["decision"]));
        }
    }
}

fn expect(
    shot: &Shot,
    answer: &Answer,
    (status, code): (u16, &str),
    who: &str,
    found: &mut Vec<String>,
) {
    if (answer.status, answer.code()) != (status, shot.heard(code)) {
        found.push(format!("{who}: {} {}", answer.status, answer.text));
    }
}

/// The control of the detector: each kind of leak, planted alone, is found.
#[test]
fn each_planted_leak_is_found() {
    let answer = |status: u16, body: Value| Answer {
        status,
        text: body.to_string(),
        body,
        index: Some(7),
        leaf: None,
        receipt: None,
        retry_after: None,
        etag: None,
        location: None,
        headers: std::collections::BTreeMap::new(),
    };
    let lost = || answer(404, json!({ "code": "not_found", "request_id": "req_1" }));
    let secrets = ["ct_1".to_owned()];
    let judged = |foreign: &Answer, log| {
        let unknown = lost();
        leaks(&Trial { foreign, unknown: &unknown, secrets: &secrets, log }).len()
    };
    assert_eq!(judged(&lost(), (3, 3)), 0);
    assert!(judged(&lost(), (3, 4)) > 0, "an entry in the other log");
    assert!(judged(&answer(403, lost().body), (3, 3)) > 0, "a status that tells existence");
    let told = json!({ "code": "not_found", "id": "ct_1" });
    assert!(judged(&answer(404, told), (3, 3)) > 0, "an id");
    assert!(judged(&answer(404, json!({ "code": "erased" })), (3, 3)) > 0, "another body");
    assert!(judged(&Answer { index: None, ..lost() }, (3, 3)) > 0, "no entry");
    assert!(judged(&Answer { etag: Some("\"v1\"".to_owned()), ..lost() }, (3, 3)) > 0, "a version");
    let location = Some("/v1/leads/ct_1".to_owned());
    assert!(judged(&Answer { location, ..lost() }, (3, 3)) > 0, "a place");
}

#[test]
fn the_operators_key_reads_and_changes_nothing_of_a_tenant() {
    let vault = Vault::start();
    let operator = vault.operator();
    let mut refused = 0;
    for row in rows().iter().filter(|row| matches!(row.who, Who::Tenant(_))) {
        let path = of_nobody(row.path);
        let media = match row.method {
            "PATCH" => "application/merge-patch+json",
            _ => "application/json",
        };
        let shot = Shot::new(row.method.parse().expect("a method"), path).once();
        let shot = shot.header("content-type", media).header("if-match", "\"v1\"");
        let shot = shot.body(b"{}".to_vec());
        let answer = shot.send(&operator);
        let got = (answer.status, answer.code());
        assert_eq!(got, (403, shot.heard("role_insufficient")), "{} {}", row.method, row.path);
        refused += 1;
    }
    assert!(refused > 40, "only {refused} operations");
    // The control: what is the operator's own it may do.
    operator.get("/v1/tenants").expect(200);
}
