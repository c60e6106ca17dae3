//! The pinned surface, member by member, against the running server; every answer is held against the
//! schema that openapi.json declares for it, and at the end every operation of the document was called.

mod document;

use std::collections::BTreeMap;

use leadvault_tests::kit::{Answer, Caller, Vault, attestation, instruction, until};
use reqwest::Method;
use serde_json::{Value, json};

use self::document::Document;

/// Calls operations by their path in the document and holds the answers against it.
struct Walk<'a> {
    document: &'a Document,
    caller: Caller,
}

impl Walk<'_> {
    /// As another caller.
    fn by(&self, caller: Caller) -> Walk<'_> {
        Walk { document: self.document, caller }
    }

    #[track_caller]
    fn call(&self, operation: &str, ids: &[&str], body: Option<&Value>, status: u16) -> Answer {
        self.call_with(operation, ids, &[], body.map(|b| b.to_string().into_bytes()), status)
    }

    #[track_caller]
    fn call_with(
        &self,
        operation: &str,
        ids: &[&str],
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
        status: u16,
    ) -> Answer {
        let (method, path) = operation.split_once(' ').expect("method and path");
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut ids = ids.iter();
        let filled: Vec<_> = path
            .split('/')
            .map(|part| if part.starts_with('{') { *ids.next().expect("an id") } else { part })
            .collect();
        let mut url = filled.join("/");
        if !query.is_empty() {
            url = format!("{url}?{query}");
        }
        let mut sent = headers.to_vec();
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            sent.push(("content-type", "application/json"));
        }
        let method: Method = method.parse().expect("a method");
        let answer = self.caller.send(method.clone(), &url, &sent, body).expect(status);
        self.document.check(method.as_str(), path, &answer);
        answer
    }

    #[track_caller]
    fn get(&self, path: &str, ids: &[&str]) -> Answer {
        self.call(&format!("GET {path}"), ids, None, 200)
    }

    #[track_caller]
    fn post(&self, path: &str, ids: &[&str], body: &Value, status: u16) -> Answer {
        self.call(&format!("POST {path}"), ids, Some(body), status)
    }

    /// POST with an idempotency key.
    #[track_caller]
    fn post_once(&self, path: &str, ids: &[&str], body: &Value, status: u16) -> Answer {
        let key = format!("once-{}-{}", path.len(), ids.join("-"));
        let headers = [("idempotency-key", key.as_str())];
        let body = Some(body.to_string().into_bytes());
        self.call_with(&format!("POST {path}"), ids, &headers, body, status)
    }

    #[track_caller]
    fn put(&self, path: &str, ids: &[&str], body: &Value, status: u16) -> Answer {
        self.call(&format!("PUT {path}"), ids, Some(body), status)
    }
}

/// Asserts that an object has these members, at least.
#[track_caller]
fn has(value: &Value, members: &[&str]) {
    let object = value.as_object().unwrap_or_else(|| panic!("no object: {value}"));
    for member in members {
        assert!(object.contains_key(*member), "no `{member}` in {value}");
    }
}

/// Asserts that an id has its prefix and 26 characters of lower-case Crockford base32.
#[track_caller]
fn is_id(value: &Value, prefix: &str) {
    let text = value.as_str().unwrap_or_else(|| panic!("no id: {value}"));
    let digits = text.strip_prefix(prefix).and_then(|t| t.strip_prefix('_'));
    let crockford = |c: char| c.is_ascii_digit() || (c.is_ascii_lowercase() && !"ilou".contains(c));
    let ok = digits.is_some_and(|d| d.len() == 26 && d.chars().all(crockford));
    assert!(ok, "{text} is not an id of {prefix}");
}

/// Asserts RFC 3339 in UTC with `Z`.
#[track_caller]
fn is_time(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    let form = text.len() >= 20 && text.ends_with('Z') && text.as_bytes().get(10) == Some(&b'T');
    assert!(form, "{text} is not a time in UTC");
}

fn tenant_draft() -> Value {
    json!({
        "name": "Surface GmbH", "region": "local", "controller_country": "DE",
        "locations": { "store": ["DE"], "access": ["DE", "US"] },
        "agreement": { "id": "dpa-1", "version": "1", "sha256": "0".repeat(64) },
        "export_recipient": null,
    })
}

/// Ids that later parts of the walk need.
type Ids = BTreeMap<&'static str, String>;

