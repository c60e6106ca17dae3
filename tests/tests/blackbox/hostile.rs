//! Bytes no client would send: the server answers with the right code or closes, takes no memory for it,
//! never panics, and goes on serving.

use std::fmt::Write as _;
use std::net::TcpStream;

use leadvault_tests::fault::{Raw, raise_open_files, resident_bytes, statuses};
use leadvault_tests::kit::{Caller, Tenant, Vault, attestation, until};
use reqwest::Method;
use serde_json::json;

/// What a flood of bytes may add to the memory of the server.
const GROWTH_MAX: u64 = 96 << 20;
/// Connections opened at once by one who wants to take them all.
const CONNECTIONS: usize = 1_500;

/// Asserts that the server lives, serves a read, and met no bug.
fn assert_serves(vault: &Vault, tenant: &Tenant, lead: &str, after: &str) {
    let read = vault.acting(tenant).get(&format!("/v1/leads/{lead}?fields=email"));
    assert_eq!(read.status, 200, "{after}: {}", read.text);
    let said = vault.stderr();
    assert!(!said.contains("\"bug\"") && !said.contains("panick"), "{after}: {said}");
}

fn start() -> (Vault, Tenant, String) {
    let vault = Vault::start();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    (vault, tenant, lead)
}

/// Sends bytes on a connection of their own; what comes back.
fn send(vault: &Vault, bytes: &[u8]) -> String {
    let mut raw = Raw::to(&vault.url());
    // The server may have answered and closed before the last byte.
    let _sent = raw.send(bytes);
    raw.rest()
}

#[test]
fn malformed_requests_are_refused_and_never_half_understood() {
    let (vault, tenant, lead) = start();
    let key = &tenant.key;
    let auth = format!("host: x\r\nauthorization: Bearer {key}\r\n");
    let json = "content-type: application/json\r\n";
    let cases: Vec<(&str, String)> = vec![
        ("no HTTP at all", "\0\u{1}\u{2}hello\r\n\r\n".to_owned()),
        ("a header without a colon", format!("GET /healthz HTTP/1.1\r\n{auth}broken\r\n\r\n")),
        ("a space before the colon", format!("GET /healthz HTTP/1.1\r\n{auth}x : y\r\n\r\n")),
        ("an unknown version", format!("GET /healthz HTTP/9.9\r\n{auth}\r\n")),
        (
            "two different lengths",
            format!(
                "POST /v1/leads HTTP/1.1\r\n{auth}{json}content-length: 2\r\ncontent-length: 3\r\n\r\n{{}}"
            ),
        ),
        (
            "a length that is no number",
            format!("POST /v1/leads HTTP/1.1\r\n{auth}{json}content-length: +2\r\n\r\n{{}}"),
        ),
        (
            "a negative length",
            format!("POST /v1/leads HTTP/1.1\r\n{auth}{json}content-length: -1\r\n\r\n"),
        ),
        (
            "chunked that is not last",
            format!(
                "POST /v1/leads HTTP/1.1\r\n{auth}{json}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n"
            ),
        ),
        (
            "a chunk size that is no number",
            format!(
                "POST /v1/leads HTTP/1.1\r\n{auth}{json}transfer-encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n"
            ),
        ),
        (
            "a chunk size beyond every number",
            format!(
                "POST /v1/leads HTTP/1.1\r\n{auth}{json}transfer-encoding: chunked\r\n\r\n\
                 ffffffffffffffffff\r\n{{}}\r\n0\r\n\r\n"
            ),
        ),
        (
            "a body that is cut",
            format!("POST /v1/leads HTTP/1.1\r\n{auth}{json}content-length: 50\r\n\r\n{{"),
        ),
    ];
    for (what, bytes) in &cases {
        let mut raw = Raw::to(&vault.url());
        assert!(raw.send(bytes.as_bytes()), "{what}");
        if what.contains("cut") {
            raw.finish();
        }
        let answer = raw.rest();
        let codes = statuses(&answer);
        // Closing without an answer is a refusal too.
        assert!(codes.iter().all(|code| *code == 400), "{what}: {answer}");
        assert!(codes.len() <= 1, "{what}: {answer}");
        assert_serves(&vault, &tenant, &lead, what);
    }
    // The control: the same, well formed, is answered.
    let good = send(
        &vault,
        format!("GET /healthz HTTP/1.1\r\n{auth}connection: close\r\n\r\n").as_bytes(),
    );
    assert_eq!(statuses(&good), [200], "{good}");
}

