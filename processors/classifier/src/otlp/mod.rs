//! OpenTelemetry logs as the collector's Kafka exporter writes them: one record of Kafka holds many log records, each
//! with what is known of its resource and its scope.
//! Promises: bounded, never a panic; nothing that is text is taken for protobuf; all of a record is read, or nothing.

mod json;
mod map;
mod proto;

use serde_json::Value;

use crate::envelope::Envelope;
use crate::parse::Format;
use crate::scan::at;

/// Bytes of a record that are looked into. A broker takes 1 MB, unless it is told otherwise.
const MAX_BYTES: usize = 8 << 20;
/// Log records of one record. The collector's batches have 8,192 unless it is told otherwise.
const MAX_LOG_RECORDS: usize = 16_384;

/// A log record on its way to its stream: lines of it, or an event.
#[derive(Debug, PartialEq)]
pub(crate) struct Entry {
    /// The source it belongs to: `service/instance/stream`.
    pub(crate) source: String,
    /// Its lines.
    pub(crate) text: String,
    /// It was an event before it was sent, and no line of one.
    pub(crate) is_event: bool,
    pub(crate) envelope: Envelope,
}

type Attributes = Vec<(String, Value)>;

/// The log records of one resource.
#[derive(Debug, Default)]
struct Resource {
    attributes: Attributes,
    scopes: Vec<Scope>,
}

/// The log records of one scope, by OpenTelemetry's word for what wrote them.
#[derive(Debug, Default)]
struct Scope {
    name: String,
    records: Vec<LogRecord>,
}

/// OpenTelemetry's data model of logs, in plain values.
#[derive(Debug, Default)]
struct LogRecord {
    /// Nanoseconds since 1970 UTC; nought where it is not known.
    time: u64,
    observed_time: u64,
    /// From 1 to 24; nought where it is not known.
    severity_number: i64,
    severity_text: String,
    body: Value,
    attributes: Attributes,
    event_name: String,
    /// Hexadecimal.
    trace_id: String,
    span_id: String,
}

/// The log records in what a shipper sent; none where it is something else. `source` is what the record's key names: it
/// stands in for what a resource leaves open.
#[inline]
pub(crate) fn read(bytes: &[u8], format: Option<Format>, source: &str) -> Option<Vec<Entry>> {
    // Nearly all that is sent ends here.
    if !matches!(at(bytes, 0), proto::FIRST_BYTE | b'{') && format.is_none() {
        return None;
    }
    read_marked(bytes, format, source)
}

fn read_marked(bytes: &[u8], format: Option<Format>, source: &str) -> Option<Vec<Entry>> {
    if bytes.len() > MAX_BYTES {
        return None;
    }
    let resources = match format {
        None if proto::is_marked(bytes) => proto::read(bytes)?,
        None if json::is_marked(bytes) => json::read(bytes)?,
        Some(Format::OtlpProto) => proto::read(bytes)?,
        Some(Format::OtlpJson) => json::read(bytes)?,
        _ => return None,
    };
    let mut entries = Vec::new();
    for resource in resources {
        for scope in resource.scopes {
            for record in scope.records {
                entries.push(map::entry(&resource.attributes, &scope.name, record, source));
            }
        }
    }
    (!entries.is_empty()).then_some(entries)
}
