//! Decisions over HTTP: from a permitted call, each dimension changed alone gives its own code.
//!
//! The rules are tested in `policy`, in milliseconds; here it is tested that the surface asks them with what a
//! call really brings. Codes that no call of this surface can reach are listed with their reason, and the two
//! lists together are the whole vocabulary.

use std::collections::BTreeSet;
use std::time::SystemTime;

use leadvault_domain::DecisionCode as Code;
use leadvault_tests::kit::{Answer, Tenant, Vault, instruction};
use serde_json::{Value, json};

/// Codes that need what this surface does not have yet.
const UNREACHABLE: &[(Code, &str)] = &[
    (Code::KeyUnreachable, "the file root is there or the server does not start"),
    (Code::Hold, "holds are set by rights requests"),
    (Code::ObjectionSubject, "objections are set by rights requests"),
    (Code::Optout, "stops handing on, and nothing is handed on"),
    (Code::Biometric, "no column can be classified over HTTP"),
    (Code::InstructionChallenged, "the operator cannot challenge over HTTP"),
    (Code::Minor, "a minor is refused before there is a lead to flag"),
    (Code::NoGrant, "no support sessions"),
    (Code::GrantExpired, "no support sessions"),
    (Code::GrantScope, "no support sessions"),
    (Code::GrantRevoked, "no support sessions"),
    (Code::RecipientNotAuthorised, "nothing goes to a recipient"),
    (Code::NoticeWindowOpen, "no register of recipients"),
    (Code::Objection, "no register of recipients"),
];

/// Codes that are tested by themselves below, or beside states in `states.rs`.
const ELSEWHERE: &[Code] = &[
    Code::KeyDestroyed,
    Code::KeyDisabled,
    Code::TenantState,
    Code::Agreement,
    Code::Restricted,
    Code::Prohibited,
    Code::NoInstruction,
    Code::Ambiguous,
    Code::InstructionDraft,
    Code::InstructionSuspended,
    Code::InstructionRevoked,
    Code::InstructionSuperseded,
    Code::Purpose,
    Code::Rate,
];

/// One member of the instruction, changed alone, and the code its call gets then.
struct Change {
    code: Code,
    pointer: &'static str,
    value: Value,
    call: Call,
}

/// What is called under the changed instruction.
#[derive(Clone, Copy)]
enum Call {
    /// One lead, its e-mail.
    Read,
    /// One lead, a column nobody classified.
    ReadUnclassified,
    /// A page of both leads.
    List,
}

fn changes() -> Vec<Change> {
    let change = |code, pointer, value, call| Change { code, pointer, value, call };
    let other = "ds_01h455vb4pex5vsknk084sn02q";
    let without = |gone: &str| {
        let all = instruction()["data"]["categories"].as_array().expect("categories").clone();
        Value::Array(all.into_iter().filter(|c| c != gone).collect())
    };
    vec![
        change(
            Code::InstructionExpired,
            "/validity/until",
            json!("2026-01-02T00:00:00Z"),
            Call::Read,
        ),
        change(
            Code::InstructionNotYet,
            "/validity/from",
            json!("2126-01-01T00:00:00Z"),
            Call::Read,
        ),
        change(Code::Operation, "/operations", json!(["display", "store", "collect"]), Call::Read),
        change(Code::Dataset, "/data/datasets", json!([other]), Call::Read),
        change(Code::Category, "/data/categories", without("contact"), Call::Read),
        change(Code::Field, "/data/fields_exclude", json!(["email"]), Call::Read),
        change(Code::Field, "/data/fields_include", json!(["phone"]), Call::Read),
        change(
            Code::Unclassified,
            "/data/categories",
            without("unclassified"),
            Call::ReadUnclassified,
        ),
        change(Code::Filter, "/data/filter", json!(format!("dataset = \"{other}\"")), Call::Read),
        change(Code::MaxRecords, "/data/max_records", json!(1), Call::List),
        change(Code::SubjectKind, "/subjects/categories", json!(["tenant_user"]), Call::Read),
        change(Code::Regime, "/subjects/regimes", json!(["EU"]), Call::Read),
        change(Code::RegionPin, "/locations/access", json!(["US"]), Call::Read),
        change(Code::RegionPin, "/locations/store", json!(["US"]), Call::Read),
        change(Code::Approval, "/conditions/tenant_approval", json!("per_request"), Call::Read),
        change(Code::DualControl, "/conditions/dual_control", json!(true), Call::Read),
        change(Code::TimeWindow, "/conditions/time_window", json!(half_a_day_away()), Call::Read),
    ]
}

/// A window of every day that now is not in, however long the test takes.
#[expect(clippy::disallowed_methods, reason = "the server lives by the clock of the system")]
fn half_a_day_away() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time").as_secs();
    let hour = (now / 3600 + 12) % 24;
    format!("Mon-Sun {hour:02}:00-{hour:02}:59 UTC")
}

