//! logfmt: `time=… level=… msg="…" key=value`.

use std::borrow::Cow;

use super::{Format, Parsed};
use crate::scan::{Bytes, at, from, run_end, skip_spaces, slice};
use crate::{severity, time};

/// A line of pairs from its first byte on, among which a message or both a time and a level.
pub(super) fn parse(line: &str, reference: i64) -> Option<Parsed<'_>> {
    let bytes = line.as_bytes();
    if !at(bytes, 0).is_ascii_alphabetic() || !looks_like_pairs(bytes) {
        return None;
    }
    let parsed = pairs(line, reference)?;
    let has_header = parsed.timestamp.is_some() && parsed.severity.is_some();
    let has_message = !std::ptr::eq(parsed.message.as_ref(), line);
    let is_told = parsed.timestamp.is_some() || parsed.severity.is_some();
    (has_header || (has_message && is_told)).then_some(parsed)
}

/// The pairs of a line that is known to hold some; without a message, the line is its own.
pub(super) fn pairs(line: &str, reference: i64) -> Option<Parsed<'_>> {
    let bytes = line.as_bytes();
    let mut parsed = Parsed { format: Format::Logfmt, ..Parsed::default() };
    let mut message: Option<Cow<'_, str>> = None;
    let mut found = false;
    let mut pos = 0;
    while pos < bytes.len() {
        let key_end = run_end(bytes, pos, |byte| KEY.has(byte));
        if key_end == pos || at(bytes, key_end) != b'=' {
            // Not a pair: a stray word is passed over.
            pos = skip_spaces(bytes, crate::scan::token_end(bytes, pos));
            continue;
        }
        found = true;
        let key = slice(line, pos, key_end);
        let (value, end) = value(line, key_end + 1);
        field(&mut parsed, &mut message, key, value, reference);
        pos = skip_spaces(bytes, end);
    }
    found.then(|| {
        parsed.message = message.unwrap_or(Cow::Borrowed(line));
        parsed
    })
}

/// The first token is a pair whose key is one that such lines open with, or a message follows.
fn looks_like_pairs(bytes: &[u8]) -> bool {
    let key_end = run_end(bytes, 0, |byte| KEY.has(byte));
    if at(bytes, key_end) != b'=' {
        return false;
    }
    memchr::memmem::find(bytes, b" msg=").is_some()
        || memchr::memmem::find(bytes, b" message=").is_some()
        || memchr::memmem::find(bytes, b"level=").is_some()
        || memchr::memmem::find(bytes, b"lvl=").is_some()
}

fn field<'a>(
    parsed: &mut Parsed<'a>,
    message: &mut Option<Cow<'a, str>>,
    key: &'a str,
    value: Cow<'a, str>,
    reference: i64,
) {
    match key {
        "time" | "ts" | "t" | "timestamp" => {
            parsed.timestamp = time::parse_whole(&value, reference).or(parsed.timestamp);
        }
        "level" | "lvl" | "severity" => parsed.severity = severity::from_word(value.as_bytes()),
        "msg" | "message" => *message = Some(value),
        "service" | "app" => parsed.service = Some(value),
        "logger" | "component" | "caller" => parsed.attributes.push(("logger", value)),
        "host" | "hostname" => parsed.attributes.push(("host", value)),
        "trace_id" | "traceID" | "traceId" => parsed.attributes.push(("trace_id", value)),
        "span_id" | "spanID" | "spanId" => parsed.attributes.push(("span_id", value)),
        "status" => parsed.attributes.push(("http_status", value)),
        "err" | "error" => parsed.error_message = Some(value),
        "stack" | "stacktrace" | "stack_trace" => parsed.stack = Some(value),
        _ => {}
    }
}

/// The value at `pos`, quoted with `\` escapes or bare, and where it ends.
fn value(line: &str, pos: usize) -> (Cow<'_, str>, usize) {
    let bytes = line.as_bytes();
    if at(bytes, pos) != b'"' {
        let end = crate::scan::token_end(bytes, pos);
        return (Cow::Borrowed(slice(line, pos, end)), end);
    }
    let mut end = pos + 1;
    let mut escaped = false;
    while let Some(found) = memchr::memchr2(b'"', b'\\', from(bytes, end)) {
        end += found;
        if at(bytes, end) == b'"' {
            break;
        }
        escaped = true;
        end += 2;
    }
    let close = if at(bytes, end) == b'"' { end } else { bytes.len() };
    let raw = slice(line, pos + 1, close);
    let text = if escaped { Cow::Owned(unescape(raw)) } else { Cow::Borrowed(raw) };
    (text, (close + 1).min(bytes.len()))
}

fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(char) = chars.next() {
        match (char, char == '\\') {
            (_, true) => match chars.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('r') => {}
                Some(other) => text.push(other),
                None => {}
            },
            (other, false) => text.push(other),
        }
    }
    text
}

/// The bytes of a key.
static KEY: Bytes = Bytes::alphanumeric_or(b"_.-@");
