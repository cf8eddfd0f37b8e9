//! What a log record of OpenTelemetry becomes: the source it belongs to, its text, and what is known of it.
//! Names are those of OpenTelemetry's semantic conventions, the old ones too where they still are about.

use serde_json::{Map, Value};

use super::{Attributes, Entry, LogRecord};
use crate::envelope::Envelope;
use crate::scan::{contains, cut};
use crate::severity;

/// What names the service, the first that is there.
const SERVICE: [&str; 6] = [
    "service.name",
    "k8s.deployment.name",
    "k8s.statefulset.name",
    "k8s.daemonset.name",
    "k8s.container.name",
    "container.name",
];
/// What names one of its instances.
const INSTANCE: [&str; 5] =
    ["service.instance.id", "k8s.pod.uid", "k8s.pod.name", "container.id", "host.name"];
/// The file that a line was read from.
const FILE: [&str; 2] = ["log.file.path", "log.file.name"];
/// `stdout` or `stderr`.
const STREAM: &str = "log.iostream";
/// Attributes that are kept, and by what name. The first of a name that is there counts.
const KEPT: [(&str, &str); 18] = [
    ("host.name", "host"),
    ("k8s.pod.name", "pod"),
    ("k8s.namespace.name", "namespace"),
    (STREAM, "stream"),
    ("process.pid", "process"),
    ("thread.name", "thread"),
    ("thread.id", "thread"),
    ("logger.name", "logger"),
    ("code.namespace", "logger"),
    ("http.request.method", "http_method"),
    ("http.method", "http_method"),
    ("http.response.status_code", "http_status"),
    ("http.status_code", "http_status"),
    ("http.route", "http_route"),
    ("url.path", "http_route"),
    ("http.target", "http_route"),
    (FILE[0], "file"),
    (FILE[1], "file"),
];
/// Bytes kept of an exception's type and message where they stand in attributes.
const MAX_ERROR: usize = 1024;
/// Bytes of each part of a source's name.
const MAX_PART: usize = 256;
/// What a part of a source's name is called where nothing names it.
const UNKNOWN: &str = "unknown";

/// Looks for names among the attributes of a log record, then among those of its resource.
struct Known<'a> {
    record: &'a Attributes,
    resource: &'a Attributes,
}

impl Known<'_> {
    fn text(&self, name: &str) -> Option<String> {
        let mut all = self.record.iter().chain(self.resource);
        match all.find(|(key, _)| key == name).map(|(_, value)| value)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(is) => Some(is.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
        .filter(|text| !text.is_empty())
    }

    fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.text(name))
    }
}

/// A log record with the attributes of its resource and the name of its scope. `source` stands in for what they leave open.
pub(super) fn entry(resource: &Attributes, scope: &str, record: LogRecord, source: &str) -> Entry {
    let known = Known { record: &record.attributes, resource };
    let file = known.first(&FILE);
    let stack = known.text("exception.stacktrace");
    let mut envelope = envelope(&known, &record, scope);
    let bounded = |text: String| cut(&text, MAX_ERROR).to_owned();
    envelope.error_type = known.text("exception.type").map(bounded);
    envelope.error_message = known.text("exception.message").map(bounded);
    let name = source_name(&known, scope, file.as_deref(), source);
    let is_line = file.is_some() || record.body.get("MESSAGE").is_some();
    let mut text = text(&record, stack.as_deref());
    let says_nothing = !is_line && text.is_empty() && envelope.error_type.is_none();
    if says_nothing && !record.attributes.is_empty() {
        let attributes: Map<String, Value> = record.attributes.iter().cloned().collect();
        text = Value::Object(attributes).to_string();
    }
    // What was read from a file or the journal is a line, unless the collector put several together. What a program sent
    // of itself is an event: it names a severity, a span or an exception, or is no text.
    let told = envelope.severity.is_some()
        || stack.is_some()
        || envelope.error_type.is_some()
        || !record.trace_id.is_empty()
        || !record.event_name.is_empty();
    let is_event =
        if is_line { contains(text.trim_end(), "\n") } else { told || !record.body.is_string() };
    Entry { source: name, text, is_event, envelope }
}

fn envelope(known: &Known<'_>, record: &LogRecord, scope: &str) -> Envelope {
    let nanos = if record.time > 0 { record.time } else { record.observed_time };
    let by_word = severity::from_word(record.severity_text.trim().as_bytes());
    let mut envelope = Envelope {
        timestamp: i64::try_from(nanos / 1_000).ok().filter(|micros| *micros > 0),
        severity: severity::from_open_telemetry(record.severity_number).or(by_word),
        service: known.first(&SERVICE).map(|name| cut(&name, MAX_PART).to_owned()),
        ..Envelope::default()
    };
    for (name, kept) in KEPT {
        let is_new = envelope.attributes.iter().all(|(other, _)| other != kept);
        if is_new {
            envelope.attribute(kept, known.text(name).as_deref());
        }
    }
    if !envelope.attributes.iter().any(|(name, _)| name == "logger") {
        envelope.attribute("logger", Some(scope));
    }
    envelope.attribute("trace_id", Some(&record.trace_id));
    envelope.attribute("span_id", Some(&record.span_id));
    envelope
}

/// `service/instance/stream`. The stream is the file, or what wrote the log record.
fn source_name(known: &Known<'_>, scope: &str, file: Option<&str>, source: &str) -> String {
    let mut stand_ins = source.splitn(3, '/');
    let stand_ins = match (stand_ins.next(), stand_ins.next(), stand_ins.next()) {
        (Some(service), Some(instance), Some(stream)) => [service, instance, stream],
        // A key of another kind, such as a hash, names nothing.
        _ => [UNKNOWN; 3],
    };
    let file_stream = file.map(|file| match known.text(STREAM) {
        Some(stream) => format!("{file}:{stream}"),
        None => file.to_owned(),
    });
    let stream = file_stream.or_else(|| known.text(STREAM));
    let stream = stream.or_else(|| (!scope.is_empty()).then(|| scope.to_owned()));
    let part = |named: Option<String>| named.map(|named| named.replace('/', "_"));
    let named = [part(known.first(&SERVICE)), part(known.first(&INSTANCE)), stream];
    let [service, instance, stream] = &named;
    let or = |named: &Option<String>, stand_in: &str| {
        cut(named.as_deref().unwrap_or(stand_in), MAX_PART).to_owned()
    };
    let [first, second, third] = stand_ins;
    format!("{}/{}/{}", or(service, first), or(instance, second), or(stream, third))
}

/// The body, and below it the stack, as it stands in logs. A body that is no text is JSON.
fn text(record: &LogRecord, stack: Option<&str>) -> String {
    let mut text = match &record.body {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        body => body.to_string(),
    };
    if text.is_empty() {
        text.push_str(&record.event_name);
    }
    if let Some(stack) = stack.filter(|stack| !contains(&text, stack)) {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(stack);
    }
    text
}