/// The usual instruction with one member changed.
fn changed(pointer: &str, value: &Value) -> Value {
    let mut body = instruction();
    let (parent, member) = pointer.rsplit_once('/').expect("a pointer");
    let place = if parent.is_empty() {
        &mut body
    } else {
        if body.pointer(parent).is_none() {
            body[parent.trim_start_matches('/')] = json!({});
        }
        body.pointer_mut(parent).expect("a place")
    };
    place[member] = value.clone();
    body
}

/// Puts an instruction in force; its id.
fn active(vault: &Vault, tenant: &Tenant, body: &Value) -> String {
    let plain = vault.plain(tenant);
    let id = plain.post("/v1/instructions", body).expect(201).text_of("id");
    let path = format!("/v1/instructions/{id}/activate");
    plain.post(&path, &json!({ "version": 1 })).expect(200);
    id
}

/// A tenant with two leads.
struct World {
    vault: Vault,
    tenant: Tenant,
    lead: String,
}

impl World {
    fn start() -> Self {
        let vault = Vault::start();
        let tenant = vault.tenant();
        let lead = vault.lead(&tenant, "ada@example.com");
        vault.lead(&tenant, "grace@example.com");
        Self { vault, tenant, lead }
    }

    fn call(&self, call: Call, under: &str, purpose: &str) -> Answer {
        let caller = self.vault.plain(&self.tenant).under(under, purpose);
        caller.get(&match call {
            Call::Read => format!("/v1/leads/{}?fields=email", self.lead),
            Call::ReadUnclassified => format!("/v1/leads/{}?fields=x_3", self.lead),
            Call::List => "/v1/leads?limit=50".to_owned(),
        })
    }

    fn read(&self, under: &str) -> Answer {
        self.call(Call::Read, under, "crm_operations")
    }

    /// A denial carries its code, and so does its entry.
    #[track_caller]
    fn denied(&self, answer: &Answer, status: u16, code: Code) {
        assert_eq!((answer.status, answer.code()), (status, code.as_str()), "{}", answer.text);
        let index = answer.index.expect("a denial is an entry");
        let path = format!("/v1/log/entries?from={index}&to={}", index + 1);
        let entry = self.vault.plain(&self.tenant).get(&path).expect(200);
        assert_eq!(entry.body["decision"]["code"], code.as_str(), "{}", entry.text);
    }

    fn post(&self, path: &str, body: &Value, status: u16) -> Answer {
        self.vault.plain(&self.tenant).post(path, body).expect(status)
    }
}

#[test]
fn each_dimension_of_an_instruction_changed_alone_gives_its_own_code() {
    let world = World::start();
    for call in [Call::Read, Call::ReadUnclassified, Call::List] {
        // The control: unchanged, each call is allowed.
        world.call(call, &world.tenant.instruction, "crm_operations").expect(200);
    }
    for change in changes() {
        let body = changed(change.pointer, &change.value);
        let id = active(&world.vault, &world.tenant, &body);
        let answer = world.call(change.call, &id, "crm_operations");
        world.denied(&answer, 403, change.code);
        assert_eq!(answer.body["instruction"]["id"], id.as_str(), "{}", change.pointer);
    }
}

#[test]
fn every_code_of_the_vocabulary_is_reached_or_has_a_reason_why_not() {
    let not_denials = [Code::Allow, Code::RoleInsufficient, Code::NotFound];
    let all: BTreeSet<_> = Code::ALL.iter().filter(|c| !not_denials.contains(c)).collect();
    let changes = changes();
    let reached: BTreeSet<_> = changes.iter().map(|c| &c.code).chain(ELSEWHERE).collect();
    let not: BTreeSet<_> = UNREACHABLE.iter().map(|(code, _)| code).collect();
    assert!(reached.is_disjoint(&not));
    assert_eq!(reached.union(&not).copied().collect::<BTreeSet<_>>(), all);
}

#[test]
fn the_instruction_that_is_named_counts_in_its_status() {
    let world = World::start();
    let draft = world.post("/v1/instructions", &instruction(), 201).text_of("id");
    world.denied(&world.read(&draft), 403, Code::InstructionDraft);
    let id = active(&world.vault, &world.tenant, &instruction());
    let on = |verb: &str| format!("/v1/instructions/{id}/{verb}");
    world.post(&on("suspend"), &json!({}), 200);
    world.denied(&world.read(&id), 403, Code::InstructionSuspended);
    world.post(&on("resume"), &json!({}), 200);
    world.read(&id).expect(200);
    world.post(&format!("/v1/instructions/{id}"), &instruction(), 201);
    world.read(&id).expect(200);
    world.post(&on("activate"), &json!({ "version": 2 }), 200);
    world.read(&id).expect(200);
    world.denied(&world.read(&format!("{id};v=1")), 403, Code::InstructionSuperseded);
    world.post(&on("revoke"), &json!({}), 200);
    world.denied(&world.read(&id), 403, Code::InstructionRevoked);
    world.denied(&world.read("ins_01h455vb4pex5vsknk084sn02q"), 403, Code::NoInstruction);
    let stranger = world.vault.tenant();
    world.denied(&world.read(&stranger.instruction), 403, Code::NoInstruction);
}