#[test]
fn the_surface_is_as_it_is_pinned_and_every_operation_of_the_document_was_called() {
    let vault = Vault::start();
    let document = Document::read();
    let nobody = Walk { document: &document, caller: Caller::nobody(&vault.url()) };
    service(&nobody);
    let operator = nobody.by(vault.operator());
    let (tenant, ids) = tenants(&vault, &operator);
    keys(&vault, &tenant);
    settings(&tenant);
    let ids = datasets(&tenant, ids);
    let ids = instructions(&operator, &tenant, ids);
    let acting = tenant.by(tenant.caller.clone().under(&ids["instruction"], "crm_operations"));
    let ids = leads(&acting, ids);
    files(&acting, &tenant, &ids["lead"]);
    explain(&acting, &ids);
    imports(&acting, &ids);
    exports(&acting);
    changes(&acting, &ids);
    log(&acting);
    erasures(&acting, &ids);
    challenges(&operator, &tenant, &ids);
    states(&operator, &tenant, &ids);
    assert_eq!(document.not_called(), Vec::<String>::new());
}

fn service(nobody: &Walk<'_>) {
    let health = nobody.get("/healthz", &[]);
    assert_eq!(health.status, 200);
    let ready = nobody.get("/readyz", &[]);
    has(&ready.body, &["ready", "reasons", "durability", "level"]);
    assert_eq!(ready.body["ready"], true);
    let served = nobody.get("/openapi.json", &[]);
    assert_eq!(served.body, nobody.document.json, "what is served is what `openapi` prints");
    assert_eq!(served.body["openapi"], "3.1.0");
    for page in ["/docs", "/docs/errors"] {
        let page = nobody.get(page, &[]);
        assert!(page.header("content-type").starts_with("text/html"), "{}", page.text);
    }
}

fn tenants<'a>(vault: &Vault, operator: &Walk<'a>) -> (Walk<'a>, Ids) {
    let made = operator.post("/v1/tenants", &[], &tenant_draft(), 201).body;
    has(&made, &["id", "state", "region", "log", "key"]);
    is_id(&made["id"], "tn");
    is_id(&made["key"]["id"], "key");
    assert_eq!((&made["state"], &made["region"]), (&json!("active"), &json!("local")));
    assert!(made["log"]["origin"].as_str().expect("origin").contains("/t/"));
    assert_eq!(made["key"]["role"], "controller");
    let secret = made["key"]["secret"].as_str().expect("a secret");
    assert!(secret.starts_with("lv_live_"), "the form that scanners look for");
    let listed = operator.get("/v1/tenants", &[]);
    assert!(listed.body["data"].as_array().expect("a list").iter().any(|t| t["id"] == made["id"]));
    assert!(!listed.text.contains("Surface GmbH"), "the operator lists no names");
    let tenant = Walk { document: operator.document, caller: Caller::new(&vault.url(), secret) };
    let shown = tenant.get("/v1/tenant", &[]).body;
    has(&shown, &["id", "state", "region", "agreement", "export_recipient", "keys"]);
    has(&shown["keys"], &["root", "epoch", "state"]);
    has(&shown["keys"]["root"], &["provider", "level"]);
    let id = made["id"].as_str().expect("an id").to_owned();
    (
        tenant,
        Ids::from([("tenant", id), ("key", made["key"]["id"].as_str().expect("id").to_owned())]),
    )
}

fn keys(vault: &Vault, tenant: &Walk<'_>) {
    let draft = json!({ "name": "sync", "role": "reader", "principal": "p2", "employer": "tenant",
        "country": "DE", "default_instruction": null, "default_purpose": "crm_operations",
        "datasets": null, "expires_at": null });
    let made = tenant.post("/v1/keys", &[], &draft, 201).body;
    has(&made, &["id", "secret", "name", "role", "principal", "country", "expires_at"]);
    let listed = tenant.get("/v1/keys", &[]);
    assert!(!listed.text.contains("secret"), "secrets are shown once");
    let secret = made["secret"].as_str().expect("a secret");
    let reader = tenant.by(Caller::new(&vault.url(), secret));
    reader.get("/v1/tenant", &[]);
    let refused = reader.post("/v1/keys", &[], &draft, 403);
    assert_eq!(refused.code(), "role_insufficient");
    let id = made["id"].as_str().expect("an id");
    tenant.call("DELETE /v1/keys/{id}", &[id], None, 204);
    assert_eq!(reader.call("GET /v1/tenant", &[], None, 401).code(), "unauthenticated");
}

fn settings(tenant: &Walk<'_>) {
    let agreement = json!({ "id": "dpa-1", "version": "1", "sha256": "0".repeat(64) });
    tenant.call("DELETE /v1/tenant/agreement", &[], None, 204);
    tenant.put("/v1/tenant/agreement", &[], &agreement, 200);
    let recipient =
        json!({ "recipient": "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p" });
    tenant.put("/v1/tenant/export-recipient", &[], &recipient, 200);
    let shown = tenant.get("/v1/tenant", &[]).body;
    assert_eq!(shown["export_recipient"], recipient["recipient"]);
    tenant.put("/v1/tenant/export-recipient", &[], &json!({ "recipient": null }), 200);
    let suspended = tenant.post("/v1/tenant/keys/suspend", &[], &json!({}), 200);
    assert_eq!(suspended.body["state"], "disabled");
    assert_eq!(tenant.get("/v1/tenant", &[]).body["keys"]["state"], "disabled");
    let resumed = tenant.post("/v1/tenant/keys/resume", &[], &json!({}), 200);
    assert_eq!(resumed.body["state"], "active");
}

