//! What collectors wrap around a line: container runtimes, journald, Vector, Fluent Bit, Filebeat, the OpenTelemetry
//! Collector where it writes bodies alone.
//! Promises: told by its own marks alone; the line inside is read as if it had come by itself.

use std::borrow::Cow;

use hephaestus_schemas::Severity;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::mask::SourceMasker;
use crate::parse::octal_escapes;
use crate::scan::{at, contains, slice, tail, token_end};
use crate::{severity, time};

/// Bytes kept of one field.
const MAX_FIELD: usize = 512;

/// What an envelope says of the line in it. What the line says itself goes first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Envelope {
    /// Microseconds since 1970 UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<i64>,
    /// Severity, where the collector knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// The service that wrote the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Type of an exception that the line tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// Its message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Further fields, by the names that `ClassifiedLog::attributes` uses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<(Cow<'static, str>, String)>,
}

/// An envelope and the line that was in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Opened<'a> {
    pub(crate) text: Cow<'a, str>,
    /// The line goes on in the next record of the same stream.
    pub(crate) is_partial: bool,
    pub(crate) envelope: Envelope,
}

impl Envelope {
    /// The stream that the line was written to: `stdout` or `stderr`; empty where it is not known.
    pub(crate) fn stream(&self) -> &str {
        let stream = self.attributes.iter().find(|(name, _)| name == "stream");
        stream.map_or("", |(_, stream)| stream)
    }

    /// Masks what a collector says of the line, as the line is masked.
    pub(crate) fn mask(&mut self, masker: SourceMasker<'_>) {
        let values = self.attributes.iter_mut().map(|(_, value)| value);
        let error = self.error_type.iter_mut().chain(&mut self.error_message);
        for value in values.chain(&mut self.service).chain(error) {
            if let Cow::Owned(masked) = masker.mask(value, &mut 0).text {
                *value = masked;
            }
        }
    }

    /// Bytes it takes in memory beside itself, roughly.
    pub(crate) fn weight(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, value)| name.len() + value.len());
        let texts = [&self.service, &self.error_type, &self.error_message];
        let texts = texts.into_iter().flatten().map(String::len);
        attributes.sum::<usize>() + texts.sum::<usize>() + size_of::<Self>()
    }

    /// Takes over from an envelope around this one what this one does not say.
    pub(crate) fn complete(&mut self, outer: Self) {
        self.timestamp = self.timestamp.or(outer.timestamp);
        self.severity = self.severity.or(outer.severity);
        self.service = self.service.take().or(outer.service);
        self.error_type = self.error_type.take().or(outer.error_type);
        self.error_message = self.error_message.take().or(outer.error_message);
        for (name, value) in outer.attributes {
            if self.attributes.iter().all(|(known, _)| *known != name) {
                self.attributes.push((name, value));
            }
        }
    }

    pub(crate) fn attribute(&mut self, name: &'static str, value: Option<&str>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let value = crate::scan::cut(value, MAX_FIELD).to_owned();
            self.attributes.push((Cow::Borrowed(name), value));
        }
    }
}

/// Opens the envelope of a line; none where there is none. `reference` (microseconds) supplies a missing year.
pub(crate) fn open(line: &str, reference: i64) -> Option<Opened<'_>> {
    let bytes = line.as_bytes();
    match at(bytes, 0) {
        b'0'..=b'9' if at(bytes, 4) == b'-' => runtime_interface(line, reference),
        // The Collector's Kafka exporter with the encoding `raw`: a body that is text, as JSON.
        b'"' if line.ends_with('"') => Some(Opened {
            text: Cow::Owned(serde_json::from_str(line).ok()?),
            is_partial: false,
            envelope: Envelope::default(),
        }),
        b'{' if is_marked(line) => {
            let Value::Object(object) = serde_json::from_str(line).ok()? else { return None };
            journal(&object, reference)
                .or_else(|| rsyslog(&object, reference))
                .or_else(|| vector(&object, reference))
                .or_else(|| filebeat(&object, reference))
                .or_else(|| container(&object, reference))
        }
        _ => None,
    }
}

