//! Who hears the lines of the log and the spans: stderr always, a collector where there is one.

use leadvault_domain::SPANS;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt, registry};

use super::SCOPE;

/// Lines of this house: crates of it and what they name themselves.
const OURS: &str = "leadvault";
/// Lines about telemetry itself: told on stderr alone, or each failure to deliver would be one more to deliver.
pub(super) const ABOUT_TELEMETRY: &str = "leadvault::telemetry";

/// Starts the lines: JSON on stderr, those of this house as verbose as `LEADVAULT_LOG` says. Libraries never say
/// more than `info`: at `trace` some of them repeat what a client sent, and no setting may put that into a log.
/// A collector gets lines of this house alone, and spans of one target: what libraries say is not ours to send.
pub(crate) fn start_lines(traces: Option<&SdkTracerProvider>, logs: Option<&SdkLoggerProvider>) {
    let wanted =
        || EnvFilter::try_from_env("LEADVAULT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let on_stderr = wanted().and(filter_fn(|line| line.is_event() && is_harmless(line)));
    let lines = fmt::layer().json().with_writer(std::io::stderr).with_filter(on_stderr);
    let spans = traces.map(|traces| {
        tracing_opentelemetry::layer()
            .with_tracer(traces.tracer(SCOPE))
            .with_location(false)
            .with_threads(false)
            .with_level(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(|span| span.is_span() && span.target() == SPANS))
    });
    let sent = logs.map(|logs| {
        let told = wanted().and(filter_fn(|line| line.is_event() && is_sent(line)));
        OpenTelemetryTracingBridge::new(logs).with_filter(told)
    });
    // A second subscriber can only exist in tests of this binary; the first one stays.
    let _ = registry().with(lines).with(spans).with(sent).try_init();
}

fn is_ours(line: &Metadata<'_>) -> bool {
    line.target() == OURS || line.target().starts_with("leadvault_") || is_named_by_us(line)
}

fn is_named_by_us(line: &Metadata<'_>) -> bool {
    line.target().starts_with("leadvault::")
}

fn is_harmless(line: &Metadata<'_>) -> bool {
    is_ours(line) || *line.level() <= Level::INFO
}

fn is_sent(line: &Metadata<'_>) -> bool {
    is_ours(line) && !line.target().starts_with(ABOUT_TELEMETRY)
}
