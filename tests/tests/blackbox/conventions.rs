//! The conventions every call shares: how it is refused, paged, counted and told where to go.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use leadvault_tests::kit::{Answer, Caller, Vault, attestation, run};
use reqwest::Method;
use serde_json::{Value, json};

const JSON: (&str, &str) = ("content-type", "application/json");
/// What a submitted name or value would be known by in an answer.
const CANARY: &str = "canary_4c1f";

/// Asserts a problem of this status and code, complete and without an echo.
#[track_caller]
fn is_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code()), (status, code), "{}", answer.text);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.body["request_id"], answer.header("request-id"));
    assert!(answer.header("request-id").starts_with("req_"));
    assert!(!answer.text.contains(CANARY), "an echo: {}", answer.text);
}

#[test]
fn whatever_is_wrong_with_a_request_is_a_problem_with_a_request_id() {
    let mut vault = Vault::init();
    vault.configure("body_bytes_max = 1048576", "body_bytes_max = 8192");
    vault.up();
    let tenant = vault.tenant();
    let caller = vault.plain(&tenant);
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(9_000));
    let post = |body: &str| caller.send(Method::POST, "/v1/datasets", &[JSON], Some(body.into()));
    is_problem(&caller.get(&format!("/v1/{CANARY}")), 404, "not_found");
    is_problem(&caller.get(&format!("/{CANARY}/%ff")), 404, "not_found");
    is_problem(&caller.get("/v1/leads/%ff"), 400, "bad_request");
    is_problem(&caller.get(&format!("/v1/leads/{CANARY}")), 400, "bad_request");
    is_problem(&post(&deep), 400, "bad_request");
    is_problem(&post("{"), 400, "bad_request");
    is_problem(&post(&large), 413, "too_large");
    let text = [("content-type", "text/plain")];
    let answer = caller.send(Method::POST, "/v1/datasets", &text, Some(b"{}".to_vec()));
    is_problem(&answer, 415, "media_type");
    let answer = caller.send(Method::POST, "/v1/datasets", &[], Some(b"{}".to_vec()));
    is_problem(&answer, 415, "media_type");
    let long = "x".repeat(20_000);
    let answer = caller.send(Method::GET, "/v1/tenant", &[("x-long", long.as_str())], None);
    is_problem(&answer, 400, "bad_request");
    let twice = [("purpose", "security"), ("purpose", "security")];
    is_problem(&caller.send(Method::GET, "/v1/leads", &twice, None), 400, "bad_request");
    for key in ["\"open", "", "two words"] {
        let headers = [JSON, ("idempotency-key", key)];
        let body = Some(br#"{"name":"x"}"#.to_vec());
        let answer = caller.send(Method::POST, "/v1/datasets", &headers, body);
        is_problem(&answer, 400, "bad_request");
    }
}

#[test]
fn a_path_says_which_methods_it_takes() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let caller = vault.plain(&tenant);
    for method in [Method::DELETE, Method::OPTIONS, Method::PATCH] {
        let answer = caller.send(method, "/v1/datasets", &[], None);
        is_problem(&answer, 405, "method_not_allowed");
        let allowed: Vec<_> = answer.header("allow").split(',').map(str::trim).collect();
        assert!(allowed.contains(&"GET") && allowed.contains(&"POST"), "{allowed:?}");
    }
    let head = caller.send(Method::HEAD, "/v1/tenant", &[], None);
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    assert!(head.header("request-id").starts_with("req_"));
    assert_eq!(head.header("access-control-allow-origin"), "", "no cross-origin calls");
}

/// Every operation of the document that takes a body, with a path filled with ids of nobody.
fn with_bodies() -> Vec<(Method, String)> {
    let (_, document, _) = run(&["openapi"]);
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            if operation["requestBody"]["content"]["application/json"].is_object() {
                let method = method.to_uppercase().parse().expect("a method");
                all.push((method, path.clone()));
            }
        }
    }
    all
}

