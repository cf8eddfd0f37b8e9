//! Syslog: the priority, RFC 5424, and what follows an RFC 3164 time stamp.

use std::borrow::Cow;

use super::{Format, Parsed, header};
use crate::scan::{at, from, run_end, skip_spaces, slice, tail, token_end};
use crate::{severity, time};

/// Longest tag, with a process id, that is looked for.
const MAX_TAG: usize = 96;

/// A line that opens with `<PRI>`.
pub(super) fn with_priority(line: &str, reference: i64) -> Option<Parsed<'_>> {
    let bytes = line.as_bytes();
    let digits_end = run_end(bytes, 1, |byte| byte.is_ascii_digit());
    if !(2..=4).contains(&digits_end) || at(bytes, digits_end) != b'>' {
        return None;
    }
    let priority: u32 = slice(line, 1, digits_end).parse().ok()?;
    if priority > 191 {
        return None;
    }
    let body = tail(line, digits_end + 1);
    let mut parsed = match version_1(body, reference) {
        Some(parsed) => parsed,
        None => header::parse(body, reference),
    };
    parsed.format = Format::Syslog;
    parsed.severity = Some(severity::from_syslog(priority));
    Some(parsed)
}

/// RFC 5424, section 6: `1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG`.
fn version_1(body: &str, reference: i64) -> Option<Parsed<'_>> {
    let rest = body.strip_prefix("1 ")?;
    let bytes = rest.as_bytes();
    let mut parsed = Parsed { format: Format::Syslog, ..Parsed::default() };
    let mut pos = 0;
    let mut fields = [""; 5];
    for field in &mut fields {
        let end = token_end(bytes, pos);
        *field = slice(rest, pos, end);
        if field.is_empty() {
            return None;
        }
        pos = end + 1;
    }
    let [stamp, host, app, process, _message_id] =
        fields.map(|field| if field == "-" { "" } else { field });
    parsed.timestamp = time::parse_whole(stamp, reference);
    if parsed.timestamp.is_none() && !stamp.is_empty() {
        return None;
    }
    parsed.attribute("host", host);
    parsed.attribute("process", process);
    if !app.is_empty() {
        parsed.service = Some(Cow::Borrowed(app));
    }
    let message_at = skip_spaces(bytes, structured_data_end(bytes, pos));
    parsed.message = Cow::Borrowed(tail(rest, message_at).trim_start_matches('\u{feff}').trim());
    Some(parsed)
}

/// Passes over `-` or `[id name="value" …][…]`, in which `\` escapes.
fn structured_data_end(bytes: &[u8], mut pos: usize) -> usize {
    if at(bytes, pos) != b'[' {
        return token_end(bytes, pos);
    }
    let mut quoted = false;
    while pos < bytes.len() {
        match at(bytes, pos) {
            b'\\' if quoted => pos += 1,
            b'"' => quoted = !quoted,
            b']' if !quoted && at(bytes, pos + 1) != b'[' => return pos + 1,
            _ => {}
        }
        pos += 1;
    }
    bytes.len()
}

/// What follows an RFC 3164 time stamp: `host tag[pid]: message`. None where no host name follows.
pub(super) fn after_stamp(line: &str, pos: usize) -> Option<Parsed<'_>> {
    let bytes = line.as_bytes();
    let host_at = skip_spaces(bytes, pos);
    let host_end = token_end(bytes, host_at);
    let host = slice(line, host_at, host_end);
    let is_level = severity::from_word(host.trim_matches(['[', ']', ':']).as_bytes()).is_some();
    if host.is_empty() || is_level || !host.bytes().all(is_host_byte) {
        return None;
    }
    let mut parsed = Parsed { format: Format::Syslog, ..Parsed::default() };
    if host.ends_with(':') {
        // No host: the token is the tag.
        return with_tag(parsed, line, host_at);
    }
    parsed.attribute("host", host);
    with_tag(parsed, line, host_end)
}

/// Reads `tag[pid]: message` at `pos`; without a tag, all of it is the message.
fn with_tag<'a>(mut parsed: Parsed<'a>, line: &'a str, pos: usize) -> Option<Parsed<'a>> {
    let bytes = line.as_bytes();
    let tag_at = skip_spaces(bytes, pos);
    let Some(tag) = tag(bytes, tag_at) else {
        parsed.message = Cow::Borrowed(tail(line, tag_at).trim());
        return Some(parsed);
    };
    let name = slice(line, tag_at, tag.name_end).trim_start_matches(['-', ' ']);
    parsed.service = Some(Cow::Borrowed(name));
    parsed.attribute("process", slice(line, tag.process.0, tag.process.1));
    parsed.message = Cow::Borrowed(tail(line, tag.end).trim());
    Some(parsed)
}

struct Tag {
    name_end: usize,
    process: (usize, usize),
    end: usize,
}

/// A tag at `pos`: at most a name and one more word, a process id in brackets perhaps, a note in
/// round brackets perhaps, and a colon before a space.
fn tag(bytes: &[u8], pos: usize) -> Option<Tag> {
    let highest = bytes.len().min(pos + MAX_TAG);
    let window = bytes.get(..highest)?;
    let colon = colon_before_space(window, pos)?;
    let before = window.get(pos..colon)?;
    let mut words = before.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let count = words.clone().count();
    let last = words.next_back()?;
    let note = last.first() == Some(&b'(');
    let versioned = last.first().is_some_and(u8::is_ascii_digit);
    let closed = last.last() == Some(&b']');
    if !(count == 1 || (count == 2 && (note || versioned || closed)) || (count == 3 && closed)) {
        return None;
    }
    let (mut name_end, mut process) = (colon, (0, 0));
    let searched = window.get(pos..colon)?;
    if let Some(open) = memchr::memchr(b'[', searched) {
        let digits_at = pos + open + 1;
        let digits_end =
            run_end(window, digits_at, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if at(window, digits_end) == b']' {
            name_end = pos + open;
            process = (digits_at, digits_end);
        }
    } else if let Some(space) = memchr::memchr(b' ', searched) {
        name_end = if versioned || note { pos + space } else { colon };
    }
    Some(Tag { name_end, process, end: colon + 1 })
}

/// The first colon at or after `pos` with a space, or nothing, behind it.
fn colon_before_space(window: &[u8], pos: usize) -> Option<usize> {
    let mut colon = pos;
    loop {
        colon += memchr::memchr(b':', from(window, colon))?;
        if matches!(at(window, colon + 1), b' ' | b'\t' | 0) {
            return Some(colon);
        }
        colon += 1;
    }
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'/' | b'#' | b'@')
}
