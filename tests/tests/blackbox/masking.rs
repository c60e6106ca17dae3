//! Masking: what a masked answer shows of each field (fields.md 1), and what nothing beside it gives away.

use leadvault_tests::kit::{Answer, Tenant, Vault, instruction};
use reqwest::Method;
use serde_json::{Value, json};

/// Each field that can be set, a value, and what a masked answer shows of it.
const FIELDS: &[(&str, &str, &str)] = &[
    ("email", "fstephens@shepherd.info", "f…@s….info"),
    ("email_2", "rusheddie@massey.example.org", "r…@m….org"),
    ("phone", "+19802005296", "+1…96"),
    ("phone_2", "+49 30 901820", "+4…20"),
    ("mobile", "917-584-0243x4606", "+1…43"),
    ("first_name", "Jaime", "J."),
    ("last_name", "Hayes", "H."),
    ("full_name", "Jaime van Hayes", "J. v. H."),
    ("salutation", "Professor", "…"),
    ("birth_date", "1980-02-03", "…"),
    ("sex", "female", "…"),
    ("external_id", "2FCBFE58CC70308", "…"),
    ("company", "Mays Incorporated", "May…"),
    ("job_title", "Head of Sales", "Hea…"),
    ("website", "https://black.example.org/", "htt…"),
    ("street", "12 Long Street", "…"),
    ("city", "Tintagel", "…"),
    ("state", "Cornwall", "…"),
    ("postal_code", "PL34 0DB", "…"),
    ("country", "United Kingdom", "United Kingdom"),
    ("owner", "Selena Doyle", "Selena Doyle"),
    ("source", "LinkedIn Outreach", "LinkedIn Outreach"),
    ("stage", "On Hold", "On Hold"),
    ("status", "Contacted", "Contacted"),
    ("consent_basis", "opt-in", "opt-in"),
    ("consent_at", "2026-01-01", "2026-01-01"),
    ("notice_at", "2026-01-02", "2026-01-02"),
    ("gpc", "true", "true"),
    ("x_7", "a column nobody classified", "…"),
];

/// Texts that stand behind a mask.
fn hidden() -> Vec<&'static str> {
    let veiled = FIELDS.iter().filter(|(_, value, shown)| value != shown).map(|(_, v, _)| *v);
    veiled.chain(["Heart represent while into.", "golden-tag"]).collect()
}

struct World {
    vault: Vault,
    tenant: Tenant,
    lead: String,
}

impl World {
    fn start() -> Self {
        let vault = Vault::start();
        let tenant = vault.tenant();
        let fields: serde_json::Map<_, _> =
            FIELDS.iter().map(|(name, value, _)| ((*name).to_owned(), json!(value))).collect();
        let body = json!({ "dataset": tenant.dataset, "fields": fields,
            "tags": ["golden-tag", "second"], "notes": [{ "text": "Heart represent while into." }] });
        let lead = vault.acting(&tenant).post("/v1/leads", &body).expect(201).text_of("id");
        Self { vault, tenant, lead }
    }

    fn masked(&self) -> Vec<Value> {
        let caller = self.vault.acting(&self.tenant);
        let one = caller.get(&format!("/v1/leads/{}", self.lead)).expect(200);
        let page = caller.get("/v1/leads?limit=5").expect(200);
        let search = json!({ "match": { "email": FIELDS[0].1 }, "limit": 5 });
        let found = caller.post("/v1/leads/search", &search).expect(200);
        for answer in [&one, &page, &found] {
            nothing_hidden_in(answer);
        }
        vec![one.body.clone(), page.body["data"][0].clone(), found.body["data"][0].clone()]
    }

    /// A caller under an instruction with one member of its data changed.
    fn under(&self, member: &str, value: &Value) -> leadvault_tests::kit::Caller {
        let mut body = instruction();
        body["data"][member] = value.clone();
        let plain = self.vault.plain(&self.tenant);
        let id = plain.post("/v1/instructions", &body).expect(201).text_of("id");
        let path = format!("/v1/instructions/{id}/activate");
        plain.post(&path, &json!({ "version": 1 })).expect(200);
        plain.under(&id, "crm_operations")
    }
}

#[track_caller]
fn nothing_hidden_in(answer: &Answer) {
    for text in hidden() {
        assert!(!answer.text.contains(text), "{text}: {}", answer.text);
    }
}

#[test]
fn every_kind_of_field_is_masked_as_the_table_says() {
    let world = World::start();
    for shown in world.masked() {
        assert_eq!(shown["masked"], true);
        for (name, _, masked) in FIELDS {
            assert_eq!(shown["fields"][name], *masked, "{name}");
        }
        assert_eq!(shown["fields"].as_object().expect("fields").len(), FIELDS.len());
        assert_eq!(shown["tags"], 2);
        assert_eq!(shown["notes"][0]["text"], "<100");
        assert!(shown["original"].is_null());
    }
    // The control: with fields named, the values are there.
    let names: Vec<_> = FIELDS.iter().map(|(name, ..)| *name).collect();
    let path = format!("/v1/leads/{}?fields={},notes,tags", world.lead, names.join(","));
    let read = world.vault.acting(&world.tenant).get(&path).expect(200);
    assert_eq!(read.body["masked"], false);
    for text in ["fstephens@shepherd.info", "Tintagel", "golden-tag", "Heart represent"] {
        assert!(read.text.contains(text), "{text}");
    }
}