/// `2024-01-01T10:00:00.123456789Z stdout F line`, the format of the Kubernetes container runtime interface.
fn runtime_interface(line: &str, reference: i64) -> Option<Opened<'_>> {
    let bytes = line.as_bytes();
    let stamp_end = token_end(bytes, 0);
    let stream_end = token_end(bytes, stamp_end + 1);
    let stream = slice(line, stamp_end + 1, stream_end);
    if !matches!(stream, "stdout" | "stderr") {
        return None;
    }
    let tags_end = token_end(bytes, stream_end + 1);
    let is_partial = match slice(line, stream_end + 1, tags_end).split(':').next() {
        Some("F") => false,
        Some("P") => true,
        _ => return None,
    };
    let mut envelope = Envelope {
        timestamp: Some(time::parse_whole(slice(line, 0, stamp_end), reference)?),
        ..Envelope::default()
    };
    envelope.attribute("stream", Some(stream));
    Some(Opened { text: Cow::Borrowed(tail(line, tags_end + 1)), is_partial, envelope })
}

/// A look for the marks of the envelopes below, so that other JSON is read once.
fn is_marked(line: &str) -> bool {
    line.trim_end().ends_with('}')
        && ["\"MESSAGE\"", "\"source_type\"", "\"filebeat\"", "\"log\"", "\"programname\""]
            .iter()
            .any(|mark| contains(line, mark))
}

/// journald's export as JSON (systemd, "Journal Fields"), and syslog-ng's `format-json`.
fn journal(object: &Map<String, Value>, reference: i64) -> Option<Opened<'static>> {
    let text = match object.get("MESSAGE")? {
        Value::String(text) => text.clone(),
        // What is no valid UTF-8 is exported as its bytes.
        Value::Array(bytes) => {
            let bytes: Option<Vec<u8>> =
                bytes.iter().map(|byte| u8::try_from(byte.as_u64()?).ok()).collect();
            String::from_utf8_lossy(&bytes?).into_owned()
        }
        _ => return None,
    };
    let field = |names: &[&str]| names.iter().find_map(|name| object.get(*name)?.as_str());
    let epoch = field(&["_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP"]);
    let date = field(&["ISODATE", "DATE"]);
    let mut envelope = Envelope {
        timestamp: epoch
            .and_then(|micros| micros.parse().ok())
            .or_else(|| time::parse_whole(date?, reference)),
        severity: object.get("PRIORITY").and_then(priority),
        ..Envelope::default()
    };
    let unit = field(&["_SYSTEMD_UNIT", "UNIT"]);
    let unit = unit.map(|unit| unit.strip_suffix(".service").unwrap_or(unit));
    envelope.service = field(&["SYSLOG_IDENTIFIER", "PROGRAM"]).or(unit).map(str::to_owned);
    envelope.attribute("host", field(&["_HOSTNAME", "HOST"]));
    envelope.attribute("process", field(&["_PID", "SYSLOG_PID", "PID"]));
    Some(Opened { text: Cow::Owned(text), is_partial: false, envelope })
}

/// A message of rsyslog by a list template, as its documentation and its users write them, or by `jsonmesg`.
fn rsyslog(object: &Map<String, Value>, reference: i64) -> Option<Opened<'static>> {
    let service = text_of(object, "programname")?;
    let text = first_text(object, &["message", "msg"])?;
    // Of a message of RFC 3164, `msg` begins with the blank behind the tag.
    let text = match text.strip_prefix(' ') {
        Some(rest) if !rest.starts_with([' ', '\t']) => rest,
        _ => text,
    };
    let stamp = first_text(object, &["@timestamp", "timestamp", "timereported", "timegenerated"]);
    let severity = ["severity", "syslogseverity-text", "syslogseverity"]
        .iter()
        .find_map(|name| object.get(*name));
    let mut envelope = Envelope {
        timestamp: stamp.and_then(|stamp| time::parse_whole(stamp, reference)),
        severity: severity.and_then(priority),
        service: Some(service.to_owned()),
        ..Envelope::default()
    };
    envelope.attribute("host", first_text(object, &["hostname", "host", "sysloghost"]));
    envelope.attribute("process", text_of(object, "procid").filter(|process| *process != "-"));
    Some(Opened { text: Cow::Owned(octal_escapes(text)), is_partial: false, envelope })
}

/// `3`, `"3"` or `"err"`.
fn priority(value: &Value) -> Option<Severity> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    match number {
        Some(number) => u32::try_from(number).ok().map(severity::from_syslog),
        None => severity::from_word(value.as_str()?.as_bytes()),
    }
}

