//! Telemetry: what is sent is what docs/TELEMETRY.md names, to where the configuration says, and a collector holds up
//! nobody. That no value is in it is shown by `canary`.

mod sent;

use std::collections::{BTreeMap, BTreeSet};

use leadvault_tests::corpus;
use leadvault_tests::kit::{Collector, Manner, Tenant, Vault, attestation, until};
use reqwest::Method;
use reqwest::blocking::Client;
use rustix::process::Signal;
use serde_json::json;

use sent::Sent;

/// The section of a configuration.
fn otlp(endpoint: &str, more: &str) -> String {
    format!(
        "[telemetry.otlp]\nendpoint = \"{endpoint}\"\ntraces = 1.0\ninterval_seconds = 1\n{more}\n"
    )
}

const PROMETHEUS: &str = "[telemetry.prometheus]\nlisten = \"127.0.0.1:0\"";

/// A vault that tells a collector everything and offers metrics.
fn told(collector: &Collector) -> Vault {
    let mut vault = Vault::init();
    vault.configure_more(&otlp(&collector.endpoint(), PROMETHEUS));
    vault.up();
    vault
}

fn fetch(url: &str) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().no_proxy().build().expect("a client");
    client.get(url).send().expect("an answer").text().expect("text")
}

/// Calls that move each instrument.
fn work(vault: &Vault, tenant: &Tenant) {
    let (caller, plain) = (vault.acting(tenant), vault.plain(tenant));
    let open = json!({ "dataset": tenant.dataset, "attestation": attestation() });
    let import = caller.post("/v1/imports", &open).expect(201).text_of("id");
    let content = format!("/v1/imports/{import}/content");
    let file = corpus::leads(50, 3).into_bytes();
    caller.send(Method::PUT, &content, &[], Some(file)).expect(200);
    let page = caller.get("/v1/leads?limit=2").expect(200);
    let lead = page.body["data"][0]["id"].as_str().expect("a lead").to_owned();
    caller.get(&format!("/v1/leads/{lead}?fields=email")).expect(200);
    let kind = lead.split('_').next().expect("a prefix");
    caller.get(&format!("/v1/leads/{kind}_01h455vb4pex5vsknk084sn02q")).expect(404);
    let begun = plain.try_post("/v1/exports", &json!({ "plain": true }), "e").expect("an answer");
    plain.finished(&begun.expect(202).text_of("operation"));
    let path = format!("/v1/datasets/{}/shred", tenant.dataset);
    let body = json!({ "confirm": tenant.dataset });
    let shred = plain.try_post(&path, &body, "s").expect("an answer").expect(202);
    plain.finished(&shred.text_of("operation"));
}

/// A table of docs/TELEMETRY.md: first column, and the words in code of another one.
fn table(heading: &str, column: usize) -> BTreeMap<String, BTreeSet<String>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/TELEMETRY.md");
    let text = std::fs::read_to_string(path).expect("the document");
    let section = text.split("\n## ").find(|s| s.starts_with(heading)).expect("the section");
    let coded = |cell: &str| -> BTreeSet<String> {
        cell.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect()
    };
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        (cells[1].trim_matches('`').to_owned(), coded(cells[column]))
    })
    .collect()
}

#[test]
fn what_is_sent_is_what_the_document_names() {
    let collector = Collector::start(Manner::Takes);
    let vault = told(&collector);
    let tenant = vault.tenant();
    work(&vault, &tenant);
    let metrics = table("Metrics", 4);
    assert!(metrics.len() > 15, "the table is read: {metrics:?}");
    let names: BTreeSet<&String> = metrics.keys().collect();
    let sent = until("every metric and span is sent", || {
        let sent = Sent::by(&collector);
        let all = sent.metrics.keys().collect::<BTreeSet<_>>().is_superset(&names);
        (all && sent.spans.iter().any(|s| s.name == "job")).then_some(sent)
    });
    // Metrics: names and attributes, both ways; units.
    assert_eq!(sent.metrics.keys().collect::<BTreeSet<_>>(), names);
    let units = table("Metrics", 3);
    for (name, metric) in &sent.metrics {
        assert_eq!(metric.attributes, metrics[name], "{name}");
        let unit: BTreeSet<String> =
            [metric.unit.clone()].into_iter().filter(|u| !u.is_empty()).collect();
        assert_eq!(unit, units[name], "{name}");
    }
    // The same names for Prometheus.
    let text = fetch(&vault.metrics_url());
    for name in metrics.keys() {
        let name = name.replace('.', "_");
        assert!(text.contains(&format!("# TYPE {name}")), "{name}: {text}");
    }
    assert!(
        text.contains("leadvault_import_rows_total{leadvault_outcome=\"stored\"} 50"),
        "{text}"
    );
    // Spans: names and attributes, both ways.
    let spans = table("Spans", 3);
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for span in &sent.spans {
        let name = if span.is_server { "<method> <route>" } else { span.name.as_str() };
        seen.entry(name.to_owned()).or_default().extend(span.attributes.keys().cloned());
    }
    assert_eq!(seen, spans);
    // Who speaks.
    let resource = ["leadvault.region", "service.instance.id", "service.name", "service.version"];
    assert_eq!(sent.resource, resource.map(ToOwned::to_owned).into());
}

