//! The protobuf encoding of OTLP, an `ExportLogsServiceRequest`.
//!
//! Its upper layers are read as messages whose parts stay bytes, so that one log record at a time takes memory: a part
//! of two bytes becomes a value of hundreds. Depth is bounded by `prost` (100).

use bytes::Bytes;
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    logs::v1::LogRecord as ProtoRecord,
    resource::v1::Resource as ProtoResource,
};
use prost::Message;
use serde_json::Value;

use super::{Attributes, LogRecord, MAX_LOG_RECORDS, Resource, Scope};

/// Key of `resource_logs`: field 1, with a length. In text it is a line feed.
pub(super) const FIRST_BYTE: u8 = 0x0a;
/// Key of `scope_logs` and of `log_records`: field 2, with a length. A control character that no text holds.
const SECOND_FIELD: u8 = 0x12;

/// `ExportLogsServiceRequest` of opentelemetry-proto, `collector/logs/v1/logs_service.proto`.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    resource_logs: Vec<Bytes>,
}

/// `ResourceLogs` of opentelemetry-proto, `logs/v1/logs.proto`.
#[derive(Clone, PartialEq, Message)]
struct ResourceLogs {
    #[prost(message, optional, tag = "1")]
    resource: Option<ProtoResource>,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    scope_logs: Vec<Bytes>,
}

/// `ScopeLogs` of the same.
#[derive(Clone, PartialEq, Message)]
struct ScopeLogs {
    #[prost(message, optional, tag = "1")]
    scope: Option<InstrumentationScope>,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    log_records: Vec<Bytes>,
}

/// A look at two bytes: what has no log record in it is not decoded, and text has none.
pub(super) fn is_marked(bytes: &[u8]) -> bool {
    bytes.first() == Some(&FIRST_BYTE) && memchr::memchr(SECOND_FIELD, bytes).is_some()
}

/// Reads a request to its last byte; none where anything in it does not fit, or no log record says anything.
pub(super) fn read(bytes: &[u8]) -> Option<Vec<Resource>> {
    let request = Request::decode(Bytes::copy_from_slice(bytes)).ok()?;
    let mut resources = Vec::new();
    let mut room = MAX_LOG_RECORDS;
    let mut is_plausible = false;
    for resource_logs in request.resource_logs {
        let resource_logs = ResourceLogs::decode(resource_logs).ok()?;
        let attributes = resource_logs.resource.map(|resource| pairs(resource.attributes));
        let mut scopes = Vec::new();
        for scope_logs in resource_logs.scope_logs {
            let scope_logs = ScopeLogs::decode(scope_logs).ok()?;
            room = room.checked_sub(scope_logs.log_records.len())?;
            let mut records = Vec::with_capacity(scope_logs.log_records.len());
            for record in scope_logs.log_records {
                let record = ProtoRecord::decode(record).ok()?;
                is_plausible |= record.body.is_some()
                    || record.time_unix_nano > 0
                    || record.observed_time_unix_nano > 0;
                records.push(log_record(record));
            }
            let name = scope_logs.scope.map(|scope| scope.name).unwrap_or_default();
            scopes.push(Scope { name, records });
        }
        resources.push(Resource { attributes: attributes.unwrap_or_default(), scopes });
    }
    is_plausible.then_some(resources)
}

fn log_record(record: ProtoRecord) -> LogRecord {
    LogRecord {
        time: record.time_unix_nano,
        observed_time: record.observed_time_unix_nano,
        severity_number: i64::from(record.severity_number),
        severity_text: record.severity_text,
        body: record.body.map_or(Value::Null, plain),
        attributes: pairs(record.attributes),
        event_name: record.event_name,
        trace_id: hexadecimal(&record.trace_id),
        span_id: hexadecimal(&record.span_id),
    }
}

fn pairs(pairs: Vec<KeyValue>) -> Attributes {
    let value = |value: Option<AnyValue>| value.map_or(Value::Null, plain);
    pairs.into_iter().map(|pair| (pair.key, value(pair.value))).collect()
}

/// A value of OpenTelemetry as JSON has it. Bytes are taken for text.
fn plain(value: AnyValue) -> Value {
    use any_value::Value as Any;
    match value.value {
        Some(Any::StringValue(text)) => text.into(),
        Some(Any::BoolValue(is)) => is.into(),
        Some(Any::IntValue(number)) => number.into(),
        Some(Any::DoubleValue(number)) => number.into(),
        Some(Any::ArrayValue(array)) => array.values.into_iter().map(plain).collect(),
        Some(Any::KvlistValue(list)) => pairs(list.values).into_iter().collect(),
        Some(Any::BytesValue(bytes)) => String::from_utf8_lossy(&bytes).into_owned().into(),
        Some(Any::StringValueStrindex(_)) | None => Value::Null,
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
