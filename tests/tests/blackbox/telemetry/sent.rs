//! What a collector received, decoded by the official protobufs.

use std::collections::{BTreeMap, BTreeSet};

use leadvault_tests::kit::Collector;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;

/// Everything that was sent so far.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) metrics: BTreeMap<String, Metric>,
    pub(super) spans: Vec<Span>,
    pub(super) lines: Vec<Line>,
    /// Keys of the resource, wherever one stood.
    pub(super) resource: BTreeSet<String>,
}

#[derive(Debug, Default)]
pub(super) struct Metric {
    pub(super) unit: String,
    pub(super) attributes: BTreeSet<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) name: String,
    pub(super) is_server: bool,
    pub(super) trace: Vec<u8>,
    pub(super) id: Vec<u8>,
    pub(super) parent: Vec<u8>,
    pub(super) attributes: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(super) struct Line {
    pub(super) body: String,
    pub(super) trace: Vec<u8>,
    pub(super) attributes: BTreeMap<String, String>,
}

impl Sent {
    /// Decodes what a collector has.
    pub(super) fn by(collector: &Collector) -> Self {
        let mut sent = Self::default();
        for body in collector.bodies("metrics") {
            sent.add_metrics(&body);
        }
        for body in collector.bodies("traces") {
            sent.add_spans(&body);
        }
        for body in collector.bodies("logs") {
            sent.add_lines(&body);
        }
        sent
    }

    fn add_resource(&mut self, resource: Option<Resource>) {
        let resource = resource.expect("a resource");
        self.resource.extend(resource.attributes.into_iter().map(|pair| pair.key));
    }

    fn add_metrics(&mut self, body: &[u8]) {
        let request = ExportMetricsServiceRequest::decode(body).expect("metrics");
        for of_resource in request.resource_metrics {
            self.add_resource(of_resource.resource);
            for metric in of_resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
                let known = self.metrics.entry(metric.name).or_default();
                known.unit = metric.unit;
                let points: Vec<Vec<KeyValue>> = match metric.data.expect("data") {
                    Data::Gauge(data) => {
                        data.data_points.into_iter().map(|p| p.attributes).collect()
                    }
                    Data::Sum(data) => data.data_points.into_iter().map(|p| p.attributes).collect(),
                    Data::Histogram(data) => {
                        data.data_points.into_iter().map(|p| p.attributes).collect()
                    }
                    other => panic!("a kind of metric that nobody makes: {other:?}"),
                };
                known.attributes.extend(points.into_iter().flatten().map(|pair| pair.key));
            }
        }
    }

    fn add_spans(&mut self, body: &[u8]) {
        let request = ExportTraceServiceRequest::decode(body).expect("spans");
        for of_resource in request.resource_spans {
            self.add_resource(of_resource.resource);
            for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                // What happens inside of a span is told by lines.
                assert!(span.events.is_empty() && span.links.is_empty(), "{span:?}");
                assert!(span.trace_state.is_empty(), "{span:?}");
                self.spans.push(Span {
                    name: span.name,
                    is_server: span.kind == SpanKind::Server as i32,
                    trace: span.trace_id,
                    id: span.span_id,
                    parent: span.parent_span_id,
                    attributes: texts(span.attributes),
                });
            }
        }
    }

    fn add_lines(&mut self, body: &[u8]) {
        let request = ExportLogsServiceRequest::decode(body).expect("lines");
        for of_resource in request.resource_logs {
            self.add_resource(of_resource.resource);
            for scope in of_resource.scope_logs {
                for line in scope.log_records {
                    self.lines.push(Line {
                        body: text(line.body),
                        trace: line.trace_id,
                        attributes: texts(line.attributes),
                    });
                }
            }
        }
    }
}

fn texts(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|pair| (pair.key, text(pair.value))).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(is)) => is.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        None => String::new(),
        Some(other) => panic!("a kind of value that nobody makes: {other:?}"),
    }
}