#[test]
fn a_cell_that_is_no_address_shows_nothing_of_itself() {
    let world = World::start();
    let caller = world.vault.acting(&world.tenant);
    for cell in ["call me @ home. +1 415 555 2671", "Ada Lovelace <ada@example.com>"] {
        let body = json!({ "dataset": world.tenant.dataset, "fields": { "email": cell } });
        let lead = caller.post("/v1/leads", &body).expect(201).text_of("id");
        let shown = caller.get(&format!("/v1/leads/{lead}")).expect(200);
        assert_eq!(shown.body["fields"]["email"], "…", "{cell}");
    }
}

#[test]
fn an_instruction_that_masks_masks_what_is_named_too() {
    let world = World::start();
    let path = format!("/v1/leads/{}?fields=email,company,original", world.lead);
    for (masking, email, company) in [
        ("partial", json!("f…@s….info"), json!("May…")),
        ("full", json!("…"), json!("…")),
        ("tokens_only", Value::Null, Value::Null),
    ] {
        let caller = world.under("masking", &json!(masking));
        let shown = caller.get(&path).expect(200);
        nothing_hidden_in(&shown);
        assert_eq!(shown.body["masked"], true, "{masking}");
        assert_eq!(shown.body["fields"]["email"], email, "{masking}");
        assert_eq!(shown.body["fields"]["company"], company, "{masking}");
        assert!(shown.body["original"].is_null(), "{masking}");
        let search = json!({ "match": { "email": FIELDS[0].1 }, "fields": ["email"], "limit": 5 });
        nothing_hidden_in(&caller.post("/v1/leads/search", &search).expect(200));
    }
}

#[test]
fn what_an_instruction_leaves_out_shows_in_no_other_way() {
    let world = World::start();
    let all = instruction()["data"]["categories"].as_array().expect("categories").clone();
    let kept: Vec<_> = all.into_iter().filter(|c| c != "contact").collect();
    let caller = world.under("categories", &json!(kept));
    // Masked, the fields are left out; named, they are denied; nothing is found by them.
    let shown = caller.get(&format!("/v1/leads/{}", world.lead)).expect(200);
    assert!(shown.body["fields"].get("email").is_none() && shown.body["fields"]["city"] == "…");
    for known in [FIELDS[0].1, "nobody@example.org"] {
        let search = json!({ "match": { "email": known }, "limit": 5 });
        let denied = caller.post("/v1/leads/search", &search);
        assert_eq!((denied.status, denied.code()), (403, "DENY_CATEGORY"), "{}", denied.text);
    }
    // The cells of a row tell every category it has.
    let cells = caller.get(&format!("/v1/leads/{}?fields=original", world.lead));
    assert_eq!((cells.status, cells.code()), (403, "DENY_CATEGORY"), "{}", cells.text);
    let excluded = world.under("fields_exclude", &json!(["email"]));
    let cells = excluded.get(&format!("/v1/leads/{}?fields=original", world.lead));
    assert!(!cells.text.contains(FIELDS[0].1), "{}", cells.text);
}

#[test]
fn neither_version_nor_order_nor_place_of_an_error_tells_a_value() {
    let world = World::start();
    let caller = world.vault.acting(&world.tenant);
    let path = format!("/v1/leads/{}", world.lead);
    // The same value again, and another: each is a version, and no more.
    for (before, company) in [("\"v1\"", "Mays Incorporated"), ("\"v2\"", "Other")] {
        let headers = [("content-type", "application/merge-patch+json"), ("if-match", before)];
        let body = json!({ "fields": { "company": company } }).to_string().into_bytes();
        let changed = caller.send(Method::PATCH, &path, &headers, Some(body)).expect(200);
        let version = changed.body["version"].as_u64().expect("a version");
        assert_eq!(changed.etag, Some(format!("\"v{version}\"")));
        nothing_hidden_in(&changed);
    }
    // Leads are listed as they were made, whatever they hold.
    let made: Vec<_> = ["zoe@example.org", "ada@example.org", "mia@example.org"]
        .map(|email| world.vault.lead(&world.tenant, email))
        .into();
    let page = caller.get("/v1/leads?limit=10").expect(200);
    let listed: Vec<_> = page.body["data"].as_array().expect("leads").iter().skip(1).collect();
    assert_eq!(
        listed.iter().map(|l| &l["id"]).collect::<Vec<_>>(),
        made.iter().collect::<Vec<_>>()
    );
    let entries = world.vault.plain(&world.tenant).get("/v1/log/entries?from=0").expect(200);
    nothing_hidden_in(&entries);
}

#[test]
fn headers_of_a_file_are_told_to_those_who_may_read_the_dataset() {
    let world = World::start();
    let caller = world.vault.acting(&world.tenant);
    let body = json!({ "dataset": world.tenant.dataset });
    let import = caller.post("/v1/imports", &body).expect(201).text_of("id");
    let file = b"Email,Secret column\nada@example.org,value of the column\n".to_vec();
    caller.send(Method::PUT, &format!("/v1/imports/{import}/content"), &[], Some(file)).expect(200);
    for (role, told) in [("reader", true), ("auditor", false)] {
        let key = world.vault.key(&world.tenant, role, &json!({})).text_of("secret");
        let caller = leadvault_tests::kit::Caller::new(&world.vault.url(), &key);
        let shown = caller.get(&format!("/v1/imports/{import}")).expect(200);
        assert_eq!(shown.text.contains("Secret column"), told, "{role}: {}", shown.text);
        assert!(!shown.text.contains("value of the column"));
    }
}