fn datasets(tenant: &Walk<'_>, mut ids: Ids) -> Ids {
    let draft = json!({ "name": "fair", "default_region": "US", "origin": ["US-CA"] });
    let made = tenant.post("/v1/datasets", &[], &draft, 201).body;
    is_id(&made["id"], "ds");
    is_time(&made["created_at"]);
    let other = tenant.post("/v1/datasets", &[], &json!({ "name": "other" }), 201).body;
    let listed = tenant.get("/v1/datasets", &[]).body;
    has(&listed, &["data", "next_cursor", "has_more"]);
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(2));
    for (name, dataset) in [("dataset", made), ("other", other)] {
        ids.insert(name, dataset["id"].as_str().expect("an id").to_owned());
    }
    ids
}

fn instructions(operator: &Walk<'_>, tenant: &Walk<'_>, mut ids: Ids) -> Ids {
    let made = tenant.post("/v1/instructions", &[], &instruction(), 201).body;
    is_id(&made["id"], "ins");
    assert_eq!((&made["version"], &made["status"]), (&json!(1), &json!("draft")));
    has(&made, &["tenant_id", "salt", "hash", "created_at", "issuer", "validity", "evidence"]);
    let id = made["id"].as_str().expect("an id").to_owned();
    let activate = "/v1/instructions/{id}/activate";
    let active = tenant.post(activate, &[&id], &json!({ "version": 1 }), 200).body;
    assert_eq!(active["status"], "active");
    assert!(active["signature"].is_string(), "a version in force is signed");
    let second = tenant.post("/v1/instructions/{id}", &[&id], &instruction(), 201).body;
    assert_eq!((&second["version"], &second["status"]), (&json!(2), &json!("draft")));
    let show = |query: &str| tenant.get(&format!("/v1/instructions/{{id}}{query}"), &[&id]).body;
    assert_eq!(show("?version=1")["status"], "active", "it stays until the next is activated");
    assert_eq!(show("?version=1")["signature"], active["signature"]);
    assert_eq!(show("")["version"], 2);
    tenant.post(activate, &[&id], &json!({ "version": 2 }), 200);
    assert_eq!(show("?version=1")["status"], "superseded");
    let again = tenant.post(activate, &[&id], &json!({ "version": 1 }), 409);
    assert_eq!(again.code(), "state_conflict");
    for (verb, status) in [("suspend", "suspended"), ("resume", "active")] {
        let path = format!("/v1/instructions/{{id}}/{verb}");
        assert_eq!(tenant.post(&path, &[&id], &json!({}), 200).body["status"], status);
    }
    let doomed = tenant.post("/v1/instructions", &[], &instruction(), 201).text_of("id");
    let revoked = tenant.post("/v1/instructions/{id}/revoke", &[&doomed], &json!({}), 200);
    assert_eq!(revoked.body["status"], "revoked");
    let mut risky = instruction();
    risky["purposes"] = json!(["deidentified_rnd"]);
    risky["operations"] = json!(["anonymise"]);
    let risky = tenant.post("/v1/instructions", &[], &risky, 201).text_of("id");
    let waiting = tenant.post(activate, &[&risky], &json!({ "version": 1 }), 202).body;
    assert_eq!(waiting["status"], "awaiting_second");
    let mut filtered = instruction();
    filtered["data"]["filter"] = json!("email = \"x\"");
    let refused = tenant.post("/v1/instructions", &[], &filtered, 422);
    assert_eq!(refused.code(), "filter_label_unknown");
    let mut unsigned = instruction();
    unsigned["agreement"]["sha256"] = json!("none");
    let refused = tenant.post("/v1/instructions", &[], &unsigned, 422);
    assert_eq!(refused.body["errors"][0]["pointer"], "#/agreement/sha256");

    let body = Some(instruction().to_string().into_bytes());
    let for_tenant = [("tenant", ids["tenant"].as_str())];
    let drafted =
        operator.call_with("POST /v1/instructions", &[], &for_tenant, body.clone(), 201).body;
    assert_eq!(
        (&drafted["tenant_id"], &drafted["status"]),
        (&json!(ids["tenant"]), &json!("draft"))
    );
    let drafted = drafted["id"].as_str().expect("an id").to_owned();
    let next =
        operator.call_with("POST /v1/instructions/{id}", &[&drafted], &[], body.clone(), 201);
    assert_eq!(next.body["version"], 2);
    let unnamed = operator.call_with("POST /v1/instructions", &[], &[], body.clone(), 400);
    assert_eq!(unnamed.body["errors"][0]["pointer"], "header:Tenant");
    let strange = [("tenant", "tn_01h455vb4pex5vsknk084sn02q")];
    operator.call_with("POST /v1/instructions", &[], &strange, body.clone(), 404);
    tenant.call_with("POST /v1/instructions", &[], &strange, body, 404);
    let forced = operator.post(activate, &[&drafted], &json!({ "version": 1 }), 403);
    assert_eq!(forced.code(), "role_insufficient", "the operator drafts and never activates");
    tenant.post(activate, &[&drafted], &json!({ "version": 2 }), 200);
    tenant.post("/v1/instructions/{id}/revoke", &[&drafted], &json!({}), 200);
    let listed = tenant.get("/v1/instructions", &[]).body;
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(4));
    ids.insert("instruction", id);
    ids
}

