//! The header of a line of text: time stamps, severity, process, thread, component, in any order
//! and punctuation. One walk over the leading items; the message begins behind the last item that
//! is certain to belong to the header.

mod items;

use std::borrow::Cow;

use hephaestus_schemas::Severity;

use super::{Format, Parsed, syslog};
use crate::scan::{at, run_end, skip_spaces, slice, tail, token_end, trimmed};
use crate::{severity, time};
use items::{LABEL, is_component_byte_plain};

/// Items before the first time stamp that are looked at.
const MAX_LEAD: usize = 6;
/// Labels after which words before a time stamp are columns.
const MIN_LABELS: usize = 2;
/// Digits of seconds since 1970.
const EPOCH_DIGITS: usize = 10;
/// Items behind it.
const MAX_ITEMS: usize = 14;
/// Words between the time stamp and the severity that belong to neither.
const MAX_FILLER: u32 = 4;
/// Longest group in brackets.
const MAX_GROUP: usize = 200;
/// Longest component.
const MAX_COMPONENT: usize = 128;

/// Reads a line; without a header, all of it is the message.
pub(super) fn parse(line: &str, reference: i64) -> Parsed<'_> {
    let mut walk = Walk::new(line, reference);
    if !may_open_header(line.as_bytes()) || !walk.lead() {
        let message = line.trim_end();
        let severity = severity::hint(message);
        return Parsed { message: Cow::Borrowed(message), severity, ..Parsed::default() };
    }
    if let Some(parsed) = walk.after_syslog_stamp() {
        return parsed;
    }
    walk.items();
    walk.after_syslog_stamp().unwrap_or_else(|| walk.finish())
}

/// Reads a line that opens with a time stamp, of a day and a time, in brackets perhaps, or as klog's lines do.
pub(super) fn stamped(line: &str, reference: i64) -> Option<Parsed<'_>> {
    let bytes = line.as_bytes();
    let start = usize::from(at(bytes, 0) == b'[');
    let is_stamped = match at(bytes, start) {
        b'0'..=b'9' | b'A'..=b'Z' => time::parse_at(bytes, start, reference, false)
            .is_some_and(|stamp| stamp.dated && stamp.clocked),
        _ => return None,
    };
    let is_klog = || {
        severity::from_letter(at(bytes, 0)).is_some()
            && time::klog_at(bytes, 1, reference).is_some()
    };
    (is_stamped || is_klog()).then(|| parse(line, reference))
}

/// A cheap look at the first byte: most lines without a header end here.
fn may_open_header(bytes: &[u8]) -> bool {
    let first = at(bytes, 0);
    first.is_ascii_alphanumeric() || matches!(first, b'[' | b'-' | b'(' | b'<' | b'*' | b'#' | b'"')
}

struct Walk<'a> {
    line: &'a str,
    bytes: &'a [u8],
    reference: i64,
    pos: usize,
    /// Everything before it belongs to the header.
    committed: usize,
    timestamp: Option<i64>,
    syslog: bool,
    /// The stamp opens the line, and is one of RFC 3339 with its zone.
    zoned: bool,
    severity: Option<Severity>,
    component: Option<(usize, usize)>,
    thread: Option<(usize, usize)>,
    process: Option<(usize, usize)>,
    numbers: u32,
    fillers: u32,
    /// Kinds of the item before this one.
    after_component: bool,
    after_separator: bool,
    after_dash: bool,
    /// The severity was one letter, as Android writes it.
    letter: bool,
}

impl<'a> Walk<'a> {
    fn new(line: &'a str, reference: i64) -> Self {
        Self {
            line,
            bytes: line.as_bytes(),
            reference,
            pos: 0,
            committed: 0,
            timestamp: None,
            syslog: false,
            zoned: false,
            severity: None,
            component: None,
            thread: None,
            process: None,
            numbers: 0,
            fillers: 0,
            after_component: false,
            after_separator: false,
            after_dash: false,
            letter: false,
        }
    }

