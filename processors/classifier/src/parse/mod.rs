//! Reads one line, or the first line of an event: its header fields and its message.
//! Promises: one algorithm for every source, never a panic; what has no header is all message.

mod access;
mod header;
mod json;
pub(crate) mod logcat;
mod logfmt;
mod structlog;
mod syslog;
mod zerolog;

use std::borrow::Cow;

use hephaestus_schemas::Severity;
use serde::{Deserialize, Serialize};

use crate::scan::at;
pub(crate) use access::Access;
pub(crate) use syslog::{Wrapped, octal_escapes, unescaped, wrapped};

/// What a line was recognised as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Text without a header.
    #[default]
    Plain,
    /// Text behind a header: time stamp, severity, component and the like.
    Headed,
    /// A JSON object.
    Json,
    /// Syslog, RFC 5424 or RFC 3164.
    Syslog,
    /// A line of an HTTP server's access log.
    Access,
    /// `key=value` pairs.
    Logfmt,
    /// Log records of OpenTelemetry, as protobuf. What a record holds, and no line.
    #[serde(rename = "otlp_proto")]
    OtlpProto,
    /// The same as JSON.
    #[serde(rename = "otlp_json")]
    OtlpJson,
}

/// What stands in a line.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parsed<'a> {
    /// What the line was recognised as.
    pub format: Format,
    /// Microseconds since 1970 UTC.
    pub timestamp: Option<i64>,
    /// Severity, where the line names one.
    pub severity: Option<Severity>,
    /// The service that the line names.
    pub service: Option<Cow<'a, str>>,
    /// The text behind the header.
    pub message: Cow<'a, str>,
    /// A stack in a field of its own (JSON), as text.
    pub stack: Option<Cow<'a, str>>,
    /// Type of an exception in a field of its own.
    pub error_type: Option<Cow<'a, str>>,
    /// Message of an exception in a field of its own.
    pub error_message: Option<Cow<'a, str>>,
    /// Further fields, by the names that `ClassifiedLog::attributes` uses.
    pub attributes: Vec<(&'static str, Cow<'a, str>)>,
    /// Method, route and status, where the line records a request.
    pub request: Option<Request<'a>>,
}

/// A request in an access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    /// Method, such as `GET`.
    pub method: &'a str,
    /// Path without its query.
    pub path: &'a str,
    /// Status code.
    pub status: u16,
}

impl Format {
    /// Every format, by the name that shippers and the configuration give it.
    pub const NAMED: [(&str, Self); 8] = [
        ("plain", Self::Plain),
        ("headed", Self::Headed),
        ("json", Self::Json),
        ("syslog", Self::Syslog),
        ("access", Self::Access),
        ("logfmt", Self::Logfmt),
        ("otlp_proto", Self::OtlpProto),
        ("otlp_json", Self::OtlpJson),
    ];

    /// The format of a name.
    pub fn named(name: &str) -> Option<Self> {
        let known = Self::NAMED.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
        known.map(|(_, format)| *format)
    }
}

impl<'a> Parsed<'a> {
    fn attribute(&mut self, name: &'static str, value: &'a str) {
        if !value.is_empty() {
            self.attributes.push((name, Cow::Borrowed(value)));
        }
    }
}

/// Reads a line as what it is said to be; as plain text where it is nothing of the kind. `reference` as in [`parse`].
pub fn parse_as(line: &str, format: Format, reference: i64) -> Parsed<'_> {
    let text = line.trim_start_matches(['\u{feff}', ' ', '\t']);
    let mut parsed = match format {
        Format::Plain | Format::OtlpProto | Format::OtlpJson => None,
        Format::Headed => Some(header::parse(text, reference)),
        Format::Json => json::parse(text, reference),
        Format::Syslog => Some(
            syslog::with_priority(text, reference)
                .unwrap_or_else(|| header::parse(text, reference)),
        ),
        Format::Access => access::parse(text, reference),
        Format::Logfmt => logfmt::pairs(text, reference),
    }
    .unwrap_or_else(|| Parsed { message: Cow::Borrowed(line.trim_end()), ..Parsed::default() });
    inner(&mut parsed, reference);
    parsed
}

/// Reads a line, told by its content. `reference` (microseconds since 1970 UTC) supplies a missing year or day.
pub fn parse(line: &str, reference: i64) -> Parsed<'_> {
    by_content(line, reference, true)
}

/// Reads a line as [`parse`] does, as one of an access log only if that may be.
fn by_content(line: &str, reference: i64, may_be_access: bool) -> Parsed<'_> {
    let text = match at(line.as_bytes(), 0) {
        b' ' | b'\t' | 0x80.. => line.trim_start_matches(['\u{feff}', ' ', '\t']),
        _ => line,
    };
    let first = at(text.as_bytes(), 0);
    if first == b'{'
        && let Some(parsed) = json::parse(text, reference)
    {
        return parsed;
    }
    let mut parsed = if first == b'<' { syslog::with_priority(text, reference) } else { None }
        .or_else(|| if may_be_access { access::parse(text, reference) } else { None })
        .or_else(|| logfmt::parse(text, reference))
        .or_else(|| logcat::parse(text, reference))
        .unwrap_or_else(|| header::parse(text, reference));
    inner(&mut parsed, reference);
    parsed
}

/// Reads the message behind a header that is itself JSON, logfmt or an access line, or one that a syslog daemon took
/// with the header that its program wrote, and lets it add to the header.
fn inner(parsed: &mut Parsed<'_>, reference: i64) {
    if !matches!(parsed.format, Format::Syslog | Format::Headed) {
        return;
    }
    let Cow::Borrowed(message) = parsed.message else { return };
    let opens = at(message.as_bytes(), 0) == b'{';
    let found = if opens {
        json::parse(message, reference)
    } else {
        let is_relayed = parsed.format == Format::Syslog;
        logfmt::parse(message, reference)
            .or_else(|| access::parse(message, reference))
            .or_else(|| if is_relayed { header::stamped(message, reference) } else { None })
    };
    let Some(found) = found else { return };
    parsed.timestamp = found.timestamp.or(parsed.timestamp);
    parsed.severity = found.severity.or(parsed.severity);
    if found.service.is_some() {
        parsed.service = found.service;
    }
    parsed.message = found.message;
    parsed.stack = found.stack;
    parsed.error_type = found.error_type;
    parsed.error_message = found.error_message;
    parsed.attributes.extend(found.attributes);
    parsed.request = found.request;
    parsed.format = found.format;
}

/// Whether a line opens with a header, so that it begins an event of its own; and its severity.
pub(crate) fn opening(line: &str) -> (bool, Option<Severity>) {
    let parsed = parse(line, 0);
    (parsed.format != Format::Plain, parsed.severity)
}

/// The parts of a line of an access log. `reference` as in [`parse`].
pub(crate) fn access(line: &str, reference: i64) -> Option<Access> {
    access::find(line, reference)
}

/// Reads a line as [`parse`] does, in which these parts of a line of an access log were found, or none.
pub(crate) fn parse_after<'a>(
    line: &'a str,
    access: Option<&Access>,
    reference: i64,
) -> Parsed<'a> {
    match (at(line.as_bytes(), 0), access) {
        // What opens so may be of a form that goes before, or begins with what is taken off.
        (b'{' | b'<' | b' ' | b'\t' | 0x80.., _) => parse(line, reference),
        (_, Some(access)) => access.parsed(line),
        (_, None) => by_content(line, reference, false),
    }
}