#[test]
fn without_a_name_exactly_one_permit_must_fit() {
    let world = World::start();
    let path = format!("/v1/leads/{}?fields=email", world.lead);
    let plain = world.vault.plain(&world.tenant);
    plain.get(&path).expect(200);
    let second = active(&world.vault, &world.tenant, &instruction());
    world.denied(&plain.get(&path), 403, Code::Ambiguous);
    for id in [&second, &world.tenant.instruction] {
        world.post(&format!("/v1/instructions/{id}/revoke"), &json!({}), 200);
    }
    world.denied(&plain.get(&path), 403, Code::NoInstruction);
}

#[test]
fn the_purpose_is_the_header_else_the_keys_default_else_the_only_one() {
    let world = World::start();
    let under = &world.tenant.instruction;
    world.denied(&world.call(Call::Read, under, "tenant_marketing"), 403, Code::Purpose);
    let unknown = world.call(Call::Read, under, "mischief");
    assert_eq!((unknown.status, unknown.code(), unknown.index), (400, "purpose_unknown", None));
    let path = format!("/v1/leads/{}?fields=email", world.lead);
    let by = |with: Value| {
        let secret = world.vault.key(&world.tenant, "reader", &with).text_of("secret");
        leadvault_tests::kit::Caller::new(&world.vault.url(), &secret)
    };
    by(json!({ "default_instruction": under })).get(&path).expect(200);
    let other = json!({ "default_instruction": under, "default_purpose": "tenant_marketing" });
    world.denied(&by(other.clone()).get(&path), 403, Code::Purpose);
    by(other).under(under, "crm_operations").get(&path).expect(200);
    let two = changed("/purposes", &json!(["crm_operations", "tenant_marketing"]));
    let two = active(&world.vault, &world.tenant, &two);
    let none = by(json!({ "default_instruction": two })).get(&path);
    assert_eq!((none.status, none.code(), none.index), (400, "purpose_required", None));
}

#[test]
fn a_prohibit_wins_whatever_is_named() {
    let world = World::start();
    let mut prohibit = changed("/operations", &json!(["read"]));
    prohibit["effect"] = json!("prohibit");
    let id = active(&world.vault, &world.tenant, &prohibit);
    let answer = world.read(&world.tenant.instruction);
    world.denied(&answer, 403, Code::Prohibited);
    assert_eq!(answer.body["instruction"]["id"], id.as_str());
    world.call(Call::List, &world.tenant.instruction, "crm_operations").expect(200);
    world.post(&format!("/v1/instructions/{id}/suspend"), &json!({}), 200);
    world.read(&world.tenant.instruction).expect(200);
}

#[test]
fn a_restricted_lead_is_stored_and_nothing_else() {
    let world = World::start();
    let under = world.vault.acting(&world.tenant);
    under.post(&format!("/v1/leads/{}/restrict", world.lead), &json!({})).expect(200);
    world.denied(&world.read(&world.tenant.instruction), 403, Code::Restricted);
    let search = json!({ "match": { "email": "ada@example.com" }, "limit": 5 });
    let found = under.post("/v1/leads/search", &search).expect(200);
    assert_eq!(found.body["data"], json!([]));
    let page = under.get("/v1/leads?limit=50").expect(200);
    assert!(!page.text.contains(&world.lead) && page.text.contains("g…@e….com"));
    under.post(&format!("/v1/leads/{}/unrestrict", world.lead), &json!({})).expect(200);
    world.read(&world.tenant.instruction).expect(200);
}

#[test]
fn a_rate_counts_the_calls_of_an_hour() {
    let world = World::start();
    let body = changed("/conditions/rate_per_hour", &json!(2));
    let id = active(&world.vault, &world.tenant, &body);
    // An hour may end between two calls, but only once: of four, the third or the fourth is refused.
    let codes: Vec<_> = (0..4).map(|_| world.read(&id).status).collect();
    assert!(codes.contains(&403) && codes.starts_with(&[200, 200]), "{codes:?}");
}

#[test]
fn an_instruction_bound_to_an_agreement_that_ended_permits_nothing_but_the_way_out() {
    let world = World::start();
    let plain = world.vault.plain(&world.tenant);
    plain.send(reqwest::Method::DELETE, "/v1/tenant/agreement", &[], None).expect(204);
    world.denied(&world.read(&world.tenant.instruction), 403, Code::Agreement);
    let path = format!("/v1/leads/{}/erase", world.lead);
    plain.try_post(&path, &json!({}), "e").expect("an answer").expect(200);
    let export = json!({ "plain": true });
    plain.try_post("/v1/exports", &export, "x").expect("an answer").expect(202);
}
