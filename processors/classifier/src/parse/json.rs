//! JSON lines in the shapes of the common loggers.
//! Promises: fields are found at the top and one or two objects deep; anything else is passed over.

use std::borrow::Cow;

use hephaestus_schemas::Severity;
use serde_json::{Map, Value};

use super::{Format, Parsed, structlog, zerolog};
use crate::scan::at;
use crate::{severity, time};

/// How deep objects are looked into: `error.stack_trace`, `log.origin.file` …
const MAX_DEPTH: u32 = 2;

/// A line that is one JSON object.
pub(super) fn parse(line: &str, reference: i64) -> Option<Parsed<'_>> {
    if !line.trim_end().ends_with('}') {
        return None;
    }
    let Value::Object(object) = serde_json::from_str(line).ok()? else { return None };
    let mut fields = Fields { reference, ..Fields::default() };
    fields.object(&object, Place::Top, 0);
    Some(fields.into_parsed(line))
}

/// Where in the document a key stands; the same word means different things there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    Service,
    Error,
    Host,
    Log,
    Trace,
    Span,
    Http,
    Request,
    Response,
    Url,
    Process,
    Thread,
    /// log4j2's `instant`.
    Instant,
    Other,
}

#[derive(Default)]
struct Fields {
    reference: i64,
    timestamp: Option<i64>,
    /// Microseconds of log4j2's `instant`, whose parts come in any order.
    fraction: i64,
    severity: Option<Severity>,
    severity_number: Option<Severity>,
    service: Option<String>,
    message: Option<String>,
    stack: Option<String>,
    error_type: Option<String>,
    error_message: Option<String>,
    attributes: Vec<(&'static str, Cow<'static, str>)>,
}

impl Fields {
    fn object(&mut self, object: &Map<String, Value>, place: Place, depth: u32) {
        for (key, value) in object {
            match value {
                Value::Object(inner) if depth < MAX_DEPTH => {
                    self.object(inner, place_of(key), depth + 1);
                }
                Value::String(text) => self.text(place, key, text),
                Value::Number(number) => self.number(place, key, number),
                Value::Array(items) if is_stack_key(key) => self.stack_of(items),
                _ => {}
            }
        }
    }

    fn text(&mut self, place: Place, key: &str, text: &str) {
        let (place, key) = placed(place, key);
        match (place, key) {
            (
                Place::Top,
                "timestamp" | "time" | "ts" | "@timestamp" | "@t" | "datetime" | "asctime" | "date"
                | "eventTime" | "t" | "Timestamp" | "start_time" | "StartUTC" | "time_iso8601"
                | "time_local",
            )
            | (Place::Instant, "$date")
                if self.timestamp.is_none() =>
            {
                self.timestamp = time::parse_whole(text, self.reference);
            }
            (
                Place::Top | Place::Log,
                "level" | "severity" | "lvl" | "levelname" | "log_level" | "loglevel" | "@l"
                | "severity_text" | "severityText" | "level_name" | "LogLevel" | "Level",
            ) => {
                // slog names what lies between its levels `ERROR+2`.
                let word = text.trim().split(['+', '-']).next().unwrap_or("");
                let by_word = severity::from_word(word.as_bytes());
                self.severity = self
                    .severity
                    .or(by_word)
                    .or_else(|| text.parse().ok().and_then(severity::from_number));
            }
            // MongoDB's `I`, `W`, `E`, `F`, and `D1` to `D5`.
            (Place::Top, "s") if text.len() <= 2 => {
                let letter = severity::from_letter(at(text.as_bytes(), 0));
                self.severity = self.severity.or(letter);
            }
            (
                Place::Top,
                "message" | "msg" | "@m" | "short_message" | "Message" | "RenderedMessage",
            )
            | (Place::Other, "message")
                if (place == Place::Top || self.message.is_none()) =>
            {
                self.message = Some(text.to_owned());
            }
            (Place::Top, "event" | "log" | "@mt" | "body" | "MESSAGE" | "MessageTemplate")
                if self.message.is_none() =>
            {
                self.message = Some(text.trim_end().to_owned());
            }
            (Place::Top, "service" | "service_name" | "app" | "application" | "serviceName")
            | (Place::Service, "name") => self.service = Some(text.to_owned()),
            (
                Place::Top,
                "logger" | "logger_name" | "name" | "loggerName" | "target" | "SourceContext"
                | "module" | "Category",
            )
            | (Place::Log, "logger") => self.attribute("logger", text),
            (Place::Top, "hostname" | "host" | "HOSTNAME") | (Place::Host, "name" | "hostname") => {
                self.attribute("host", text);
            }
            (Place::Top, "thread" | "thread_name" | "threadName")
            | (Place::Process, "thread.name")
            | (Place::Thread, "name") => self.attribute("thread", text),
            (Place::Top, "trace_id" | "traceId" | "traceid" | "TraceId" | "@tr")
            | (Place::Trace, "id")
            | (Place::Other, "trace_id") => self.attribute("trace_id", text),
            (Place::Top, "span_id" | "spanId" | "spanid" | "SpanId" | "@sp")
            | (Place::Span, "id")
            | (Place::Other, "span_id") => self.attribute("span_id", text),
            (Place::Top, "route" | "path" | "url") | (Place::Url, "path") => {
                self.attribute("http_route", text);
            }
            (Place::Top | Place::Response, key) if is_status_key(key) && is_status(text) => {
                self.attribute("http_status", text);
            }
            (Place::Top, "method" | "http_method")
            | (Place::Http, "request.method" | "method")
            | (Place::Request, "method") => self.attribute("http_method", text),
            (Place::Top | Place::Error | Place::Other, key) if is_stack_key(key) => {
                self.stack.get_or_insert_with(|| text.to_owned());
            }
            (Place::Error, "type" | "kind" | "class" | "name" | "exception_class") => {
                self.error_type = Some(text.to_owned());
            }
            (Place::Error, "message" | "msg" | "exception_message")
            | (Place::Top, "error" | "err" | "exception_message") => {
                self.error_message = Some(text.to_owned());
            }
            (Place::Top, "exception_class" | "error_type" | "exception_type") => {
                self.error_type = Some(text.to_owned());
            }
            _ => {}
        }
    }

