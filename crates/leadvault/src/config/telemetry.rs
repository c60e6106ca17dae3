//! Where telemetry goes. Only the file says where it is sent: no variable of the environment does (docs/TELEMETRY.md). An address that
//! the file offers may be another one for each node.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// Shortest and longest time between two deliveries of metrics, seconds.
const INTERVAL_SECONDS: std::ops::RangeInclusive<u64> = 1..=3_600;

/// Two ways out, each absent by default.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TelemetryConfig {
    /// A collector that is sent traces, metrics and logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) otlp: Option<OtlpConfig>,
    /// An address where Prometheus fetches metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) prometheus: Option<PrometheusConfig>,
}

/// A collector that speaks OTLP over HTTP, protobuf.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OtlpConfig {
    /// `https://host[:port][/path]`, to which `/v1/traces`, `/v1/metrics` and `/v1/logs` are added; `http://` on
    /// loopback alone.
    pub(crate) endpoint: String,
    /// File with the value of the `Authorization` header; mode 0600 or the start is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) authorization_file: Option<PathBuf>,
    /// Certificates that sign the collector's, PEM, instead of those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Share of requests and jobs that are traced, 0 to 1. Default 0.1.
    #[serde(default = "default_traces")]
    pub(crate) traces: f64,
    /// Whether metrics are sent. Default true.
    #[serde(default = "yes")]
    pub(crate) metrics: bool,
    /// Whether the lines of the log are sent. Default true.
    #[serde(default = "yes")]
    pub(crate) logs: bool,
    /// Seconds between two deliveries of metrics. Default 60.
    #[serde(default = "default_interval")]
    pub(crate) interval_seconds: u64,
}

/// An address of its own, so that no caller of the API reaches it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PrometheusConfig {
    /// Address to listen on; port 0 takes a free one. Whoever reaches it reads the metrics, without a key.
    /// `LEADVAULT_PROMETHEUS_LISTEN`, for each of several nodes on one configuration.
    pub(crate) listen: String,
}

impl PrometheusConfig {
    /// The address.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn address(&self) -> anyhow::Result<SocketAddr> {
        let says = "telemetry.prometheus.listen: an IP address and a port, such as 127.0.0.1:9620";
        self.listen.parse().ok().context(says)
    }
}

impl TelemetryConfig {
    /// Whether nothing goes anywhere.
    pub(crate) const fn is_off(&self) -> bool {
        self.otlp.is_none() && self.prometheus.is_none()
    }

    /// Nodes on one configuration each listen on an address of their own, where they listen at all.
    pub(super) fn listen_as_the_environment_says(&mut self) {
        if let (Some(prometheus), Ok(listen)) =
            (&mut self.prometheus, std::env::var("LEADVAULT_PROMETHEUS_LISTEN"))
        {
            prometheus.listen = listen;
        }
    }

    /// Makes paths absolute.
    pub(super) fn make_absolute(&mut self, data: &Path) {
        let Some(otlp) = &mut self.otlp else { return };
        for path in [&mut otlp.authorization_file, &mut otlp.ca_file].into_iter().flatten() {
            *path = data.join(&*path);
        }
    }

    /// Whether everything in it goes together.
    ///
    /// # Errors
    /// The message names the key.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if let Some(prometheus) = &self.prometheus {
            prometheus.address()?;
        }
        let Some(otlp) = &self.otlp else { return Ok(()) };
        super::check_endpoint("telemetry.otlp.endpoint", &otlp.endpoint)?;
        anyhow::ensure!(
            (0.0..=1.0).contains(&otlp.traces),
            "telemetry.otlp.traces: a share, 0 to 1"
        );
        anyhow::ensure!(
            INTERVAL_SECONDS.contains(&otlp.interval_seconds),
            "telemetry.otlp.interval_seconds: {} to {}",
            INTERVAL_SECONDS.start(),
            INTERVAL_SECONDS.end()
        );
        Ok(())
    }
}

const fn default_traces() -> f64 {
    0.1
}

const fn default_interval() -> u64 {
    60
}

const fn yes() -> bool {
    true
}