#[test]
fn no_operation_echoes_a_member_it_does_not_know() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    let mut seen = 0;
    for (method, path) in with_bodies() {
        let path = path.replace("{n}", "0");
        let id = if path.contains("/leads/") {
            lead.clone()
        } else if path.contains("/instructions/") {
            tenant.instruction.clone()
        } else if path.contains("/tenants/") {
            tenant.id.clone()
        } else {
            tenant.dataset.clone()
        };
        let path = path.replace("{id}", &id);
        for body in [
            json!({ CANARY: 1 }),
            json!({ "fields": { CANARY: CANARY }, "dataset": tenant.dataset }),
            json!({ "mapping": { CANARY: CANARY } }),
            json!({ "data": { CANARY: { CANARY: CANARY } }, "match": { CANARY: CANARY } }),
            json!({ "name": { CANARY: CANARY }, "operation": CANARY, "category": CANARY }),
        ] {
            for caller in [vault.acting(&tenant), vault.operator()] {
                let body = Some(body.to_string().into_bytes());
                let headers = [JSON, ("idempotency-key", "k")];
                let answer = caller.send(method.clone(), &path, &headers, body);
                assert!(answer.status >= 400, "{method} {path}: {}", answer.text);
                let known = matches!(answer.status, 400 | 403 | 404 | 409 | 422);
                assert!(known, "{method} {path}: {}", answer.text);
                assert!(!answer.text.contains(CANARY), "{method} {path}: {}", answer.text);
                seen += 1;
            }
        }
    }
    assert!(seen > 100, "only {seen} answers");
    let (stderr, control) = (vault.stderr(), "request answered");
    assert!(stderr.contains(control) && !stderr.contains(CANARY), "{stderr}");
}

#[test]
fn a_query_may_hold_the_names_of_the_document_and_no_other() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let caller = vault.acting(&tenant);
    for path in [
        "/v1/leads?limt=1",
        "/v1/tenant?verbose=1",
        "/v1/datasets?limit=1",
        "/v1/keys?canary_4c1f=1",
        "/v1/log/checkpoint?size=1",
        "/v1/changes?since=1",
        "/v1/notices?limit=1",
    ] {
        is_problem(&caller.get(path), 400, "unknown_field");
    }
    is_problem(&vault.operator().get("/v1/tenants?all=1"), 400, "unknown_field");
    is_problem(&caller.get("/v1/leads?limit=1&limit=2"), 400, "bad_request");
    is_problem(&caller.get("/v1/leads?limit=0"), 400, "bad_request");
    is_problem(&caller.get("/v1/leads?limit=canary_4c1f"), 400, "bad_request");
    is_problem(&caller.get("/v1/leads?limit=-1"), 400, "bad_request");
    is_problem(&caller.get("/v1/leads?limit=201"), 400, "limit_too_large");
    is_problem(&caller.get("/v1/changes?limit=201"), 400, "limit_too_large");
    is_problem(&caller.get("/v1/changes?wait=31"), 400, "bad_request");
    let search = json!({ "match": { "email": "a@b.co" }, "limit": 201 });
    is_problem(&caller.post("/v1/leads/search", &search), 400, "limit_too_large");
    caller.get("/v1/leads?limit=200").expect(200);
}

