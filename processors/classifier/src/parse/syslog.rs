//! Syslog: the priority, RFC 5424, and what follows an RFC 3164 time stamp, or that of RFC 3339 in its place.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Format, Parsed, header};
use crate::scan::{at, from, holds, run_end, skip_spaces, slice, tail, token_end, trimmed};
use crate::{severity, time};

/// Longest tag, with a process id, that is looked for.
const MAX_TAG: usize = 96;
/// Fields of RFC 5424 between the version and the structured data.
const FIELDS: usize = 5;

/// Where a syslog header names host, program and process, and where the line in it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wrapped {
    from: usize,
    to: usize,
    at: usize,
}

impl Wrapped {
    /// The line that a program wrote, with its indentation.
    pub(crate) fn inner<'a>(&self, line: &'a str) -> &'a str {
        tail(line, self.at)
    }

    /// Host, program and process, as they stand in the header.
    pub(crate) fn writer<'a>(&self, line: &'a str) -> &'a str {
        slice(line, self.from, self.to)
    }
}

/// Finds the header that a syslog daemon wrote before a program's line; none where it names no program.
pub(crate) fn wrapped(line: &str) -> Option<Wrapped> {
    let bytes = line.as_bytes();
    let pos = stamp_at(line)?;
    if tail(line, pos).starts_with("1 ") {
        let (fields, fields_end) = fields(line, pos + 2)?;
        let data_end = structured_data_end(bytes, fields_end);
        let (from, to) = (fields[1].0, fields[3].1);
        // rsyslog keeps the blank that RFC 3164 has behind a tag.
        let is_kept =
            at(bytes, data_end + 1) == b' ' && !at(bytes, data_end + 2).is_ascii_whitespace();
        return Some(Wrapped { from, to, at: data_end + 1 + usize::from(is_kept) });
    }
    let stamp = time::parse_at(bytes, pos, 0, false)?;
    if !stamp.syslog && !is_zoned(bytes, pos, stamp.end) {
        return None;
    }
    let from = skip_spaces(bytes, stamp.end);
    let host_end = token_end(bytes, from);
    let has_host = at(bytes, host_end.saturating_sub(1)) != b':';
    let tag = tag(bytes, if has_host { skip_spaces(bytes, host_end) } else { from })?;
    let at = tag.end + usize::from(at(bytes, tag.end) == b' ');
    Some(Wrapped { from, to: tag.end, at })
}

/// Where the time stamp of a syslog header would begin; most lines of others end here.
fn stamp_at(line: &str) -> Option<usize> {
    let bytes = line.as_bytes();
    match at(bytes, 0) {
        b'<' => Some(priority(line)?.1),
        b'0'..=b'9' if at(bytes, 4) == b'-' && at(bytes, 10) == b'T' => Some(0),
        b'A'..=b'Z' if at(bytes, 3) == b' ' => Some(0),
        _ => None,
    }
}

/// A line of a syslog daemon with the control characters that it escaped; none where it escaped none.
pub(crate) fn unescaped(line: &str) -> Option<String> {
    let bytes = line.as_bytes();
    let is_escape = |pos: usize| at(bytes, pos + 1) == b'0' && at(bytes, pos + 2) == b'1';
    stamp_at(line)?;
    // Few lines have a number sign.
    if !holds(bytes, b'#') || !memchr::memchr_iter(b'#', bytes).any(is_escape) {
        return None;
    }
    let wrapped = wrapped(line)?;
    Some(slice(line, 0, wrapped.at).to_owned() + &octal_escapes(wrapped.inner(line)))
}

/// A message with the line feeds and tabs that rsyslog wrote as `#012` and `#011` (`escapeControlCharactersOnReceive`).
/// Behind a blank such a thing is a number: `issue #012`.
pub(crate) fn octal_escapes(message: &str) -> String {
    let bytes = message.as_bytes();
    let mut plain = String::with_capacity(message.len());
    let mut from = 0;
    for pos in memchr::memmem::find_iter(bytes, "#01") {
        let char = match at(bytes, pos + 3) {
            b'1' => '\t',
            b'2' => '\n',
            _ => continue,
        };
        if pos == from || at(bytes, pos - 1) != b' ' {
            plain.push_str(slice(message, from, pos));
            plain.push(char);
            from = pos + 4;
        }
    }
    plain.push_str(tail(message, from));
    plain
}