/// Files of a lead; they are erased by their controller, without an instruction.
fn files(acting: &Walk<'_>, tenant: &Walk<'_>, lead: &str) {
    let draft = json!({ "name": "offer.txt", "size": 70_000, "leads": [], "erase_with": "any" });
    let made = acting.post("/v1/leads/{id}/files", &[lead], &draft, 201);
    is_id(&made.body["id"], "file");
    let id = made.text_of("id");
    assert_eq!(made.location.as_deref(), Some(format!("/v1/files/{id}/content").as_str()));
    let bytes = vec![b'a'; 70_000];
    let content = |method: &str| format!("{method} /v1/files/{{id}}/content");
    let piece = ("content-range", "bytes 0-65534/70000");
    let first = Some(bytes[..65_535].to_vec());
    let more = acting.call_with(&content("PUT"), &[&id], &[piece], first, 308);
    assert_eq!(more.header("range"), "bytes=0-65534");
    let told = acting.call_with(&content("HEAD"), &[&id], &[], None, 200);
    assert_eq!((told.header("upload-offset"), told.header("upload-length")), ("65535", "70000"));
    let rest = ("content-range", "bytes 65535-69999/70000");
    let last = Some(bytes[65_535..].to_vec());
    let stored = acting.call_with(&content("PUT"), &[&id], &[rest], last, 200);
    has(&stored.body, &["id", "size", "type", "sha256"]);
    let listed = acting.get("/v1/leads/{id}/files", &[lead]);
    let members =
        ["id", "name", "size", "type", "sha256", "state", "erase_with", "leads", "created_at"];
    has(&listed.body["data"][0], &members);
    is_time(&listed.body["data"][0]["created_at"]);
    let span = ("range", "bytes=65530-65539");
    let part = acting.call_with(&content("GET"), &[&id], &[span], None, 206);
    assert_eq!(part.text, "a".repeat(10));
    assert_eq!(acting.get("/v1/files/{id}/content", &[&id]).text.len(), 70_000);
    tenant.call_with(&content("DELETE"), &[&id], &[], None, 204);
    let other = json!({ "name": "empty", "size": 0 });
    let id = acting.post("/v1/leads/{id}/files", &[lead], &other, 201).text_of("id");
    tenant.call_with("DELETE /v1/files/{id}", &[&id], &[], None, 204);
}

