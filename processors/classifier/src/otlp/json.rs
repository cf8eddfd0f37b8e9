//! The JSON encoding of OTLP (OpenTelemetry Protocol, "JSON Protobuf Encoding").

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Attributes, LogRecord, MAX_LOG_RECORDS, Resource, Scope};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    resource_logs: Vec<ResourceLogs>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ResourceLogs {
    resource: Owner,
    scope_logs: Vec<ScopeLogs>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ScopeLogs {
    scope: Owner,
    log_records: Vec<JsonRecord>,
}

/// A resource or a scope.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Owner {
    name: String,
    attributes: Vec<Pair>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct JsonRecord {
    time_unix_nano: Value,
    observed_time_unix_nano: Value,
    severity_number: Value,
    severity_text: String,
    body: Value,
    attributes: Vec<Pair>,
    event_name: String,
    trace_id: String,
    span_id: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Pair {
    key: String,
    value: Value,
}

/// A look at how it begins: `{"resourceLogs"`.
pub(super) fn is_marked(bytes: &[u8]) -> bool {
    let Some(inside) = bytes.strip_prefix(b"{") else { return false };
    inside.trim_ascii_start().starts_with(b"\"resourceLogs\"")
}

/// Reads a request to its last byte; none where it is none.
pub(super) fn read(bytes: &[u8]) -> Option<Vec<Resource>> {
    let request: Request = serde_json::from_slice(bytes).ok()?;
    let mut resources = Vec::new();
    let mut room = MAX_LOG_RECORDS;
    for resource_logs in request.resource_logs {
        let mut scopes = Vec::new();
        for scope_logs in resource_logs.scope_logs {
            room = room.checked_sub(scope_logs.log_records.len())?;
            let records = scope_logs.log_records.into_iter().map(log_record).collect();
            scopes.push(Scope { name: scope_logs.scope.name, records });
        }
        resources.push(Resource { attributes: pairs(resource_logs.resource.attributes), scopes });
    }
    Some(resources)
}

fn log_record(record: JsonRecord) -> LogRecord {
    let nanos = |value: &Value| whole(value).and_then(|nanos| u64::try_from(nanos).ok());
    LogRecord {
        time: nanos(&record.time_unix_nano).unwrap_or(0),
        observed_time: nanos(&record.observed_time_unix_nano).unwrap_or(0),
        severity_number: whole(&record.severity_number).unwrap_or(0),
        severity_text: record.severity_text,
        body: plain(record.body),
        attributes: pairs(record.attributes),
        event_name: record.event_name,
        trace_id: record.trace_id,
        span_id: record.span_id,
    }
}

fn pairs(pairs: Vec<Pair>) -> Attributes {
    pairs.into_iter().map(|pair| (pair.key, plain(pair.value))).collect()
}

/// Numbers of 64 bits are strings, and may be numbers.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// A value of OpenTelemetry as JSON has it. What is none is kept as it is.
fn plain(value: Value) -> Value {
    let Value::Object(mut object) = value else { return value };
    if let Some(number) = object.get("intValue").and_then(whole) {
        return number.into();
    }
    for name in ["stringValue", "boolValue", "doubleValue"] {
        if let Some(value) = object.remove(name) {
            return value;
        }
    }
    if let Some(Value::String(encoded)) = object.get("bytesValue") {
        return text_of_base64(encoded).into();
    }
    if let Some(Value::Object(array)) = object.get_mut("arrayValue") {
        return items(array).into_iter().map(plain).collect();
    }
    if let Some(Value::Object(list)) = object.get_mut("kvlistValue") {
        return items(list).into_iter().filter_map(pair).collect();
    }
    if object.is_empty() { Value::Null } else { Value::Object(object) }
}

fn items(object: &mut Map<String, Value>) -> Vec<Value> {
    match object.remove("values") {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

fn pair(value: Value) -> Option<(String, Value)> {
    let Value::Object(mut object) = value else { return None };
    let Some(Value::String(key)) = object.remove("key") else { return None };
    Some((key, object.remove("value").map_or(Value::Null, plain)))
}

/// The text whose bytes are in base64 (RFC 4648, section 4); what is none stays as it is.
fn text_of_base64(encoded: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    match STANDARD.decode(encoded) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => encoded.to_owned(),
    }
}