/// `<PRI>` at the beginning: the priority, and where it ends.
fn priority(line: &str) -> Option<(u32, usize)> {
    let bytes = line.as_bytes();
    let digits_end = run_end(bytes, 1, |byte| byte.is_ascii_digit());
    if !(2..=4).contains(&digits_end) || at(bytes, digits_end) != b'>' {
        return None;
    }
    let priority: u32 = slice(line, 1, digits_end).parse().ok()?;
    (priority <= 191).then_some((priority, digits_end + 1))
}

/// A line that opens with `<PRI>`.
pub(super) fn with_priority(line: &str, reference: i64) -> Option<Parsed<'_>> {
    let (priority, end) = priority(line)?;
    let body = tail(line, end);
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
    let (fields, pos) = fields(rest, 0)?;
    let [stamp, host, app, process, _message_id] = fields.map(|(from, to)| {
        let field = slice(rest, from, to);
        if field == "-" { "" } else { field }
    });
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

/// The fields of RFC 5424 from `pos` on, as ranges, and where the structured data begins.
fn fields(line: &str, mut pos: usize) -> Option<([(usize, usize); FIELDS], usize)> {
    let mut fields = [(0, 0); FIELDS];
    for field in &mut fields {
        let end = token_end(line.as_bytes(), pos);
        if end <= pos {
            return None;
        }
        *field = (pos, end);
        pos = end + 1;
    }
    Some((fields, pos))
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

/// What follows a time stamp of RFC 3339 at the beginning of a line, as rsyslog and syslog-ng write it by default:
/// `host tag[pid]: message`. None where it is not certain.
pub(super) fn after_zoned_stamp(line: &str, pos: usize) -> Option<Parsed<'_>> {
    let bytes = line.as_bytes();
    if at(bytes, pos) != b' ' {
        return None;
    }
    let host_end = token_end(bytes, pos + 1);
    let host = slice(line, pos + 1, host_end);
    let tag = tag(bytes, host_end + 1)?;
    let name = slice(line, host_end + 1, tag.name_end);
    let is_host =
        host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
            && !host.bytes().all(|byte| byte.is_ascii_digit());
    if !is_host
        || severity::from_word(host.as_bytes()).is_some()
        || name.contains([' ', '[', '"', '='])
    {
        return None;
    }
    after_stamp(line, pos)
}

/// Whether `pos..end` is a time stamp of RFC 3339 with its zone.
pub(super) fn is_zoned(bytes: &[u8], pos: usize, end: usize) -> bool {
    let has_offset = || {
        end.checked_sub(6).is_some_and(|sign| matches!(at(bytes, sign), b'+' | b'-'))
            && at(bytes, end - 3) == b':'
    };
    at(bytes, pos + 4) == b'-'
        && at(bytes, pos + 10) == b'T'
        && (at(bytes, end.saturating_sub(1)) == b'Z' || has_offset())
}

/// Reads `tag[pid]: message` at `pos`; without a tag, all of it is the message.
fn with_tag<'a>(mut parsed: Parsed<'a>, line: &'a str, pos: usize) -> Option<Parsed<'a>> {
    let bytes = line.as_bytes();
    let tag_at = skip_spaces(bytes, pos);
    let Some(tag) = tag(bytes, tag_at) else {
        parsed.message = Cow::Borrowed(trimmed(tail(line, tag_at)));
        return Some(parsed);
    };
    let name = slice(line, tag_at, tag.name_end).trim_start_matches(['-', ' ']);
    parsed.service = Some(Cow::Borrowed(name));
    parsed.attribute("process", slice(line, tag.process.0, tag.process.1));
    parsed.message = Cow::Borrowed(trimmed(tail(line, tag.end)));
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