fn leads(acting: &Walk<'_>, mut ids: Ids) -> Ids {
    let draft = json!({ "dataset": ids["dataset"], "external_id": "crm-1",
        "fields": { "email": "ada@example.com", "phone": "+14155552671" }, "tags": ["fair"],
        "notes": [{ "text": "please call back on Monday" }], "origin": ["EU"] });
    let made = acting.post("/v1/leads", &[], &draft, 201);
    is_id(&made.body["id"], "ct");
    assert_eq!(made.etag.as_deref(), Some("\"v1\""));
    assert!(made.index.is_some() && made.receipt.is_some());
    assert_eq!(made.header("ledger-leaf").len(), 64);
    let id = made.text_of("id");
    let twice = acting.post("/v1/leads", &[], &draft, 409);
    assert_eq!(twice.code(), "duplicate");
    let shown = acting.get("/v1/leads/{id}?fields=email,phone,tags,notes", &[&id]);
    let members = [
        "id",
        "dataset",
        "version",
        "created_at",
        "updated_at",
        "import",
        "row",
        "masked",
        "fields",
        "tags",
        "notes",
    ];
    has(&shown.body, &members);
    assert_eq!(shown.etag.as_deref(), Some("\"v1\""));
    assert_eq!(shown.body["masked"], false);
    assert_eq!(
        shown.body["fields"],
        json!({ "email": "ada@example.com", "phone": "+14155552671" })
    );
    assert_eq!(shown.body["tags"], json!(["fair"]));
    assert_eq!(shown.body["notes"][0]["text"], "please call back on Monday");
    let masked = acting.get("/v1/leads/{id}", &[&id]);
    assert_eq!(masked.body["masked"], true);
    assert!(!masked.text.contains("ada@example.com") && !masked.text.contains("Monday"));
    let patch = Some(json!({ "fields": { "company": "Engines" } }).to_string().into_bytes());
    let merge = ("content-type", "application/merge-patch+json");
    let change = "PATCH /v1/leads/{id}";
    let missing = acting.call_with(change, &[&id], &[merge], patch.clone(), 428);
    assert_eq!(missing.code(), "if_match_required");
    let stale =
        acting.call_with(change, &[&id], &[merge, ("if-match", "\"v9\"")], patch.clone(), 412);
    assert_eq!(stale.code(), "version_conflict");
    let changed = acting.call_with(change, &[&id], &[merge, ("if-match", "\"v1\"")], patch, 200);
    assert_eq!((changed.etag.as_deref(), &changed.body["version"]), (Some("\"v2\""), &json!(2)));

    let listed = acting.get(&format!("/v1/leads?dataset={}&limit=1", ids["dataset"]), &[]);
    has(&listed.body, &["data", "next_cursor", "has_more"]);
    assert_eq!(listed.body["data"][0]["id"], json!(id));
    let exact = json!({ "dataset": ids["dataset"], "match": { "email": "ADA@example.com" },
        "deep": null, "fields": ["email"], "limit": 10, "cursor": null });
    let found = acting.post("/v1/leads/search", &[], &exact, 200);
    assert_eq!(found.body["data"][0]["fields"], json!({ "email": "ada@example.com" }));
    for dataset in [json!(ids["dataset"]), Value::Null] {
        let deep = json!({ "dataset": dataset, "match": null,
            "deep": { "fields": ["notes"], "contains": "CALL BACK" }, "fields": ["email"], "limit": 10 });
        let found = acting.post("/v1/leads/search", &[], &deep, 200);
        assert_eq!(found.body["data"][0]["fields"], json!({ "email": "ada@example.com" }));
        assert!(found.index.is_some(), "a deep search is an entry");
        let other = json!({ "dataset": dataset, "limit": 10,
            "deep": { "fields": ["company"], "contains": "call back" } });
        let found = acting.post("/v1/leads/search", &[], &other, 200);
        assert_eq!(found.body["data"], json!([]), "only the fields named are looked into");
    }
    for (verb, restricted) in [("restrict", true), ("unrestrict", false)] {
        let path = format!("/v1/leads/{{id}}/{verb}");
        let done = acting.post(&path, &[&id], &json!({}), 200);
        assert_eq!(done.body["restricted"], restricted);
    }
    let purpose_less = acting.by(acting.caller.clone().under(&ids["instruction"], "selling"));
    assert_eq!(
        purpose_less.call("GET /v1/leads/{id}", &[&id], None, 400).code(),
        "purpose_unknown"
    );
    ids.insert("lead", id);
    ids
}

fn explain(acting: &Walk<'_>, ids: &Ids) {
    let ask = |body: Value| acting.post("/v1/explain", &[], &body, 200).body;
    let base = json!({ "operation": "read", "purpose": "crm_operations",
        "instruction": ids["instruction"], "dataset": ids["dataset"], "lead": ids["lead"],
        "fields": ["email"], "recipient": null, "dest": null, "as_of": null });
    let told = ask(base.clone());
    has(
        &told,
        &[
            "decision",
            "code",
            "warnings",
            "obligations",
            "instruction",
            "registers",
            "flags",
            "would_need",
        ],
    );
    assert_eq!((&told["decision"], &told["code"]), (&json!("ALLOW"), &json!("ALLOW")));
    assert_eq!(told["instruction"], json!({ "id": ids["instruction"], "version": 2 }));
    for (member, value, code) in [
        ("purpose", json!("tenant_marketing"), "DENY_PURPOSE"),
        ("operation", json!("derive"), "DENY_OPERATION"),
        ("dest", json!("FR"), "DENY_REGION_PIN"),
        ("recipient", json!("rcp_01h455vb4pex5vsknk084sn02q"), "DENY_RECIPIENT_NOT_AUTHORISED"),
        ("as_of", json!("2020-01-01T00:00:00Z"), "DENY_INSTRUCTION_NOT_YET"),
        ("instruction", json!("ins_01h455vb4pex5vsknk084sn02q"), "DENY_NO_INSTRUCTION"),
        (
            "instruction",
            json!(format!("{};v=1", ids["instruction"])),
            "DENY_INSTRUCTION_SUPERSEDED",
        ),
    ] {
        let mut asked = base.clone();
        asked[member] = value;
        let told = ask(asked);
        assert_eq!((&told["decision"], &told["code"]), (&json!("DENY"), &json!(code)), "{told}");
        assert!(!told["would_need"].as_array().expect("a list").is_empty(), "{told}");
    }
    acting.post("/v1/leads/{id}/restrict", &[&ids["lead"]], &json!({}), 200);
    let told = ask(base.clone());
    assert_eq!(
        (&told["code"], &told["flags"]),
        (&json!("DENY_RESTRICTED"), &json!(["restricted"]))
    );
    acting.post("/v1/leads/{id}/unrestrict", &[&ids["lead"]], &json!({}), 200);
    let exit = acting.by(acting.caller.clone().without_instruction());
    let told =
        exit.post("/v1/explain", &[], &json!({ "operation": "erase", "lead": ids["lead"] }), 200);
    assert_eq!((&told.body["code"], &told.body["instruction"]), (&json!("ALLOW"), &Value::Null));
    let mut unknown = base;
    unknown["lead"] = json!("ct_01h455vb4pex5vsknk084sn02q");
    acting.post("/v1/explain", &[], &unknown, 404);
}