    /// What follows a time stamp of syslog's form, where the walk has just passed one.
    fn after_syslog_stamp(&mut self) -> Option<Parsed<'a>> {
        let is_zoned = std::mem::take(&mut self.zoned);
        let mut parsed = if std::mem::take(&mut self.syslog) {
            syslog::after_stamp(self.line, self.pos)?
        } else if is_zoned {
            syslog::after_zoned_stamp(self.line, self.pos)?
        } else {
            return None;
        };
        parsed.timestamp = self.timestamp;
        parsed.severity = self.severity.or_else(|| severity::hint(&parsed.message));
        Some(parsed)
    }

    /// Finds the first time stamp or severity. What may stand before a time stamp holds a digit or
    /// a dot, or is a dash: words of prose do not.
    fn lead(&mut self) -> bool {
        // Behind two labels words may be columns too, if they end in seconds since 1970.
        let mut labels = 0;
        let mut words = 0;
        for index in 0..MAX_LEAD {
            self.pos = skip_spaces(self.bytes, self.pos);
            if words > 0 && !at(self.bytes, self.pos).is_ascii_digit() {
                // Only an epoch is looked for.
            } else if words > 0 {
                let end = run_end(self.bytes, self.pos, |byte| byte.is_ascii_digit());
                return end == self.pos + EPOCH_DIGITS && self.stamp(true);
            } else if self.stamp(true) {
                return true;
            }
            if index == 0 && (self.klog() || self.ruby() || self.leading_severity()) {
                return true;
            }
            let end = token_end(self.bytes, self.pos);
            let token = self.bytes.get(self.pos..end).unwrap_or(&[]);
            if index == 0 && is_word_of_capitals(token) && self.stamp_follows(end) {
                self.pos = end;
                continue;
            }
            let is_dash = token == b"-";
            let is_label = token.iter().any(|byte| byte.is_ascii_digit() || *byte == b'.')
                && token.last().is_some_and(|last| last.is_ascii_alphanumeric() || *last == b'#');
            let is_label = is_label && token.iter().all(|byte| LABEL.has(*byte));
            let is_word = labels >= MIN_LABELS && token.iter().all(|byte| is_column_byte(*byte));
            if token.is_empty() || !(is_dash || is_label || is_word) {
                return false;
            }
            labels += usize::from(is_label);
            words += usize::from(!is_dash && !is_label);
            self.pos = end;
        }
        false
    }

    /// Whether a time stamp with a day is the next item behind `end`.
    fn stamp_follows(&self, end: usize) -> bool {
        let start = skip_spaces(self.bytes, end);
        time::parse_at(self.bytes, start, self.reference, true)
            .is_some_and(|stamp| stamp.dated && matches!(at(self.bytes, stamp.end), b' ' | b'\t'))
    }

    /// A time stamp at the position, in brackets perhaps.
    fn stamp(&mut self, leading: bool) -> bool {
        let opened = matches!(at(self.bytes, self.pos), b'[' | b'(' | b'"');
        let start = self.pos + usize::from(opened);
        // A bare number is a time only before any other; behind, it is a process or a value.
        let epochs = leading;
        let Some(stamp) = time::parse_at(self.bytes, start, self.reference, epochs) else {
            return false;
        };
        let next = at(self.bytes, stamp.end);
        if next.is_ascii_alphanumeric() || next == b'%' || next == b'/' {
            return false;
        }
        if self.timestamp.is_some() && !stamp.dated {
            return false;
        }
        // The later stamp of a line is the finer one, unless it is but a day.
        if stamp.clocked || self.timestamp.is_none() {
            self.timestamp = Some(stamp.micros);
        }
        self.syslog = stamp.syslog && !opened;
        self.zoned = start == 0 && syslog::is_zoned(self.bytes, 0, stamp.end);
        self.pos = stamp.end;
        if opened && matches!(at(self.bytes, self.pos), b']' | b')' | b'"') {
            self.pos += 1;
        }
        self.commit();
        true
    }

    fn commit(&mut self) {
        self.committed = self.pos;
        self.after_component = false;
    }

    /// `I0102 15:04:05.678901   12345 file.go:123] message`.
    fn klog(&mut self) -> bool {
        let Some(severity) = severity::from_letter(at(self.bytes, self.pos)) else { return false };
        let Some(stamp) = time::klog_at(self.bytes, self.pos + 1, self.reference) else {
            return false;
        };
        self.timestamp = Some(stamp.micros);
        self.severity = Some(severity);
        self.pos = stamp.end;
        self.commit();
        let process_at = skip_spaces(self.bytes, self.pos);
        let process_end = run_end(self.bytes, process_at, |byte| byte.is_ascii_digit());
        let place_at = skip_spaces(self.bytes, process_end);
        let place_end = token_end(self.bytes, place_at);
        if at(self.bytes, place_end.saturating_sub(1)) == b']' {
            self.process = Some((process_at, process_end));
            self.component = Some((place_at, place_end - 1));
            self.pos = place_end;
            self.commit();
        }
        true
    }

    /// `E, [2024-01-01T10:00:00.123456 #17] ERROR -- program: message`, as Ruby's `Logger::Formatter` writes it.
    fn ruby(&mut self) -> bool {
        let start = self.pos;
        let Some(severity) = severity::from_letter(at(self.bytes, start)) else { return false };
        if slice(self.line, start + 1, start + 4) != ", [" {
            return false;
        }
        let Some(stamp) = time::parse_at(self.bytes, start + 4, self.reference, false) else {
            return false;
        };
        let process_at = stamp.end + 2;
        let process_end = run_end(self.bytes, process_at, |byte| byte.is_ascii_digit());
        let behind = tail(self.line, process_end);
        let Some(dashes) = behind.find(" -- ").filter(|_| behind.starts_with("] ")) else {
            return false;
        };
        let program_at = process_end + dashes + 4;
        let Some(colon) = tail(self.line, program_at).find(": ") else { return false };
        self.timestamp = Some(stamp.micros);
        self.severity = Some(severity);
        self.process = Some((process_at, process_end));
        self.component = Some((program_at, program_at + colon));
        self.pos = program_at + colon + 2;
        self.commit();
        true
    }

    /// A line that opens with its severity: `ERROR:root:…`, `[error] …`, `WARN  - …`, `INFO: …`.
    fn leading_severity(&mut self) -> bool {
        let start = self.pos;
        let opened = at(self.bytes, start) == b'[';
        let word_at = start + usize::from(opened);
        let end = run_end(self.bytes, word_at, |byte| byte.is_ascii_alphabetic());
        let word = self.bytes.get(word_at..end).unwrap_or(&[]);
        let Some(severity) = severity::from_word(word) else { return false };
        let next = at(self.bytes, end);
        let upper = word.iter().all(u8::is_ascii_uppercase);
        let closed =
            if opened { next == b']' } else { upper && matches!(next, b':' | b' ' | b'|' | b'\t') };
        if !closed {
            return false;
        }
        self.severity = Some(severity);
        self.pos = end + usize::from(next != b' ' && next != b'\t');
        self.commit();
        // Python's default: `ERROR:root:message`.
        if next == b':' && !opened {
            let name_end = run_end(self.bytes, self.pos, is_component_byte_plain);
            if name_end > self.pos && at(self.bytes, name_end) == b':' {
                self.component = Some((self.pos, name_end));
                self.pos = name_end + 1;
                self.commit();
            }
        }
        true
    }

    fn finish(mut self) -> Parsed<'a> {
        self.pos = self.committed;
        self.separators();
        // Brackets and dashes that open the message are the message's own.
        let message = trimmed(tail(self.line, self.pos));
        let mut parsed = Parsed { format: Format::Headed, ..Parsed::default() };
        parsed.timestamp = self.timestamp;
        parsed.message = Cow::Borrowed(message);
        parsed.severity = self.severity.or_else(|| severity::hint(message));
        let within = |range: Option<(usize, usize)>| match range {
            Some((start, end)) if end <= self.committed => trimmed(slice(self.line, start, end)),
            _ => "",
        };
        parsed.attribute("logger", within(self.component));
        parsed.attribute("thread", within(self.thread));
        parsed.attribute("process", within(self.process));
        parsed
    }
}

/// Whether a byte may stand in a word of a column.
fn is_column_byte(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

/// Whether a word is a label rather than prose, such as the kind of an alert in a column of its own.
fn is_word_of_capitals(word: &[u8]) -> bool {
    word.len() >= 2
        && word.iter().any(u8::is_ascii_uppercase)
        && word.iter().all(|byte| {
            byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-')
        })
}

#[cfg(test)]
mod tests;