/// An event of one of Vector's sources (`source_type`), as its JSON codec writes it.
fn vector(object: &Map<String, Value>, reference: i64) -> Option<Opened<'static>> {
    text_of(object, "source_type")?;
    let text = text_of(object, "message")?.to_owned();
    let mut envelope = Envelope {
        timestamp: text_of(object, "timestamp")
            .and_then(|stamp| time::parse_whole(stamp, reference)),
        severity: object.get("severity").and_then(priority),
        service: first_text(object, &["appname", "container_name"]).map(str::to_owned),
        ..Envelope::default()
    };
    envelope.attribute("host", first_text(object, &["host", "hostname"]));
    envelope.attribute("stream", text_of(object, "stream"));
    kubernetes(object, &mut envelope, &["pod_name", "pod_namespace", "container_name"]);
    Some(Opened { text: Cow::Owned(text), is_partial: false, envelope })
}

/// An event of Filebeat that holds a line as it was read; one that Filebeat decoded is read as what it was.
fn filebeat(object: &Map<String, Value>, reference: i64) -> Option<Opened<'static>> {
    let agent = object.get("agent")?.as_object()?;
    let is_decoded = object.contains_key("error")
        || object.contains_key("log.level")
        || object.get("log").is_some_and(|log| log.get("level").is_some());
    if text_of(agent, "type")? != "filebeat" || is_decoded {
        return None;
    }
    let text = text_of(object, "message")?.to_owned();
    let within = |name: &str, field: &str| object.get(name)?.get(field)?.as_str();
    let service = within("service", "name").or_else(|| within("container", "name"));
    let mut envelope = Envelope {
        timestamp: text_of(object, "@timestamp")
            .and_then(|stamp| time::parse_whole(stamp, reference)),
        service: service.map(str::to_owned),
        ..Envelope::default()
    };
    envelope.attribute("host", within("host", "name"));
    envelope.attribute("stream", text_of(object, "stream"));
    if let Some(Value::Object(kubernetes)) = object.get("kubernetes") {
        let within = |name: &str| kubernetes.get(name)?.get("name")?.as_str();
        if envelope.service.is_none() {
            envelope.service = within("container").map(str::to_owned);
        }
        envelope.attribute("pod", within("pod"));
        envelope.attribute("namespace", text_of(kubernetes, "namespace"));
    }
    Some(Opened { text: Cow::Owned(text), is_partial: false, envelope })
}

/// A line of Docker's json-file driver, or of Fluent Bit, which keeps the line under `log` as well.
fn container(object: &Map<String, Value>, reference: i64) -> Option<Opened<'static>> {
    let text = text_of(object, "log")?;
    let is_event =
        ["message", "msg", "level", "severity"].iter().any(|name| object.contains_key(*name));
    if is_event {
        return None;
    }
    let stamp =
        ["time", "@timestamp", "timestamp", "date"].iter().find_map(|name| object.get(*name));
    let timestamp = match stamp {
        Some(Value::String(stamp)) => time::parse_whole(stamp, reference),
        Some(Value::Number(seconds)) => seconds.as_f64().map(|seconds| (seconds * 1e6) as i64),
        _ => None,
    };
    let is_dockers = object.contains_key("stream") && object.contains_key("time");
    // Docker cuts lines at 16 KiB, and only the last part ends in a line feed; Fluent Bit passes on the
    // tag of the container runtime interface.
    let is_partial = match text_of(object, "logtag") {
        Some(tag) => tag == "P",
        None => is_dockers && !object.contains_key("kubernetes") && !text.ends_with('\n'),
    };
    let mut envelope = Envelope { timestamp, ..Envelope::default() };
    envelope.service =
        text_of(object, "container_name").map(|name| name.trim_start_matches('/').to_owned());
    envelope.attribute("stream", text_of(object, "stream"));
    kubernetes(object, &mut envelope, &["pod_name", "namespace_name", "container_name"]);
    let text = text.strip_suffix('\n').unwrap_or(text).to_owned();
    Some(Opened { text: Cow::Owned(text), is_partial, envelope })
}

/// Pod, namespace and container, by the names that the collector has for them.
fn kubernetes(object: &Map<String, Value>, envelope: &mut Envelope, names: &[&str; 3]) {
    let Some(Value::Object(kubernetes)) = object.get("kubernetes") else { return };
    let [pod, namespace, container] = names.map(|name| text_of(kubernetes, name));
    envelope.attribute("pod", pod);
    envelope.attribute("namespace", namespace);
    if envelope.service.is_none() {
        let container = container.filter(|container| !container.is_empty());
        envelope.service = container.map(str::to_owned);
    }
}

fn text_of<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str()
}

fn first_text<'a>(object: &'a Map<String, Value>, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| text_of(object, name))
}