#[test]
fn a_request_is_one_trace_with_its_line() {
    let collector = Collector::start(Manner::Takes);
    let vault = told(&collector);
    let tenant = vault.tenant();
    let lead = vault.lead(&tenant, "ada@example.com");
    let path = format!("/v1/leads/{lead}?fields=email");
    // A trace of the caller's is not taken over.
    let theirs = "0af7651916cd43dd8448eb211c80319c";
    let header = format!("00-{theirs}-b7ad6b7169203331-01");
    let headers = [("traceparent", header.as_str()), ("tracestate", "canary=1")];
    let answer = vault.acting(&tenant).send(Method::GET, &path, &headers, None).expect(200);
    let id = answer.header("request-id").to_owned();
    let (span, sent) = until("the span of the request is sent", || {
        let sent = Sent::by(&collector);
        let span =
            sent.spans.iter().find(|s| s.attributes.get("leadvault.request.id") == Some(&id));
        let has_line = sent.lines.iter().any(|line| line.attributes.get("request_id") == Some(&id));
        span.cloned().filter(|_| has_line).map(|span| (span, sent))
    });
    assert!(span.is_server && span.parent.is_empty());
    assert_eq!(span.name, "GET /v1/leads/{id}");
    assert_eq!(span.attributes["http.route"], "/v1/leads/{id}");
    assert_eq!(span.attributes["http.response.status_code"], "200");
    assert_eq!(span.attributes["leadvault.tenant.id"], tenant.id);
    assert!(hex::encode(&span.trace) != theirs);
    let inside: BTreeSet<&str> =
        sent.spans.iter().filter(|s| s.parent == span.id).map(|s| s.name.as_str()).collect();
    assert!(inside.contains("journal.commit") && inside.contains("store.read"), "{inside:?}");
    let line = sent.lines.iter().find(|line| line.attributes.get("request_id") == Some(&id));
    let line = line.expect("it was there");
    assert_eq!((line.body.as_str(), &line.trace), ("request answered", &span.trace));
}

#[test]
fn nothing_is_sent_without_a_word_in_the_configuration() {
    let (collector, other) = (Collector::start(Manner::Takes), Collector::start(Manner::Takes));
    let endpoint = other.endpoint();
    let left_behind = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint.as_str()),
        ("HTTP_PROXY", endpoint.as_str()),
        ("http_proxy", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-left-behind=1,authorization=theirs"),
    ];
    let mut vault = Vault::init().with_env(&left_behind);
    vault.up();
    let tenant = vault.tenant();
    vault.lead(&tenant, "ada@example.com");
    vault.signal(Signal::TERM);
    assert_eq!(vault.ended(), Some(0));
    assert!(other.posted().is_empty());
    // The control: with a word there is something, and the end delivers what is left. Of the variables nothing is in it.
    let key = vault.data().join("otlp.key");
    std::fs::write(&key, "Bearer ours\n").expect("written");
    let file = "authorization_file = \"otlp.key\"";
    vault.configure_more(&otlp(&collector.endpoint(), file).replace("= 1\n", "= 3600\n"));
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&key, open).expect("permissions");
    let (code, said) = vault.up_with(None).expect_err("others may read the secret");
    assert!(code == Some(2) && said.contains("telemetry.otlp.authorization_file"), "{said}");
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&key, closed).expect("permissions");
    vault.up();
    vault.acting(&tenant).get("/v1/leads?limit=1").expect(200);
    vault.signal(Signal::TERM);
    assert_eq!(vault.ended(), Some(0));
    assert!(other.posted().is_empty(), "a variable opened a way out");
    let posted = collector.posted();
    let paths: BTreeSet<&str> = posted.iter().map(|post| post.path.as_str()).collect();
    assert_eq!(paths, ["/v1/logs", "/v1/metrics", "/v1/traces"].into());
    for post in &posted {
        let head = post.head.to_ascii_lowercase();
        assert!(head.contains("authorization: bearer ours\r\n"), "{head}");
        assert!(head.contains("content-type: application/x-protobuf\r\n"), "{head}");
        assert!(!head.contains("left-behind") && !head.contains("theirs"), "{head}");
    }
}

