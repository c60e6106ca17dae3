//! Telemetry: traces, metrics and logs to a collector over OTLP, metrics to Prometheus. docs/TELEMETRY.md lists
//! every name.
//!
//! The only room that names OpenTelemetry. The rest of the house speaks of what it does in spans of one target
//! ([`leadvault_domain::SPANS`]) and in [`leadvault_domain::Measured`], whose vocabulary is closed; this room
//! passes on what it knows and nothing else.
//!
//! - [`lines`]: who hears the lines of the log; [`collector`]: how something gets there;
//! - [`instruments`]: what is counted as it happens; [`gauges`]: what is looked at now and then;
//! - [`ids`]: of traces; [`prometheus`]: metrics on an address of their own.
//!
//! A collector that hangs or is gone costs what its queues hold: each is bounded, filled without waiting, and
//! emptied by a thread of its own.

mod collector;
mod gauges;
mod ids;
mod instruments;
mod lines;
mod prometheus;

use std::sync::{Arc, mpsc};
use std::time::Duration;

use anyhow::Context as _;
use leadvault_crypto::SystemEntropy;
use leadvault_domain::{Entropy, Observer, Unobserved};
use leadvault_vault::Cell;
use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};

use crate::config::{Config, OtlpConfig};
use crate::exit::Stop;
use collector::Collector;
use ids::Ids;
use instruments::Instruments;
pub(crate) use lines::start_lines;
pub(crate) use prometheus::Scraped;

/// Name of the one instrumentation scope.
const SCOPE: &str = "leadvault";
/// More than any span has.
const ATTRIBUTES_MAX: u32 = 32;
/// Longest wait for the last delivery, at the end.
const LAST_DELIVERY: Duration = Duration::from_secs(3);

/// What was started. Delivers what it holds when it is dropped, as far as the collector takes it.
#[derive(Debug, Default)]
pub(crate) struct Telemetry {
    traces: Option<SdkTracerProvider>,
    logs: Option<SdkLoggerProvider>,
    metrics: Option<SdkMeterProvider>,
    /// What Prometheus fetches, where it does.
    pub(crate) scraped: Option<Scraped>,
}

impl Telemetry {
    /// Starts what the configuration names, and the lines on stderr. To be called where no runtime is: the client of
    /// the collector waits on threads of its own.
    ///
    /// # Errors
    /// 2 for a file that cannot be read; 4 where a client or a thread cannot be made.
    pub(crate) fn start(config: &Config) -> Result<Self, Stop> {
        let mut telemetry = Self::default();
        if !config.telemetry.is_off() {
            let again = |error: anyhow::Error| Stop::Again(error.context("telemetry"));
            let resource = resource(config).map_err(again)?;
            let collector = config.telemetry.otlp.as_ref().map(Collector::new).transpose()?;
            telemetry.start_metrics(config, collector.as_ref(), &resource).map_err(again)?;
            if let (Some(otlp), Some(collector)) = (&config.telemetry.otlp, &collector) {
                telemetry.start_traces(otlp, collector, &resource).map_err(again)?;
                telemetry.start_logs(otlp, collector, &resource).map_err(again)?;
            }
        }
        start_lines(telemetry.traces.as_ref(), telemetry.logs.as_ref());
        Ok(telemetry)
    }

    fn start_metrics(
        &mut self,
        config: &Config,
        collector: Option<&Collector>,
        resource: &Resource,
    ) -> anyhow::Result<()> {
        let otlp = config.telemetry.otlp.as_ref().filter(|otlp| otlp.metrics);
        if otlp.is_none() && config.telemetry.prometheus.is_none() {
            return Ok(());
        }
        let mut metrics = SdkMeterProvider::builder().with_resource(resource.clone());
        if let (Some(otlp), Some(collector)) = (otlp, collector) {
            let interval = Duration::from_secs(otlp.interval_seconds);
            let reader = PeriodicReader::builder(collector.metrics()?).with_interval(interval);
            metrics = metrics.with_reader(reader.build());
        }
        if config.telemetry.prometheus.is_some() {
            let (scraped, reader) = Scraped::new()?;
            metrics = metrics.with_reader(reader);
            self.scraped = Some(scraped);
        }
        self.metrics = Some(metrics.build());
        if let (Some(collector), Some(meter)) = (collector, self.meter()) {
            collector.count(&meter);
        }
        Ok(())
    }

    fn start_traces(
        &mut self,
        otlp: &OtlpConfig,
        collector: &Collector,
        resource: &Resource,
    ) -> anyhow::Result<()> {
        if otlp.traces > 0.0 {
            let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(otlp.traces)));
            let traces = SdkTracerProvider::builder()
                .with_resource(resource.clone())
                .with_sampler(sampler)
                .with_max_attributes_per_span(ATTRIBUTES_MAX)
                .with_id_generator(Ids(Arc::new(SystemEntropy)))
                .with_batch_exporter(collector.traces()?);
            self.traces = Some(traces.build());
        }
        Ok(())
    }

    fn start_logs(
        &mut self,
        otlp: &OtlpConfig,
        collector: &Collector,
        resource: &Resource,
    ) -> anyhow::Result<()> {
        if otlp.logs {
            let logs = SdkLoggerProvider::builder().with_resource(resource.clone());
            self.logs = Some(logs.with_batch_exporter(collector.logs()?).build());
        }
        Ok(())
    }

    fn meter(&self) -> Option<Meter> {
        let scope = InstrumentationScope::builder(SCOPE).with_version(env!("CARGO_PKG_VERSION"));
        self.metrics.as_ref().map(|metrics| metrics.meter_with_scope(scope.build()))
    }

    /// Where the rest of the house sends its measurements.
    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        match self.meter() {
            Some(meter) => Arc::new(Instruments::new(&meter)),
            None => Arc::new(Unobserved),
        }
    }

    /// Looks at a cell whenever metrics are wanted, for as long as it lives.
    pub(crate) fn watch(&self, cell: &Arc<Cell>) {
        if let Some(meter) = self.meter() {
            gauges::watch(&meter, cell);
        }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        let (traces, logs, metrics) = (self.traces.take(), self.logs.take(), self.metrics.take());
        if traces.is_none() && logs.is_none() && metrics.is_none() {
            return;
        }
        let (ended, wait) = mpsc::channel();
        // A thread of its own: a collector that hangs does not keep the process.
        let ending = std::thread::Builder::new().spawn(move || {
            let _ = traces.map(|traces| traces.shutdown_with_timeout(LAST_DELIVERY));
            let _ = logs.map(|logs| logs.shutdown_with_timeout(LAST_DELIVERY));
            let _ = metrics.map(|metrics| metrics.shutdown());
            let _ = ended.send(());
        });
        if ending.is_ok() {
            // What is not delivered by then is lost, and nothing else is.
            let _ = wait.recv_timeout(LAST_DELIVERY);
        }
    }
}

/// Who speaks: the program, its version, this process, its region. Nothing about the machine.
fn resource(config: &Config) -> anyhow::Result<Resource> {
    let mut instance = [0; 16];
    SystemEntropy.fill(&mut instance).context("randomness")?;
    let attributes = [
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", hex::encode(instance)),
        KeyValue::new("leadvault.region", config.region.to_string()),
    ];
    Ok(Resource::builder_empty().with_service_name(SCOPE).with_attributes(attributes).build())
}
