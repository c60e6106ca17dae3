//! Tenant state and key state, each against every kind of call (decisions.md 4).
//!
//! The tables of `policy` are asked here through the surface. A closed tenant is a shredded one: its state and
//! the destruction of its key come in one commit, so that both columns are one here. A key that nobody can
//! reach needs a provider that is away; the file root is there or the server does not start.

use leadvault_tests::kit::{Answer, Caller, Tenant, Vault, instruction};
use reqwest::Method;
use serde_json::{Value, json};

const DISABLED: (u16, &str) = (423, "DENY_KEY_DISABLED");
const DESTROYED: (u16, &str) = (423, "DENY_KEY_DESTROYED");
const STATE: (u16, &str) = (403, "DENY_TENANT_STATE");
const GONE: (u16, &str) = (404, "not_found");

const fn yes(status: u16) -> (u16, &'static str) {
    (status, "")
}

/// A tenant in some state, with what was made while it was active.
struct World {
    vault: Vault,
    tenant: Tenant,
    lead: String,
    other_lead: String,
    import: String,
    operation: String,
    /// A file without its content.
    file: String,
    /// One that is complete.
    stored: String,
    reader: Caller,
}

impl World {
    fn start() -> Self {
        let vault = Vault::start();
        let tenant = vault.tenant();
        let lead = vault.lead(&tenant, "ada@example.com");
        let other_lead = vault.lead(&tenant, "grace@example.com");
        let body = json!({ "dataset": tenant.dataset });
        let import = vault.acting(&tenant).post("/v1/imports", &body).expect(201).text_of("id");
        let plain = vault.plain(&tenant);
        let own = plain.post("/v1/datasets", &json!({ "name": "own" })).expect(201).text_of("id");
        let path = format!("/v1/datasets/{own}/shred");
        let begun = plain.try_post(&path, &json!({ "confirm": own }), "own").expect("an answer");
        let operation = begun.expect(202).text_of("operation");
        let reader = vault.key(&tenant, "reader", &json!({})).text_of("secret");
        let reader = Caller::new(&vault.url(), &reader);
        let reader = reader.under(&tenant.instruction, "crm_operations");
        let acting = vault.acting(&tenant);
        let files = format!("/v1/leads/{lead}/files");
        let made = || acting.post(&files, &json!({ "name": "a", "size": 1 })).expect(201);
        let (file, stored) = (made().text_of("id"), made().text_of("id"));
        let path = format!("/v1/files/{stored}/content");
        acting.send(Method::PUT, &path, &[], Some(b"a".to_vec())).expect(200);
        Self { vault, tenant, lead, other_lead, import, operation, file, stored, reader }
    }

    fn plain(&self) -> Caller {
        self.vault.plain(&self.tenant)
    }

    fn acting(&self) -> Caller {
        self.vault.acting(&self.tenant)
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.plain().post(path, body)
    }

    fn once(&self, path: &str, body: &Value, key: &str) -> Answer {
        self.plain().try_post(path, body, key).expect("an answer")
    }
}