#[test]
fn a_collector_that_hangs_refuses_or_is_gone_holds_up_nobody() {
    let hangs = Collector::start(Manner::Hangs);
    let refuses = Collector::start(Manner::Refuses);
    let gone = Collector::nowhere();
    for endpoint in [hangs.endpoint(), refuses.endpoint(), gone] {
        let mut vault = Vault::init();
        vault.configure_more(&otlp(&endpoint, ""));
        vault.up();
        let tenant = vault.tenant();
        let lead = vault.lead(&tenant, "ada@example.com");
        let caller = vault.acting(&tenant);
        // More spans and lines than the queues hold.
        for _ in 0..1_000 {
            caller.get(&format!("/v1/leads/{lead}?fields=email")).expect(200);
        }
        until("it is said", || vault.stderr().contains("does not take telemetry").then_some(()));
        vault.signal(Signal::TERM);
        until("it ends", || vault.is_dead().then_some(()));
        assert_eq!(vault.ended(), Some(0), "{endpoint}");
        // Once a minute at most, however many batches it did not take.
        let said = vault.stderr().matches("does not take telemetry").count();
        assert!((1..=3).contains(&said), "{endpoint}: {said}");
    }
    // The control: they were asked, and the collector that hangs heard something.
    assert!(!hangs.posted().is_empty() && !refuses.posted().is_empty());
}

/// Each batch is posted on the same thread as the one before it, so that many of them show that none was held.
#[test]
fn a_collector_that_never_ends_its_answer_holds_no_delivery() {
    let collector = Collector::start(Manner::Drips);
    let _vault = told(&collector);
    until("metrics go on", || (collector.bodies("metrics").len() >= 5).then_some(()));
}

#[test]
fn telemetry_is_not_sent_on_by_a_collector() {
    let elsewhere = Collector::start(Manner::Takes);
    let collector = Collector::start(Manner::SendsTo(elsewhere.port()));
    let vault = told(&collector);
    until("it is told as a failure", || {
        let text = fetch(&vault.metrics_url());
        let failed = "leadvault_telemetry_deliveries_total{leadvault_outcome=\"failed\"}";
        text.contains(failed).then_some(())
    });
    assert!(!collector.posted().is_empty() && elsewhere.posted().is_empty());
}

#[test]
fn metrics_are_offered_on_their_own_address_alone() {
    let mut vault = Vault::init();
    vault.configure_more(PROMETHEUS);
    vault.up();
    let url = vault.metrics_url();
    let text = fetch(&url);
    assert!(text.contains("leadvault_journal_writable 1"), "{text}");
    // Without a collector nothing is delivered, and nothing says so.
    assert!(!text.contains("deliveries"), "{text}");
    assert!(fetch(&url.replace("/metrics", "/v1/leads")).is_empty());
    let tenant = vault.tenant();
    vault.plain(&tenant).get("/metrics").expect(404);
    // Of two nodes on one configuration each has an address of its own.
    let address = url.trim_start_matches("http://").trim_end_matches("/metrics");
    let mut second = Vault::init();
    second.configure_more(&PROMETHEUS.replace("127.0.0.1:0", address));
    let (code, said) = second.up_with(None).expect_err("the address is taken");
    assert!(code == Some(4) && said.contains("telemetry.prometheus.listen"), "{said}");
    let mut second = second.with_env(&[("LEADVAULT_PROMETHEUS_LISTEN", "127.0.0.1:0")]);
    second.up();
    assert_ne!(second.metrics_url(), url);
    vault.signal(Signal::TERM);
    assert_eq!(vault.ended(), Some(0));
}