fn imports(acting: &Walk<'_>, ids: &Ids) {
    let attestation = attestation();
    let draft = json!({ "dataset": ids["other"], "format": "auto", "mapping": null,
        "duplicates": { "by": ["email"], "action": "skip" }, "default_region": null,
        "attestation": attestation });
    let opened = acting.post("/v1/imports", &[], &draft, 201).body;
    is_id(&opened["id"], "imp");
    assert_eq!(opened["state"], "open");
    let id = opened["id"].as_str().expect("an id");
    let file = "Email,Badge\nbob@example.com,blue\nnot-an-address,red\n";
    let csv = [("content-type", "text/csv")];
    let put = "PUT /v1/imports/{id}/content";
    acting.call_with(put, &[id], &csv, Some(file.into()), 200);
    let done = acting.get("/v1/imports/{id}", &[id]).body;
    has(
        &done,
        &[
            "id",
            "state",
            "next_byte",
            "rows",
            "bytes",
            "rate_per_second",
            "remaining_seconds",
            "detected",
            "mapping",
        ],
    );
    has(&done["rows"], &["read", "stored", "updated", "skipped", "rejected"]);
    has(&done["detected"], &["encoding", "delimiter", "quote", "header"]);
    has(&done["mapping"][0], &["index", "column", "field", "category", "by"]);
    let failures = acting.get("/v1/imports/{id}/failures", &[id]);
    assert!(failures.text.starts_with("row,column,code\r\n"), "{}", failures.text);
    assert!(!failures.text.contains("not-an-address"));
    let class = json!({ "category": "company_role", "field": "job_title" });
    let column = "/v1/datasets/{id}/columns/{n}";
    let classified = acting.put(column, &[&ids["other"], "1"], &class, 200).body;
    let told = json!([{ "column": 1, "category": "company_role", "field": "job_title" }]);
    assert_eq!(classified["columns"], told);
    let wrong = json!({ "category": "contact", "field": "job_title" });
    assert_eq!(acting.put(column, &[&ids["other"], "1"], &wrong, 422).code(), "invalid");
    let exit = acting.by(acting.caller.clone().without_instruction());
    let undone = exit.post("/v1/imports/{id}/undo", &[id], &json!({}), 202);
    let operation = undone.location.expect("Location");
    let operation = operation.rsplit('/').next().expect("an id");
    let shown = acting.get("/v1/operations/{id}", &[operation]).body;
    has(&shown, &["id", "kind", "state", "progress", "result", "error"]);
    has(&shown["progress"], &["done", "total"]);
    let quarantined = json!({ "dataset": ids["other"], "format": "auto", "mapping": null,
        "duplicates": { "by": ["email"], "action": "skip" }, "default_region": null,
        "attestation": null });
    let opened = acting.post("/v1/imports", &[], &quarantined, 201).text_of("id");
    let asked = acting.call_with(put, &[&opened], &csv, Some("Name,Email\nA,a@b.co\n".into()), 422);
    assert_eq!(asked.code(), "mapping_needed");
    has(&asked.body["questions"][0], &["column", "choices"]);
    let asked = acting.call_with(put, &[&opened], &csv, Some("a@b.co,1\nc@d.co,2\n".into()), 422);
    assert_eq!(asked.code(), "no_header_row");
}

