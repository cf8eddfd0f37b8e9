//! Records of `raw-logs`: one line each, keyed by its source, its bytes as they came.

use std::sync::Arc;

use bytes::Bytes;
use hephaestus_pipeline::{
    record::{Headers, NewRecord, ORIGIN, STAGE, TRACEPARENT},
    telemetry::traceparent::TraceContext,
};
use hephaestus_schemas::topics::RAW_LOGS;

/// What the records of one source have in common.
#[derive(Debug, Clone)]
pub struct RawLines {
    topic: Arc<str>,
    key: Bytes,
    made_by: Bytes,
    trace: Option<Bytes>,
}

impl RawLines {
    /// Takes a checked source, the `name/version` of what sends its lines, and a trace to carry
    /// on; without one each line starts its own.
    pub fn new(source: &str, made_by: &'static str, trace: Option<TraceContext>) -> Self {
        Self {
            topic: RAW_LOGS.into(),
            key: Bytes::copy_from_slice(source.as_bytes()),
            made_by: Bytes::from_static(made_by.as_bytes()),
            trace: trace.map(|trace| trace.format()),
        }
    }

    /// The record of a line.
    pub fn record(&self, line: Bytes, timestamp_ms: i64) -> NewRecord {
        let trace = self.trace.clone().unwrap_or_else(|| TraceContext::root().format());
        let mut headers = Headers(Vec::with_capacity(3));
        headers.push(TRACEPARENT, trace);
        // It was made from no other record.
        headers.push(ORIGIN, Bytes::new());
        headers.push(STAGE, self.made_by.clone());
        NewRecord {
            topic: self.topic.clone(),
            partition: None,
            timestamp_ms,
            key: Some(self.key.clone()),
            value: Some(line),
            headers,
        }
    }
}
