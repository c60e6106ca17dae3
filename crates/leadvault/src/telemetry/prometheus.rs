//! Metrics for Prometheus, in its text format.

use anyhow::Context as _;
use opentelemetry_prometheus::PrometheusExporter;
use prometheus::{Encoder as _, Registry, TextEncoder};

/// What is fetched. Clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Scraped(Registry);

impl Scraped {
    /// A registry, and what fills it.
    ///
    /// # Errors
    /// Where the registry does not take the exporter; it is new, so it does.
    pub(super) fn new() -> anyhow::Result<(Self, PrometheusExporter)> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            // There is one scope: two labels on every line would say it again.
            .scope_info_enabled(false);
        Ok((Self(registry), exporter.build().context("the exporter for Prometheus")?))
    }

    /// The metrics as they are now, as `text/plain; version=0.0.4`; `None` where they cannot be told.
    pub(crate) fn text(&self) -> Option<String> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.0.gather(), &mut text).ok()?;
        String::from_utf8(text).ok()
    }
}