#[test]
fn a_member_that_stands_twice_is_refused() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let caller = vault.acting(&tenant);
    let dataset = &tenant.dataset;
    let send = |path: &str, body: String| {
        let answer = caller.send(Method::POST, path, &[JSON], Some(body.into_bytes()));
        is_problem(&answer, 400, "bad_request");
        assert_eq!(answer.body["errors"][0]["code"], "repeated", "{}", answer.text);
    };
    send("/v1/datasets", r#"{"name":"a","name":"b"}"#.to_owned());
    let fields = r#"{"email":"a@b.co","email":"c@d.co"}"#;
    send("/v1/leads", format!(r#"{{"dataset":"{dataset}","fields":{fields}}}"#));
    send("/v1/leads/search", format!(r#"{{"match":{fields}}}"#));
}

#[test]
fn a_cursor_belongs_to_one_tenant_and_one_question() {
    let vault = Vault::start();
    let (mine, theirs) = (vault.tenant(), vault.tenant());
    for n in 0..3 {
        vault.lead(&mine, &format!("ada{n}@example.com"));
        vault.lead(&theirs, &format!("ada{n}@example.com"));
    }
    let caller = vault.acting(&mine);
    let first = caller.get("/v1/leads?limit=2").expect(200);
    assert_eq!(first.body["has_more"], true);
    let cursor = first.text_of("next_cursor");
    let next =
        first.header("link").strip_prefix('<').and_then(|l| l.strip_suffix(">; rel=\"next\""));
    let next = next.unwrap_or_else(|| panic!("no Link: {:?}", first.headers));
    let second = caller.get(next).expect(200);
    assert_eq!(second.body["data"].as_array().map(Vec::len), Some(1));
    assert_eq!((&second.body["has_more"], second.header("link")), (&json!(false), ""));
    assert_ne!(first.body["data"][0]["id"], second.body["data"][0]["id"]);

    let mut tampered = cursor.clone();
    let last = if tampered.pop() == Some('A') { 'B' } else { 'A' };
    tampered.push(last);
    let dataset = &mine.dataset;
    for path in [
        format!("/v1/leads?limit=2&cursor={tampered}"),
        format!("/v1/leads?limit=2&cursor={cursor}&dataset={dataset}"),
        format!("/v1/changes?cursor={cursor}"),
        format!("/v1/leads?cursor={CANARY}"),
        format!("/v1/leads?cursor={}", "A".repeat(2_000)),
    ] {
        let answer = caller.get(&path);
        is_problem(&answer, 400, "bad_request");
        assert_eq!(answer.body["errors"][0]["pointer"], "query:cursor", "{path}");
    }
    let foreign = vault.acting(&theirs).get(&format!("/v1/leads?limit=2&cursor={cursor}"));
    is_problem(&foreign, 400, "bad_request");
    let search = |value: &str, cursor: &Value| {
        let body = json!({ "match": { "domain": value }, "limit": 1, "cursor": cursor });
        caller.post("/v1/leads/search", &body)
    };
    let by_domain = json!({ "match": { "website": "example.com" }, "limit": 1, "cursor": null });
    let page = caller.post("/v1/leads/search", &by_domain).expect(200);
    assert_eq!(page.body["has_more"], true, "{}", page.text);
    let mut other = by_domain;
    other["cursor"] = page.body["next_cursor"].clone();
    caller.post("/v1/leads/search", &other).expect(200);
    other["dataset"] = json!(dataset);
    is_problem(&caller.post("/v1/leads/search", &other), 400, "bad_request");
    is_problem(&search("example.org", &json!(cursor)), 400, "unknown_field");
}

#[test]
fn a_tenant_is_told_how_many_requests_it_has_left_and_then_refused() {
    let mut vault = Vault::init();
    vault.configure("requests_per_minute = 1200000", "requests_per_minute = 20");
    vault.up();
    let tenant = vault.tenant();
    let caller = vault.plain(&tenant);
    // Two minutes of the clock may be met, never three: one of them gets more than it may.
    let answers: Vec<Answer> = (0..45).map(|_| caller.get("/v1/tenant")).collect();
    for answer in &answers {
        assert_eq!(answer.header("ratelimit-policy"), "\"tenant\";q=20;w=60");
        assert!(answer.header("ratelimit").starts_with("\"tenant\";r="), "{:?}", answer.headers);
    }
    let refused = answers.iter().find(|a| a.status == 429).expect("a refusal");
    is_problem(refused, 429, "rate_limited");
    assert!(refused.header("retry-after").parse::<u8>().is_ok_and(|s| (1..=60).contains(&s)));
    assert!(refused.header("ratelimit").starts_with("\"tenant\";r=0;t="));
    let health = Caller::nobody(&vault.url()).get("/healthz");
    assert_eq!((health.status, health.header("ratelimit")), (200, ""));
}

#[test]
fn a_key_of_another_region_is_told_where_to_go_and_nothing_else() {
    let mut vault = Vault::init();
    let text = std::fs::read_to_string(vault.config()).expect("configuration");
    let text = format!("{text}\n[endpoints]\neu-west = \"https://eu-west.example\"\n");
    std::fs::write(vault.config(), text).expect("configuration");
    vault.up();
    let tenant = vault.tenant();
    let of = |region: &str| {
        let key = tenant.key.replacen("lv_live_local_", &format!("lv_live_{region}_"), 1);
        assert_ne!(key, tenant.key);
        Caller::new(&vault.url(), &key).get("/v1/tenant")
    };
    let elsewhere = of("eu-west");
    is_problem(&elsewhere, 421, "wrong_region");
    assert_eq!(elsewhere.body["endpoint"], "https://eu-west.example");
    is_problem(&of("nowhere"), 401, "unauthenticated");
}

#[test]
fn the_default_purpose_of_a_key_stands_in_where_a_call_names_none() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let mut wide = leadvault_tests::kit::instruction();
    wide["purposes"] = json!(["crm_operations", "customer_support"]);
    let plain = vault.plain(&tenant);
    let wide = plain.post("/v1/instructions", &wide).expect(201).text_of("id");
    plain.post(&format!("/v1/instructions/{wide}/activate"), &json!({ "version": 1 })).expect(200);
    let mut draft = json!({ "name": "r", "role": "reader", "principal": "p2", "employer": "tenant",
        "country": "DE", "default_instruction": wide, "default_purpose": null, "datasets": null,
        "expires_at": null });
    let key = |draft: &Value| plain.post("/v1/keys", draft).expect(201).text_of("secret");
    let without = Caller::new(&vault.url(), &key(&draft));
    is_problem(&without.get("/v1/leads"), 400, "purpose_required");
    draft["default_purpose"] = json!("customer_support");
    let with = Caller::new(&vault.url(), &key(&draft)).get("/v1/leads").expect(200);
    let index = with.index.expect("an entry");
    let entry = plain.get(&format!("/v1/log/entries?from={index}&to={}", index + 1)).expect(200);
    assert_eq!(entry.body["purpose"], "customer_support");
}

#[test]
fn a_call_that_waits_for_changes_is_answered_by_the_next_one() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let caller = vault.acting(&tenant);
    let page = caller.get("/v1/changes?limit=200").expect(200);
    let cursor = page.text_of("next_cursor");
    let path = format!("/v1/changes?wait=30&cursor={cursor}");
    let waiting = std::thread::spawn(move || caller.get(&path).expect(200));
    let lead = vault.lead(&tenant, "ada@example.com");
    let told = waiting.join().expect("an answer");
    assert_eq!(told.body["data"][0]["id"], json!(lead));
    assert_eq!(told.body["data"][0]["type"], "lead.created");
    assert!(!told.text.contains("ada@example.com"), "ids and names of fields, never values");
}

#[test]
fn the_feed_tells_the_leads_of_an_import_one_by_one_and_pages_through_them() {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let caller = vault.acting(&tenant);
    let attestation = attestation();
    let draft = json!({ "dataset": tenant.dataset, "format": "csv", "mapping": null,
        "duplicates": { "by": ["email"], "action": "skip" }, "default_region": null,
        "attestation": attestation });
    let import = caller.post("/v1/imports", &draft).expect(201).text_of("id");
    let mut file = String::from("Email,Company\n");
    for n in 0..25 {
        file.push_str(&format!("lead{n}@example.com,Engines {n}\n"));
    }
    let csv = [("content-type", "text/csv")];
    let path = format!("/v1/imports/{import}/content");
    caller.send(Method::PUT, &path, &csv, Some(file.into_bytes())).expect(200);
    let mut told = Vec::new();
    let mut path = "/v1/changes?limit=10".to_owned();
    loop {
        let page = caller.get(&path).expect(200);
        let data = page.body["data"].as_array().expect("a list");
        told.extend(data.iter().filter(|e| e["type"] == "lead.created").cloned());
        if page.body["has_more"] == false {
            break;
        }
        path = format!("/v1/changes?limit=10&cursor={}", page.text_of("next_cursor"));
    }
    let listed = caller.get("/v1/leads?limit=200").expect(200);
    let ids = |list: &[Value]| {
        let ids: std::collections::BTreeSet<_> = list.iter().map(|e| e["id"].to_string()).collect();
        ids
    };
    assert_eq!(told.len(), 25);
    assert_eq!(ids(&told), ids(listed.body["data"].as_array().expect("a list")));
    let limited = json!({ "name": "r", "role": "reader", "principal": "p2", "employer": "tenant",
        "country": "DE", "default_instruction": null, "default_purpose": null, "datasets": [],
        "expires_at": null });
    let plain = vault.plain(&tenant);
    let other = plain.post("/v1/datasets", &json!({ "name": "other" })).expect(201).text_of("id");
    let mut limited = limited;
    limited["datasets"] = json!([other]);
    let key = plain.post("/v1/keys", &limited).expect(201).text_of("secret");
    let seen = Caller::new(&vault.url(), &key).get("/v1/changes?limit=200").expect(200);
    let seen = seen.body["data"].as_array().expect("a list").clone();
    assert_eq!(seen.len(), 1, "a key sees the changes of its datasets: {seen:?}");
    assert_eq!(seen[0]["id"], json!(other));
}

#[test]
fn what_is_not_http_is_closed_without_an_echo() {
    let vault = Vault::start();
    let address = vault.url();
    let address = address.strip_prefix("http://").expect("an address");
    let mut stream = TcpStream::connect(address).expect("a connection");
    write!(stream, "GET /{CANARY} canary\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("closed");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(!answer.contains(CANARY), "{answer}");
}
