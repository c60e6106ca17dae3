//! What is counted as it happens. Names and attributes are an interface: docs/TELEMETRY.md.

use std::time::Duration;

use leadvault_domain::{JobKind, Measured, Observer, RowOutcome};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, UpDownCounter};

/// Seconds of an answer or a commit: from a tenth of a millisecond, where a commit to memory is, to half a minute,
/// where a call is given up.
const SECONDS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0,
];
/// Seconds of a job.
const JOB_SECONDS: &[f64] =
    &[0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0];
/// Entries of a batch: up to what one holds.
const ENTRIES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

const KIND: &str = "leadvault.job.kind";
const LANE: &str = "leadvault.lane";
const OUTCOME: &str = "leadvault.outcome";

/// The instruments behind each kind of measurement.
#[derive(Debug)]
pub(super) struct Instruments {
    requests: Histogram<f64>,
    active_requests: UpDownCounter<i64>,
    batches: Histogram<f64>,
    batch_entries: Histogram<u64>,
    credentials: Counter<u64>,
    key_advances: Histogram<f64>,
    running_jobs: UpDownCounter<i64>,
    job_retries: Counter<u64>,
    jobs: Histogram<f64>,
    rows: Counter<u64>,
}

impl Instruments {
    /// Makes them.
    pub(super) fn new(meter: &Meter) -> Self {
        let seconds = |name, says, bounds: &[f64]| {
            let histogram = meter.f64_histogram(name).with_unit("s").with_description(says);
            histogram.with_boundaries(bounds.to_vec()).build()
        };
        let counter = |name, unit, says| {
            meter.u64_counter(name).with_unit(unit).with_description(says).build()
        };
        let level = |name, unit, says| {
            meter.i64_up_down_counter(name).with_unit(unit).with_description(says).build()
        };
        let made = Self {
            requests: seconds(
                "http.server.request.duration",
                "From the start of a request to the last byte of its answer.",
                SECONDS,
            ),
            active_requests: level(
                "http.server.active_requests",
                "{request}",
                "Requests that are not answered to the end.",
            ),
            batches: seconds(
                "leadvault.journal.batch.duration",
                "From a batch of entries to its acknowledgement.",
                SECONDS,
            ),
            batch_entries: meter
                .u64_histogram("leadvault.journal.batch.entries")
                .with_unit("{entry}")
                .with_description("Entries gathered for one commit.")
                .with_boundaries(ENTRIES.to_vec())
                .build(),
            credentials: counter(
                "leadvault.credential.checks",
                "{check}",
                "API keys that were checked, by where they were found.",
            ),
            key_advances: seconds(
                "leadvault.keys.advance.duration",
                "From a change of keys until the slot has forgotten.",
                SECONDS,
            ),
            running_jobs: level("leadvault.jobs.running", "{job}", "Jobs at work on this node."),
            job_retries: counter(
                "leadvault.job.retries",
                "{retry}",
                "Times a job did not get through and was tried again.",
            ),
            jobs: seconds("leadvault.job.duration", "Time a job took on this node.", JOB_SECONDS),
            rows: counter(
                "leadvault.import.rows",
                "{row}",
                "Rows of lists, by what became of them.",
            ),
        };
        made.begin_at_zero();
        made
    }

    /// What is counted over a closed set is there from the start, so that a first failure is a step and no new line.
    fn begin_at_zero(&self) {
        for kind in JobKind::ALL {
            let kind = [KeyValue::new(KIND, kind.as_str())];
            self.running_jobs.add(0, &kind);
            self.job_retries.add(0, &kind);
        }
        for outcome in RowOutcome::ALL {
            self.rows.add(0, &[KeyValue::new(OUTCOME, outcome.as_str())]);
        }
        self.active_requests.add(0, &[]);
    }

    fn request(
        &self,
        method: &'static str,
        route: &str,
        status: u16,
        code: Option<&'static str>,
        took: Duration,
    ) {
        let mut attributes = vec![
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.route", route.to_owned()),
            KeyValue::new("http.response.status_code", i64::from(status)),
        ];
        attributes.extend(code.map(|code| KeyValue::new("error.type", code)));
        self.requests.record(took.as_secs_f64(), &attributes);
    }
}

impl Observer for Instruments {
    fn observe(&self, measured: &Measured<'_>) {
        match *measured {
            Measured::RequestBegan => self.active_requests.add(1, &[]),
            Measured::RequestEnded { method, route, status, code, took } => {
                self.active_requests.add(-1, &[]);
                self.request(method, route, status, code, took);
            }
            Measured::Batch { lane, entries, acknowledged, took } => {
                let lane = KeyValue::new(LANE, lane.as_str());
                self.batch_entries.record(entries, std::slice::from_ref(&lane));
                let outcome = if acknowledged { "acknowledged" } else { "unknown" };
                let attributes = [lane, KeyValue::new(OUTCOME, outcome)];
                self.batches.record(took.as_secs_f64(), &attributes);
            }
            Measured::Credential { recalled } => {
                let source = if recalled { "memory" } else { "store" };
                self.credentials.add(1, &[KeyValue::new("leadvault.source", source)]);
            }
            Measured::KeysAdvanced { done, took } => {
                let outcome = KeyValue::new(OUTCOME, if done { "done" } else { "failed" });
                self.key_advances.record(took.as_secs_f64(), &[outcome]);
            }
            Measured::JobBegan(kind) => {
                self.running_jobs.add(1, &[KeyValue::new(KIND, kind.as_str())]);
            }
            Measured::JobAgain(kind) => {
                self.job_retries.add(1, &[KeyValue::new(KIND, kind.as_str())]);
            }
            Measured::JobEnded { kind, took } => {
                let kind = [KeyValue::new(KIND, kind.as_str())];
                self.running_jobs.add(-1, &kind);
                self.jobs.record(took.as_secs_f64(), &kind);
            }
            Measured::Rows { outcome, rows } => {
                self.rows.add(rows, &[KeyValue::new(OUTCOME, outcome.as_str())]);
            }
        }
    }
}
