//! The way to a collector: OTLP over HTTP, protobuf (<https://opentelemetry.io/docs/specs/otlp/>).
//!
//! Requests go to the endpoint of the configuration and carry its `Authorization` and nothing that a variable of the
//! environment added. Redirects are not followed: they would take telemetry to a place that nobody named.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use leadvault_domain::{Clock as _, Sensitive};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    LogExporter, MetricExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig as _,
};
use opentelemetry_sdk::metrics::Temporality;
use reqwest::blocking::Client;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;

use super::lines::ABOUT_TELEMETRY;
use crate::clock::SystemClock;
use crate::config::OtlpConfig;
use crate::exit::Stop;
use crate::secret_file;

/// Longest wait for a collector to take a batch.
const DELIVERY: Duration = Duration::from_secs(5);
/// Shortest time between two lines about a collector that does not take anything.
const SAID_AGAIN: Duration = Duration::from_secs(60);

/// A collector.
#[derive(Debug)]
pub(super) struct Collector {
    endpoint: String,
    post: Post,
}

/// Posts batches, and tells when they are not taken. Clones are one.
#[derive(Debug, Clone)]
struct Post {
    http: Client,
    authorization: Option<Arc<Sensitive<String>>>,
    told: Arc<Told>,
}

/// What is known of deliveries.
#[derive(Debug, Default)]
struct Told {
    /// When a line last said so, microseconds; 0 = never.
    failed_at: AtomicU64,
    deliveries: OnceLock<Counter<u64>>,
}

impl Collector {
    /// A collector of the configuration. Nothing is sent yet.
    ///
    /// # Errors
    /// 2 for files that cannot be read or hold no secret, no certificate.
    pub(super) fn new(config: &OtlpConfig) -> Result<Self, Stop> {
        const SECRET: &str = "telemetry.otlp.authorization_file";
        let secret = config.authorization_file.as_ref();
        let authorization = secret.map(|path| secret_file::read(SECRET, path)).transpose()?;
        if let Some(secret) = &authorization {
            HeaderValue::from_str(secret.expose())
                .map_err(|_| anyhow::anyhow!("{SECRET}: no value of a header"))?;
        }
        let mut http = Client::builder()
            .timeout(DELIVERY)
            .redirect(Policy::none())
            .no_proxy()
            .user_agent(concat!("leadvault/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &config.ca_file {
            let pem = std::fs::read(path).context("telemetry.otlp.ca_file")?;
            let roots = reqwest::Certificate::from_pem_bundle(&pem);
            http = http.tls_certs_only(roots.context("telemetry.otlp.ca_file")?);
        }
        let http = http.build().context("telemetry.otlp: no client can be made")?;
        let authorization = authorization.map(Arc::new);
        let endpoint = config.endpoint.trim_end_matches('/').to_owned();
        Ok(Self { endpoint, post: Post { http, authorization, told: Arc::default() } })
    }

    /// Counts deliveries from now on.
    pub(super) fn count(&self, meter: &Meter) {
        let counter = meter
            .u64_counter("leadvault.telemetry.deliveries")
            .with_unit("{delivery}")
            .with_description("Times a batch was posted to the collector, by whether it took it.");
        // The first one stays; there is one meter.
        let _ = self.post.told.deliveries.set(counter.build());
    }

    fn at<B: WithExportConfig>(&self, builder: B, signal: &str) -> B {
        builder
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(DELIVERY)
            .with_endpoint(format!("{}/v1/{signal}", self.endpoint))
    }

    /// Takes spans.
    ///
    /// # Errors
    /// Where the endpoint is no address.
    pub(super) fn traces(&self) -> anyhow::Result<SpanExporter> {
        let builder = SpanExporter::builder().with_http().with_http_client(self.post.clone());
        Ok(self.at(builder.with_headers(HashMap::new()), "traces").build()?)
    }

    /// Takes metrics.
    ///
    /// # Errors
    /// As [`Collector::traces`].
    pub(super) fn metrics(&self) -> anyhow::Result<MetricExporter> {
        let builder = MetricExporter::builder()
            .with_temporality(Temporality::Cumulative)
            .with_http()
            .with_http_client(self.post.clone());
        Ok(self.at(builder.with_headers(HashMap::new()), "metrics").build()?)
    }

    /// Takes lines of the log.
    ///
    /// # Errors
    /// As [`Collector::traces`].
    pub(super) fn logs(&self) -> anyhow::Result<LogExporter> {
        let builder = LogExporter::builder().with_http().with_http_client(self.post.clone());
        Ok(self.at(builder.with_headers(HashMap::new()), "logs").build()?)
    }
}

impl Post {
    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let mut post = self.http.post(head.uri.to_string()).body(body);
        if let Some(kind) = head.headers.get(CONTENT_TYPE) {
            post = post.header(CONTENT_TYPE, kind);
        }
        if let Some(secret) = &self.authorization {
            let mut value = HeaderValue::from_str(secret.expose())?;
            value.set_sensitive(true);
            post = post.header(AUTHORIZATION, value);
        }
        // What it says beside is not read: nobody looks at it, and it may take as long as it likes to say it.
        let status = post.send()?.status();
        Ok(Response::builder().status(status).body(Bytes::new())?)
    }
}

impl Told {
    /// Notes a delivery; says so where it failed and nothing was said for a while.
    fn note(&self, delivered: bool) {
        if let Some(deliveries) = self.deliveries.get() {
            let outcome = if delivered { "delivered" } else { "failed" };
            deliveries.add(1, &[KeyValue::new("leadvault.outcome", outcome)]);
        }
        if delivered {
            return;
        }
        let now = u64::try_from(SystemClock.now().micros()).unwrap_or(0);
        let before = self.failed_at.load(Ordering::Acquire);
        let is_due = before == 0 || Duration::from_micros(now.abs_diff(before)) >= SAID_AGAIN;
        // Of threads that find it due at once one says so.
        let order = (Ordering::AcqRel, Ordering::Acquire);
        let first = || self.failed_at.compare_exchange(before, now, order.0, order.1).is_ok();
        if is_due && first() {
            tracing::warn!(target: ABOUT_TELEMETRY, "the collector does not take telemetry");
        }
    }
}

#[async_trait]
impl HttpClient for Post {
    /// Waits: it is called on the threads that deliver, and on no other.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.send(request);
        self.told.note(answer.as_ref().is_ok_and(|answer| answer.status().is_success()));
        answer
    }
}