fn exports(acting: &Walk<'_>) {
    let exit = acting.by(acting.caller.clone().without_instruction());
    let encrypted = json!({ "dataset": null, "plain": false });
    assert_eq!(exit.post_once("/v1/exports", &[], &encrypted, 409).code(), "no_recipient");
    let plain = json!({ "dataset": null, "plain": true });
    let unnamed = exit.post("/v1/exports", &[], &plain, 400);
    assert_eq!(unnamed.code(), "idempotency_key_required");
    let headers = [("idempotency-key", "the-export")];
    let body = Some(plain.to_string().into_bytes());
    let begun = exit.call_with("POST /v1/exports", &[], &headers, body, 202);
    let location = begun.location.expect("Location");
    assert!(location.starts_with("/v1/operations/op_"), "{location}");
    let operation = location.rsplit('/').next().expect("an id").to_owned();
    let id = exit.finished(&operation)["id"].as_str().map(str::to_owned);
    let id = id.expect("the result names the export");
    let shown = exit.get("/v1/exports/{id}", &[&id]).body;
    has(&shown, &["id", "state", "sha256", "bytes", "leads", "encrypted", "expires_at"]);
    is_id(&shown["id"], "exp");
    assert_eq!((&shown["state"], &shown["encrypted"]), (&json!("ready"), &json!(false)));
    let content = "GET /v1/exports/{id}/content";
    exit.call(content, &[&id], None, 200);
    let part = exit.call_with(content, &[&id], &[("range", "bytes=0-3")], None, 206);
    assert!(part.header("content-range").starts_with("bytes 0-3/"));
}

impl Walk<'_> {
    /// The result of an operation, once it is done.
    #[track_caller]
    fn finished(&self, operation: &str) -> Value {
        until("the operation is done", || {
            let shown = self.get("/v1/operations/{id}", &[operation]).body;
            match shown["state"].as_str() {
                Some("done") => Some(shown["result"].clone()),
                Some("running") => None,
                _ => panic!("{shown}"),
            }
        })
    }
}

fn changes(acting: &Walk<'_>, ids: &Ids) {
    let page = acting.get("/v1/changes?limit=200", &[]).body;
    has(&page, &["data", "next_cursor"]);
    let events = page["data"].as_array().expect("a list");
    has(&events[0], &["seq", "type", "id", "changed", "occurred_at"]);
    let of = |kind: &'static str| events.iter().filter(move |e| e["type"] == kind);
    assert!(of("dataset.created").any(|e| e["id"] == json!(ids["dataset"])));
    assert!(of("dataset.changed").any(|e| e["changed"] == json!(["columns"])));
    assert!(of("lead.created").any(|e| e["id"] == json!(ids["lead"])));
    assert!(of("lead.changed").any(|e| e["changed"] == json!(["company"])));
    assert!(of("import.undone").next().is_some() && of("export.ready").next().is_some());
    let seqs: Vec<_> = events.iter().map(|e| e["seq"].as_u64()).collect();
    assert!(seqs.is_sorted(), "{seqs:?}");
    let cursor = page["next_cursor"].as_str().expect("a cursor");
    let last = acting.get(&format!("/v1/changes?cursor={cursor}"), &[]).body;
    assert_eq!(last["data"], json!([]));
}

fn log(acting: &Walk<'_>) {
    assert!(acting.get("/v1/log/vkey", &[]).text.contains('+'));
    // Whatever was answered is published soon after: ask until the checkpoint is there.
    let checkpoint = until("a checkpoint is published", || {
        let there = acting.caller.get("/v1/log/checkpoint").status == 200;
        there.then(|| acting.get("/v1/log/checkpoint", &[]))
    });
    let size: u64 = checkpoint.text.lines().nth(1).expect("a size").parse().expect("a number");
    let entries = acting.get("/v1/log/entries?from=0&to=2", &[]);
    assert_eq!(entries.text.lines().count(), 2);
    let proof = acting.get(&format!("/v1/log/proof/{{index}}?size={size}"), &["0"]).body;
    has(&proof, &["index", "size", "leaf_hash", "path", "checkpoint"]);
    let tile = if size < 256 { format!("0/000.p/{size}") } else { "0/000".to_owned() };
    acting.get("/v1/log/tile/{path}", &[&tile]);
}