#[test]
fn a_request_inside_the_body_of_another_is_never_answered() {
    let (vault, tenant, lead) = start();
    let inner = format!(
        "GET /v1/tenant HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
        tenant.key
    );
    let auth = format!("host: x\r\nauthorization: Bearer {}\r\n", tenant.key);
    for (what, framing) in [
        (
            "both framings",
            format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", inner.len() + 5),
        ),
        (
            "both, the other way",
            format!("transfer-encoding: chunked\r\ncontent-length: {}\r\n", inner.len() + 5),
        ),
        ("an obfuscated coding", "transfer-encoding: xchunked\r\n".to_owned()),
        ("lengths in a list", "content-length: 0, 0\r\n".to_owned()),
    ] {
        let bytes = format!(
            "POST /v1/leads/search HTTP/1.1\r\n{auth}content-type: application/json\r\n{framing}\r\n\
             0\r\n\r\n{inner}"
        );
        let answer = send(&vault, bytes.as_bytes());
        // Where the framing is one that two readers may understand differently, the connection ends.
        let served = answer.matches(&tenant.id).count();
        let codes = statuses(&answer);
        assert!(served == 0, "{what}: the inner request was answered: {answer}");
        assert!(codes.len() <= 1, "{what}: {codes:?}");
        assert_serves(&vault, &tenant, &lead, what);
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (vault, tenant, lead) = start();
    let one = |path: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", tenant.key)
    };
    let mut raw = Raw::to(&vault.url());
    let many = [one("/healthz"), one("/v1/tenant"), one("/nowhere")].concat().repeat(40);
    assert!(raw.send(many.as_bytes()));
    assert!(raw.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
    let mut expected: Vec<u16> = [200, 200, 404].repeat(40);
    expected.push(200);
    assert_eq!(statuses(&raw.rest()), expected);
    assert_serves(&vault, &tenant, &lead, "pipelining");
}

#[test]
fn large_heads_and_bodies_are_refused_without_taking_memory() {
    let (vault, tenant, lead) = start();
    let before = resident_bytes(vault.pid());
    let caller = vault.acting(&tenant);
    let huge = "x".repeat(20_000);
    let answer = caller.send(Method::GET, "/healthz", &[("x-huge", &huge)], None);
    assert_eq!((answer.status, answer.code()), (400, "bad_request"), "{}", answer.text);
    let many: Vec<(String, String)> =
        (0..100).map(|n| (format!("x-{n}"), "y".to_owned())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let answer = caller.send(Method::GET, "/healthz", &many, None);
    assert_eq!((answer.status, answer.code()), (400, "bad_request"), "{}", answer.text);
    // A head without an end: reading ends long before memory does.
    let mut raw = Raw::to(&vault.url());
    let mut sent = 0_usize;
    let line = format!("x-flood: {}\r\n", "y".repeat(8_000));
    assert!(raw.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\n"));
    while sent < 64 << 20 && raw.send(line.as_bytes()) {
        sent += line.len();
    }
    assert!(sent < 64 << 20, "the server read {sent} bytes of one head");
    let long = send(
        &vault,
        format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(200_000)).as_bytes(),
    );
    assert!(matches!(statuses(&long)[..], [400 | 414 | 431]), "{long}");
    // A body without an end, with and without a length.
    let body = vec![b' '; 3 << 20];
    let json = [("content-type", "application/json")];
    let answer = caller.try_send(Method::POST, "/v1/leads", &json, Some(body));
    if let Ok(answer) = answer {
        assert_eq!((answer.status, answer.code()), (413, "too_large"), "{}", answer.text);
    }
    let mut raw = Raw::to(&vault.url());
    let head = format!(
        "POST /v1/leads HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        tenant.key
    );
    assert!(raw.send(head.as_bytes()));
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let mut sent = 0_usize;
    while sent < 64 << 20 && raw.send(chunk.as_bytes()) {
        sent += chunk.len();
    }
    assert!(sent < 64 << 20, "the server read {sent} bytes of one JSON body");
    let grown = resident_bytes(vault.pid()).saturating_sub(before);
    assert!(grown < GROWTH_MAX, "the server grew by {grown} bytes");
    assert_serves(&vault, &tenant, &lead, "floods");
}

#[test]
fn hostile_json_and_headers_have_their_codes() {
    let (vault, tenant, lead) = start();
    let caller = vault.acting(&tenant);
    let json = [("content-type", "application/json")];
    let post = |path: &str, body: Vec<u8>| caller.send(Method::POST, path, &json, Some(body));
    for depth in [10_000, 200_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let middle = if open == "[" { "" } else { "1" };
            let body = format!("{}{middle}{}", open.repeat(depth), close.repeat(depth));
            for path in ["/v1/leads", "/v1/leads/search", "/v1/instructions", "/v1/imports"] {
                let answer = post(path, body.clone().into_bytes());
                assert!([400, 413].contains(&answer.status), "{path} {depth}: {}", answer.text);
            }
        }
    }
    for (what, body) in [
        ("bytes that are no UTF-8", b"{\"dataset\":\"\xff\xfe\"}".to_vec()),
        ("half a surrogate", br#"{"dataset":"\ud800"}"#.to_vec()),
        ("a number beyond every number", br#"{"limit":1e999}"#.to_vec()),
        ("a key twice", br#"{"dataset":"a","dataset":"b"}"#.to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf{}".to_vec()),
        ("nothing", Vec::new()),
        ("half", b"{\"dataset\":".to_vec()),
    ] {
        let answer = post("/v1/leads/search", body);
        assert_eq!(answer.status, 400, "{what}: {}", answer.text);
        assert!(!answer.code().is_empty(), "{what}: {}", answer.text);
    }
    for (name, value) in [
        ("authorization", &b"Bearer \xff\xfe"[..]),
        ("instruction", b"ins_\xff"),
        ("purpose", b"\xc3\x28"),
        ("if-match", b"\"\xff\""),
        ("idempotency-key", b"\x80\x81"),
        ("range", b"bytes=\xff-"),
        ("content-type", b"application/\xff"),
    ] {
        let head =
            format!("POST /v1/leads/{lead}/erase HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
        let mut bytes = head.into_bytes();
        if name != "authorization" {
            bytes.extend(format!("authorization: Bearer {}\r\n", tenant.key).as_bytes());
        }
        if name != "content-type" {
            bytes.extend(b"content-type: application/json\r\n");
        }
        bytes.extend(format!("content-length: 2\r\n{name}: ").as_bytes());
        bytes.extend(value);
        bytes.extend(b"\r\n\r\n{}");
        let answer = send(&vault, &bytes);
        let codes = statuses(&answer);
        assert_eq!(codes.len(), 1, "{name}: {answer}");
        assert!((400..500).contains(&codes[0]), "{name}: {answer}");
    }
    assert_serves(&vault, &tenant, &lead, "hostile JSON");
}

#[test]
fn slow_heads_and_many_connections_do_not_keep_others_out() {
    let mut vault = Vault::init();
    vault.configure("request_head_seconds = 30", "request_head_seconds = 5");
    vault.up();
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    let before = resident_bytes(vault.pid());
    // After the server is there, which keeps the limit it would have anywhere.
    raise_open_files();
    let address = vault.url().strip_prefix("http://").expect("plain HTTP").to_owned();
    // Heads that never end: each holds a connection until its time is over.
    let mut slow: Vec<Raw> = (0..64).map(|_| Raw::to(&vault.url())).collect();
    for raw in &mut slow {
        assert!(raw.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: "));
    }
    assert_serves(&vault, &tenant, &lead, "slow heads");
    // More connections than the server takes: those above are closed, the rest are served.
    let mut held: Vec<TcpStream> = Vec::new();
    for _ in 0..CONNECTIONS {
        match TcpStream::connect(&address) {
            Ok(stream) => held.push(stream),
            // The test's own limit on open files.
            Err(_) => break,
        }
    }
    let taken = held.len();
    assert!(taken > 200, "{taken} connections could be opened");
    let grown = resident_bytes(vault.pid()).saturating_sub(before);
    assert!(grown < GROWTH_MAX, "the server grew by {grown} bytes for {taken} connections");
    drop(held);
    until("a caller is served after the flood", || {
        let caller = Caller::nobody(&vault.url());
        caller.try_send(Method::GET, "/healthz", &[], None).ok().filter(|a| a.status == 200)
    });
    // The time of a head is over in the end, whatever trickles in.
    for raw in &mut slow {
        let answer = raw.rest();
        assert!(statuses(&answer).iter().all(|code| *code == 408), "{answer}");
    }
    assert_serves(&vault, &tenant, &lead, "a flood of connections");
}

#[test]
fn an_upload_that_is_cut_off_leaves_an_import_that_goes_on() {
    let (vault, tenant, lead) = start();
    let open = json!({ "dataset": tenant.dataset, "attestation": attestation() });
    let import = vault.acting(&tenant).post("/v1/imports", &open).expect(201).text_of("id");
    let mut file = String::from("email,first_name\r\n");
    for n in 0..2_000 {
        write!(file, "p{n}@example.com,Name\r\n").expect("a string");
    }
    let head = format!(
        "PUT /v1/imports/{import}/content HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         instruction: {}\r\npurpose: crm_operations\r\ncontent-length: {}\r\n\r\n",
        tenant.key,
        tenant.instruction,
        file.len()
    );
    for cut in [0, 1, 30, file.len() / 2, file.len() - 1] {
        let mut raw = Raw::to(&vault.url());
        assert!(raw.send(head.as_bytes()) && raw.send(&file.as_bytes()[..cut]));
        drop(raw);
        assert_serves(&vault, &tenant, &lead, "an upload that was cut");
    }
    let path = format!("/v1/imports/{import}/content");
    let whole = until("the cut uploads have let go", || {
        let body = Some(file.clone().into_bytes());
        let answer = vault.acting(&tenant).send(Method::PUT, &path, &[], body);
        (answer.code() != "in_progress").then_some(answer)
    });
    let whole = whole.expect(200);
    assert_eq!(whole.body["state"], "done", "{}", whole.text);
    assert_eq!(whole.body["rows"]["stored"], 2_000, "{}", whole.text);
}