/// One kind of call, in the order in which they are made: those that take something away come last.
struct Kind {
    name: &'static str,
    call: fn(&World) -> Answer,
    active: (u16, &'static str),
    restricted: (u16, &'static str),
    closing: (u16, &'static str),
    closed: (u16, &'static str),
    disabled: (u16, &'static str),
}

fn draft(effect: &str) -> Value {
    let mut body = instruction();
    body["effect"] = json!(effect);
    // A prohibit of this test meets no call of it.
    if effect == "prohibit" {
        body["operations"] = json!(["anonymise"]);
    }
    body
}

macro_rules! kinds {
    ($($name:literal $call:expr => $active:expr, $restricted:expr, $closing:expr, $closed:expr, $disabled:expr;)*) => {
        vec![$(Kind { name: $name, call: $call, active: $active, restricted: $restricted,
            closing: $closing, closed: $closed, disabled: $disabled }),*]
    };
}

/// Columns: active, restricted, closing, closed with its key destroyed, active with its key suspended.
fn kinds() -> Vec<Kind> {
    kinds! {
        "create a lead" |w| w.acting().post("/v1/leads", &json!({ "dataset": w.tenant.dataset,
            "fields": { "company": "Babbage" } }))
            => yes(201), STATE, STATE, GONE, DISABLED;
        "change a lead" |w| {
            let headers = [("content-type", "application/merge-patch+json"), ("if-match", "\"v1\"")];
            let body = json!({ "fields": { "company": "Other" } }).to_string().into_bytes();
            w.acting().send(Method::PATCH, &format!("/v1/leads/{}", w.lead), &headers, Some(body))
        } => yes(200), STATE, STATE, GONE, DISABLED;
        "open an import" |w| w.acting().post("/v1/imports", &json!({ "dataset": w.tenant.dataset }))
            => yes(201), STATE, STATE, GONE, DISABLED;
        "make a dataset" |w| w.post("/v1/datasets", &json!({ "name": "more" }))
            => yes(201), STATE, STATE, STATE, DISABLED;
        "read" |w| w.acting().get(&format!("/v1/leads/{}?fields=email", w.lead))
            => yes(200), yes(200), yes(200), GONE, DISABLED;
        "read by a reader" |w| w.reader.get(&format!("/v1/leads/{}?fields=email", w.lead))
            => yes(200), yes(200), STATE, GONE, DISABLED;
        "display" |w| w.acting().get(&format!("/v1/leads/{}", w.lead))
            => yes(200), yes(200), yes(200), GONE, DISABLED;
        "list" |w| w.acting().get("/v1/leads?limit=5")
            => yes(200), yes(200), yes(200), DESTROYED, DISABLED;
        "search" |w| w.acting().post("/v1/leads/search",
            &json!({ "match": { "email": "ada@example.com" }, "limit": 5 }))
            => yes(200), yes(200), yes(200), DESTROYED, DISABLED;
        "attach a file" |w| w.acting().post(&format!("/v1/leads/{}/files", w.lead),
            &json!({ "name": "a", "size": 1 }))
            => yes(201), STATE, STATE, GONE, DISABLED;
        "upload a file" |w| w.acting().send(Method::PUT, &format!("/v1/files/{}/content", w.file), &[],
            Some(b"a".to_vec()))
            => yes(200), STATE, STATE, GONE, DISABLED;
        "list files" |w| w.acting().get(&format!("/v1/leads/{}/files", w.lead))
            => yes(200), yes(200), yes(200), GONE, DISABLED;
        "download a file" |w| w.acting().get(&format!("/v1/files/{}/content", w.stored))
            => yes(200), yes(200), yes(200), GONE, DISABLED;
        "download a file by a reader" |w| w.reader.get(&format!("/v1/files/{}/content", w.stored))
            => yes(200), yes(200), STATE, GONE, DISABLED;
        "erase a file" |w| w.plain().send(Method::DELETE, &format!("/v1/files/{}", w.file), &[], None)
            => yes(204), yes(204), yes(204), GONE, yes(202);
        "restrict a lead" |w| w.acting().post(&format!("/v1/leads/{}/restrict", w.lead), &json!({}))
            => yes(200), yes(200), yes(200), GONE, DISABLED;
        "export" |w| w.once("/v1/exports", &json!({ "plain": true }), "export")
            => yes(202), yes(202), yes(202), DESTROYED, DISABLED;
        "draft a permit" |w| w.post("/v1/instructions", &draft("permit"))
            => yes(201), STATE, STATE, STATE, DISABLED;
        "draft a prohibit" |w| w.post("/v1/instructions", &draft("prohibit"))
            => yes(201), yes(201), yes(201), STATE, DISABLED;
        "read the log" |w| w.plain().get("/v1/log/entries?from=0")
            => yes(200), yes(200), yes(200), yes(200), yes(200);
        "see the tenant" |w| w.plain().get("/v1/tenant")
            => yes(200), yes(200), yes(200), yes(200), yes(200);
        "list keys" |w| w.plain().get("/v1/keys")
            => yes(200), yes(200), yes(200), yes(200), yes(200);
        "follow an operation" |w| w.plain().get(&format!("/v1/operations/{}", w.operation))
            => yes(200), yes(200), yes(200), yes(200), yes(200);
        "erase a lead" |w| w.once(&format!("/v1/leads/{}/erase", w.other_lead), &json!({}), "erase")
            => yes(200), yes(200), yes(200), GONE, yes(202);
        "undo an import" |w| w.once(&format!("/v1/imports/{}/undo", w.import), &json!({}), "undo")
            => yes(202), yes(202), yes(202), GONE, DISABLED;
        "suspend an instruction" |w| {
            w.post(&format!("/v1/instructions/{}/suspend", w.tenant.instruction), &json!({}))
        } => yes(200), yes(200), yes(200), STATE, yes(200);
        "resume an instruction" |w| {
            w.post(&format!("/v1/instructions/{}/resume", w.tenant.instruction), &json!({}))
        } => yes(200), STATE, STATE, STATE, yes(200);
        "shred a dataset" |w| w.once(&format!("/v1/datasets/{}/shred", w.tenant.dataset),
            &json!({ "confirm": w.tenant.dataset }), "shred")
            => yes(202), yes(202), yes(202), GONE, DISABLED;
        "suspend the keys" |w| w.post("/v1/tenant/keys/suspend", &json!({}))
            => yes(200), yes(200), yes(200), (409, "key_destroyed"), yes(200);
        "resume the keys" |w| w.post("/v1/tenant/keys/resume", &json!({}))
            => yes(200), yes(200), yes(200), (409, "key_destroyed"), yes(200);
    }
}

/// Makes every call and collects what came out otherwise.
#[track_caller]
fn compare(world: &World, column: fn(&Kind) -> (u16, &'static str)) {
    let mut wrong = Vec::new();
    for kind in kinds() {
        let (status, code) = column(&kind);
        let answer = (kind.call)(world);
        if (answer.status, answer.code()) != (status, code) {
            wrong.push(format!(
                "{}: {} {}, not {status} {code}",
                kind.name, answer.status, answer.text
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_active_tenant_does_everything() {
    compare(&World::start(), |kind| kind.active);
}

#[test]
fn a_restricted_tenant_reads_leaves_and_erases() {
    let world = World::start();
    let path = format!("/v1/tenants/{}/restrict", world.tenant.id);
    world.vault.operator().post(&path, &json!({})).expect(200);
    compare(&world, |kind| kind.restricted);
}

#[test]
fn a_closing_tenant_is_read_by_its_controller_alone() {
    let world = World::start();
    world.post("/v1/tenant/close", &json!({})).expect(202);
    compare(&world, |kind| kind.closing);
}

#[test]
fn a_closed_tenant_has_its_log_and_nothing_else() {
    let world = World::start();
    let confirm = json!({ "confirm": world.tenant.id });
    world.once("/v1/tenant/shred", &confirm, "shred").expect(202);
    compare(&world, |kind| kind.closed);
}

#[test]
fn a_suspended_key_stops_what_opens_and_no_other_tenant() {
    let world = World::start();
    let stranger = world.vault.tenant();
    let lead = world.vault.lead(&stranger, "ada@example.com");
    world.post("/v1/tenant/keys/suspend", &json!({})).expect(200);
    compare(&world, |kind| kind.disabled);
    let path = format!("/v1/leads/{lead}?fields=email");
    world.vault.acting(&stranger).get(&path).expect(200);
    // The erasure that waited for the key is complete, now that it is back.
    world.acting().get(&format!("/v1/leads/{}?fields=email", world.other_lead)).expect(404);
}

/// Only what narrows is allowed then, and the end of a prohibition does not (decisions.md 4).
#[test]
fn a_restricted_tenant_ends_permits_and_no_prohibition() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let plain = vault.plain(&tenant);
    let mut prohibition = instruction();
    prohibition["effect"] = json!("prohibit");
    prohibition["purposes"] = json!(["tenant_marketing"]);
    let id = plain.post("/v1/instructions", &prohibition).expect(201).text_of("id");
    let path = |verb: &str| format!("/v1/instructions/{id}/{verb}");
    plain.post(&path("activate"), &json!({ "version": 1 })).expect(200);
    plain.post(&format!("/v1/instructions/{id}"), &instruction()).expect(201);
    plain.post(&format!("/v1/instructions/{id}"), &prohibition).expect(201);
    let tenants = format!("/v1/tenants/{}", tenant.id);
    vault.operator().post(&format!("{tenants}/restrict"), &json!({})).expect(200);
    for (verb, body) in [
        ("suspend", json!({})),
        ("revoke", json!({})),
        ("activate", json!({ "version": 2 })),
        ("activate", json!({ "version": 3 })),
    ] {
        let refused = plain.post(&path(verb), &body).expect(403);
        assert_eq!(refused.code(), "DENY_TENANT_STATE", "{verb} {body}");
    }
    let permit = format!("/v1/instructions/{}/suspend", tenant.instruction);
    plain.post(&permit, &json!({})).expect(200);
    // The control: an active tenant does all of it.
    vault.operator().post(&format!("{tenants}/reactivate"), &json!({})).expect(200);
    plain.post(&path("suspend"), &json!({})).expect(200);
    plain.post(&path("activate"), &json!({ "version": 2 })).expect(200);
}