fn erasures(acting: &Walk<'_>, ids: &Ids) {
    let exit = acting.by(acting.caller.clone().without_instruction());
    let lead = ids["lead"].as_str();
    let unnamed = exit.call("POST /v1/leads/{id}/erase", &[lead], None, 400);
    assert_eq!(unnamed.code(), "idempotency_key_required");
    let receipt = exit.post_once("/v1/leads/{id}/erase", &[lead], &json!({}), 200).body;
    has(
        &receipt,
        &[
            "type",
            "v",
            "tenant",
            "dataset",
            "lead",
            "ref",
            "requested",
            "completed",
            "epoch",
            "state",
            "level",
            "durability",
            "index_horizon",
            "exports",
            "issued_at",
            "checkpoint",
            "inclusion",
            "sig",
        ],
    );
    assert_eq!((&receipt["type"], &receipt["v"]), (&json!("ErasureReceipt"), &json!(1)));
    has(&receipt["completed"], &["index", "leaf"]);
    let gone = acting.call("GET /v1/leads/{id}", &[lead], None, 404);
    assert_eq!(gone.code(), "not_found");
    assert!(gone.index.is_some(), "a 404 is an entry too");
    let seq = &receipt["requested"]["index"];
    let events = acting.get("/v1/changes?limit=200", &[]).body;
    let events = events["data"].as_array().expect("a list");
    assert!(
        events.iter().any(|e| e["type"] == "lead.erased" && e["id"] == lead && e["seq"] == *seq)
    );
    let slip = json!({ "confirm": ids["dataset"] });
    exit.post_once("/v1/datasets/{id}/shred", &[&ids["other"]], &slip, 422);
    let meant = json!({ "confirm": ids["other"] });
    let headers = [("idempotency-key", "the-shred")];
    let body = Some(meant.to_string().into_bytes());
    exit.call_with("POST /v1/datasets/{id}/shred", &[&ids["other"]], &headers, body, 202);
}

fn challenges(operator: &Walk<'_>, tenant: &Walk<'_>, ids: &Ids) {
    let id = ids["instruction"].as_str();
    let body = json!({ "provision": "GDPR Art. 9(1)" });
    let path = "/v1/instructions/{id}/challenge";
    assert_eq!(tenant.post(path, &[id], &body, 403).code(), "role_insufficient");
    for (end, status, outcome) in
        [("confirm", "active", "confirmed"), ("withdraw", "revoked", "withdrawn")]
    {
        let challenged = operator.post(path, &[id], &body, 200);
        assert_eq!(challenged.body["status"], "challenged");
        let acting = tenant.caller.clone().under(id, "crm_operations");
        let denied = acting.get("/v1/leads");
        assert_eq!((denied.status, denied.code()), (403, "DENY_INSTRUCTION_CHALLENGED"));
        let shown = tenant.get("/v1/instructions/{id}", &[id]).body;
        assert_eq!(shown["legal"]["challenge"]["provision"], "GDPR Art. 9(1)");
        assert_eq!(shown["legal"]["challenge"]["outcome"], "open");
        let notices = tenant.get("/v1/notices?state=new", &[]).body;
        let notices = notices["data"].as_array().expect("a list").clone();
        let told = notices.iter().find(|n| n["kind"] == "instruction_challenged");
        let told = told.expect("the tenant is told");
        has(told, &["id", "kind", "at", "state", "index"]);
        is_id(&told["id"], "ntc");
        let notice = told["id"].as_str().expect("an id");
        tenant.post("/v1/notices/{id}/acknowledge", &[notice], &json!({}), 200);
        let path = format!("/v1/instructions/{{id}}/{end}");
        let ended = tenant.post(&path, &[id], &json!({}), 200).body;
        assert_eq!(ended["status"], status);
        assert_eq!(ended["legal"]["challenge"]["outcome"], outcome);
        let hash = &tenant.get("/v1/instructions/{id}", &[id]).body["hash"];
        assert_eq!(*hash, shown["hash"], "a challenge does not change what is hashed");
    }
}

fn states(operator: &Walk<'_>, tenant: &Walk<'_>, ids: &Ids) {
    let id = ids["tenant"].as_str();
    for (verb, state) in [("restrict", "restricted"), ("reactivate", "active")] {
        let path = format!("/v1/tenants/{{id}}/{verb}");
        assert_eq!(operator.post(&path, &[id], &json!({}), 200).body["state"], state);
        assert_eq!(operator.post(&path, &[id], &json!({}), 409).code(), "state_conflict");
    }
    let kinds = tenant.get("/v1/notices", &[]).body;
    let kinds = kinds["data"].as_array().expect("a list");
    assert_eq!(kinds.iter().filter(|n| n["kind"] == "tenant_state").count(), 2);
    assert_eq!(tenant.post("/v1/tenant/close", &[], &json!({}), 202).body["state"], "closing");
    let slip = json!({ "confirm": "tn_01h455vb4pex5vsknk084sn02q" });
    tenant.post_once("/v1/tenant/shred", &["slip"], &slip, 422);
    let begun = tenant.post_once("/v1/tenant/shred", &[], &json!({ "confirm": id }), 202);
    let operation = begun.body["operation"].as_str().expect("an operation");
    let certificate = tenant.finished(operation);
    assert!(certificate["sig"].is_string(), "{certificate}");
    tenant.get("/v1/log/checkpoint", &[]);
}
