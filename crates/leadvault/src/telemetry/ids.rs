//! Ids of traces and spans, from the randomness of the house.

use std::sync::Arc;

use leadvault_domain::Entropy;
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::IdGenerator;

/// Random ids. Where the system has no randomness they are 0, which OpenTelemetry calls invalid.
#[derive(Debug)]
pub(super) struct Ids(pub(super) Arc<dyn Entropy>);

impl Ids {
    fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match self.0.fill(&mut bytes) {
            Ok(()) => bytes,
            Err(_) => [0; N],
        }
    }
}

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        TraceId::from_bytes(self.bytes())
    }

    fn new_span_id(&self) -> SpanId {
        SpanId::from_bytes(self.bytes())
    }
}