    fn number(&mut self, place: Place, key: &str, number: &serde_json::Number) {
        let (place, key) = placed(place, key);
        match (place, key) {
            (
                Place::Top,
                "timestamp" | "time" | "ts" | "@timestamp" | "t" | "date" | "timeMillis"
                | "created",
            ) if self.timestamp.is_none() => {
                self.timestamp = epoch(number);
            }
            (Place::Top, "level" | "severity" | "lvl" | "severity_number") => {
                self.severity_number = number.as_i64().and_then(severity::from_number);
            }
            (Place::Top | Place::Response, key) if is_status_key(key) => {
                self.attribute("http_status", &number.to_string());
            }
            (Place::Top, "pid" | "process") | (Place::Process, "pid") => {
                self.attribute("process", &number.to_string());
            }
            (Place::Instant, "epochSecond") => {
                let seconds = number.as_i64().map(|seconds| seconds.saturating_mul(time::SECOND));
                self.timestamp = seconds.map(|micros| micros.saturating_add(self.fraction));
            }
            (Place::Instant, "nanoOfSecond") => {
                self.fraction = number.as_i64().unwrap_or(0) / 1_000;
                self.timestamp = self.timestamp.map(|micros| micros.saturating_add(self.fraction));
            }
            _ => {}
        }
    }

    fn attribute(&mut self, name: &'static str, value: &str) {
        self.attributes.push((name, Cow::Owned(value.to_owned())));
    }

    fn stack_of(&mut self, items: &[Value]) {
        if let Some(stack) = structlog::traceback(items).or_else(|| zerolog::stack(items)) {
            self.stack.get_or_insert(stack);
            return;
        }
        let lines: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
        if !lines.is_empty() && self.stack.is_none() {
            self.stack = Some(lines.join("\n"));
        }
    }

    fn into_parsed(self, line: &str) -> Parsed<'_> {
        let owned = |text: Option<String>| text.map(Cow::Owned);
        let message = match (self.message, &self.error_message) {
            (Some(message), _) => Cow::Owned(message),
            (None, Some(message)) => Cow::Owned(message.clone()),
            (None, None) => Cow::Borrowed(line),
        };
        // A server's access log names no severity.
        let status = self.attributes.iter().find(|(name, _)| *name == "http_status");
        let failed = status
            .filter(|(_, status)| status.len() == 3 && status.starts_with('5'))
            .map(|_| Severity::Error);
        Parsed {
            format: Format::Json,
            timestamp: self.timestamp,
            severity: self.severity.or(self.severity_number).or(failed),
            service: owned(self.service),
            message,
            stack: owned(self.stack),
            error_type: owned(self.error_type),
            error_message: owned(self.error_message),
            attributes: self.attributes,
            request: None,
        }
    }
}

/// A key with dots, as ECS has them, stands where its first word says; GELF's further fields open with a bar.
fn placed(place: Place, key: &str) -> (Place, &str) {
    let key = if place == Place::Top { key.strip_prefix('_').unwrap_or(key) } else { key };
    match key.split_once('.') {
        Some((prefix, rest)) if place == Place::Top => (place_of(prefix), rest),
        _ => (place, key),
    }
}

fn place_of(key: &str) -> Place {
    match key {
        "service" => Place::Service,
        "error" | "err" | "exception" | "exc" | "thrown" => Place::Error,
        "host" => Place::Host,
        "log" => Place::Log,
        "trace" => Place::Trace,
        "span" => Place::Span,
        "http" => Place::Http,
        "request" | "req" => Place::Request,
        "response" | "res" => Place::Response,
        "url" => Place::Url,
        "process" => Place::Process,
        "thread" => Place::Thread,
        // log4j2's and MongoDB's times.
        "instant" | "t" => Place::Instant,
        // tracing-subscriber and slog put the message in an object of its own.
        "fields" | "record" | "data" => Place::Other,
        _ => Place::Other,
    }
}

/// Whether a text is the status of a response: `status` names the states of other things too.
fn is_status(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_status_key(key: &str) -> bool {
    matches!(
        key,
        "status"
            | "status_code"
            | "statusCode"
            | "http_status"
            | "response_code"
            | "DownstreamStatus"
    )
}

fn is_stack_key(key: &str) -> bool {
    matches!(
        key,
        "exc_info"
            | "Exception"
            | "errorVerbose"
            | "stack"
            | "stack_trace"
            | "stacktrace"
            | "stackTrace"
            | "exception"
            | "traceback"
            | "exc_text"
            | "@x"
            | "full_message"
            | "backtrace"
            | "error_stack"
            | "extendedStackTrace"
    )
}

/// Epoch seconds may have a fraction; other units are whole.
fn epoch(number: &serde_json::Number) -> Option<i64> {
    if let Some(whole) = number.as_i64() {
        return time::epoch_micros(whole);
    }
    let value = number.as_f64()?;
    let whole = value.trunc() as i64;
    let base = time::epoch_micros(whole)?;
    let is_seconds = base == whole.saturating_mul(time::SECOND);
    Some(if is_seconds { base + (value.fract() * 1e6).round() as i64 } else { base })
}
