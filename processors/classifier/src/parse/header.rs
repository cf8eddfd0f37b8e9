//! The header of a line of text: time stamps, severity, process, thread, component, in any order
//! and punctuation. One walk over the leading items; the message begins behind the last item that
//! is certain to belong to the header.

use std::borrow::Cow;

use hephaestus_schemas::Severity;

use super::{Format, Parsed, syslog};
use crate::scan::{at, run_end, skip_spaces, slice, tail, token_end};
use crate::{severity, time};

/// Items before the first time stamp that are looked at.
const MAX_LEAD: usize = 6;
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
    let plain = Parsed { message: Cow::Borrowed(line.trim_end()), ..Parsed::default() };
    if !may_open_header(line.as_bytes()) {
        return plain;
    }
    let mut walk = Walk::new(line, reference);
    if !walk.lead() {
        return plain;
    }
    if walk.syslog {
        if let Some(mut parsed) = syslog::after_stamp(line, walk.pos) {
            parsed.timestamp = walk.timestamp;
            parsed.severity = severity::hint(&parsed.message);
            return parsed;
        }
    }
    walk.items();
    walk.finish()
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

    /// Finds the first time stamp or severity. What may stand before a time stamp holds a digit or
    /// a dot, or is a dash: words of prose do not.
    fn lead(&mut self) -> bool {
        for index in 0..MAX_LEAD {
            self.pos = skip_spaces(self.bytes, self.pos);
            if self.stamp(true) {
                return true;
            }
            if index == 0 && (self.klog() || self.leading_severity()) {
                return true;
            }
            let end = token_end(self.bytes, self.pos);
            let token = self.bytes.get(self.pos..end).unwrap_or(&[]);
            let is_dash = token == b"-";
            let is_label = token.iter().any(|byte| byte.is_ascii_digit() || *byte == b'.')
                && token.last().is_some_and(|last| last.is_ascii_alphanumeric() || *last == b'#');
            let is_label = is_label && token.iter().all(|byte| is_label_byte(*byte));
            if token.is_empty() || !(is_dash || is_label) {
                return false;
            }
            self.pos = end;
        }
        false
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

    fn items(&mut self) {
        for _ in 0..MAX_ITEMS {
            self.separators();
            if self.pos >= self.bytes.len() || !self.item() {
                return;
            }
        }
    }

    /// Passes over spaces and single marks between items.
    fn separators(&mut self) {
        self.after_separator = false;
        self.after_dash = false;
        loop {
            self.pos = skip_spaces(self.bytes, self.pos);
            let mark = at(self.bytes, self.pos);
            let end = run_end(self.bytes, self.pos, |byte| byte == b'-');
            let dashes = end - self.pos;
            if (1..=3).contains(&dashes) && matches!(at(self.bytes, end), b' ' | 0) {
                self.pos = end;
                self.after_dash = true;
            } else if matches!(mark, b'|' | b',' | b']')
                || (mark == b':' && matches!(at(self.bytes, self.pos + 1), b' ' | b'|' | 0))
            {
                self.pos += 1;
            } else {
                return;
            }
            self.after_separator = true;
        }
    }

    /// One item; false where the message begins.
    fn item(&mut self) -> bool {
        if self.component.is_none() && self.severity.is_none() && self.stamp(false) {
            return true;
        }
        if self.timestamp.is_none() && self.stamp(true) {
            return true;
        }
        if at(self.bytes, self.pos) == b'[' {
            return self.group();
        }
        let end = self.item_end();
        self.severity_item(end)
            || self.number_item(end)
            || self.component_item(end)
            || self.filler_item(end)
    }

    /// The item's end: a space or a bar.
    fn item_end(&self) -> usize {
        let end = token_end(self.bytes, self.pos);
        let token = self.bytes.get(self.pos..end).unwrap_or(&[]);
        memchr::memchr(b'|', token).map_or(end, |bar| self.pos + bar)
    }

    fn severity_item(&mut self, end: usize) -> bool {
        if self.severity.is_some() {
            return false;
        }
        let word_end = run_end(self.bytes, self.pos, |byte| byte.is_ascii_alphabetic());
        let word = self.bytes.get(self.pos..word_end).unwrap_or(&[]);
        let next = at(self.bytes, word_end);
        if word.len() == 1 {
            return self.letter_item(end, word_end, next);
        }
        if word_end != end && !matches!(next, b':' | b',' | b'|' | b']') {
            return false;
        }
        let Some(severity) = severity::from_word(word) else { return false };
        let upper = word.iter().all(u8::is_ascii_uppercase);
        let aligned = next == b'\t' || (next == b' ' && at(self.bytes, word_end + 1) == b' ');
        let marked = matches!(next, b':' | b'|' | b']') || self.after_separator || aligned;
        if !upper && !marked {
            return false;
        }
        self.severity = Some(severity);
        self.pos = word_end + usize::from(matches!(next, b':' | b',' | b'|' | b']'));
        self.commit();
        true
    }

    /// `1702  2395 D WindowManager: …` (Android), where numbers stand before the letter.
    fn letter_item(&mut self, end: usize, word_end: usize, next: u8) -> bool {
        let slashed = next == b'/';
        if !(slashed || (self.numbers > 0 && word_end == end)) {
            return false;
        }
        let Some(severity) = severity::from_letter(at(self.bytes, self.pos)) else { return false };
        self.severity = Some(severity);
        self.letter = true;
        self.pos = word_end + usize::from(slashed);
        self.commit();
        true
    }

    /// A number: a process or thread id, certain only when more of the header follows.
    fn number_item(&mut self, end: usize) -> bool {
        let digits_end =
            run_end(self.bytes, self.pos, |byte| byte.is_ascii_digit() || byte == b'#');
        let marked = at(self.bytes, digits_end) == b':' && digits_end + 1 == end;
        if digits_end == self.pos || !(digits_end == end || marked) || self.numbers >= 3 {
            return false;
        }
        self.numbers += 1;
        let first = self.process.is_none();
        if first {
            self.process = Some((self.pos, digits_end));
        } else if self.thread.is_none() {
            self.thread = Some((self.pos, digits_end));
        }
        self.pos = end;
        self.after_component = false;
        let barred = at(self.bytes, end) == b'|';
        let dashed = self.bytes.get(end..end + 4).is_some_and(|next| next == b" ---");
        if marked || barred || dashed {
            self.committed = end;
        }
        true
    }

    /// A group in brackets: thread, process, request ids.
    fn group(&mut self) -> bool {
        let Some(close) = closing_bracket(self.bytes, self.pos) else { return false };
        let content = slice(self.line, self.pos + 1, close);
        let trimmed = content.trim();
        if self.severity.is_none() {
            let word = trimmed.rsplit(':').next().unwrap_or("");
            if let Some(severity) = severity::from_word(word.as_bytes()) {
                self.severity = Some(severity);
                self.pos = close + 1;
                self.commit();
                return true;
            }
        }
        let end = close + 1;
        let next = at(self.bytes, end);
        let client = trimmed.starts_with("client ");
        if client || self.numbers_of_groups() >= 4 {
            return false;
        }
        let behind = skip_spaces(self.bytes, end);
        let dashed = at(self.bytes, behind) == b'-' && at(self.bytes, behind + 1) == b' ';
        let colon = next == b':' && at(self.bytes, end + 1) == b' ';
        let one_word = !trimmed.is_empty() && !trimmed.contains(' ');
        let follows_component = self.after_component;
        let range = (self.pos + 1, close);
        if self.thread.is_none() {
            self.thread = Some(range);
        }
        self.pos = end + usize::from(colon);
        self.fillers += 1;
        if dashed || colon || one_word || follows_component || trimmed.starts_with("pid ") {
            self.commit();
        }
        true
    }

    /// Groups and stray words share one bound.
    fn numbers_of_groups(&self) -> u32 {
        self.fillers
    }

    /// A component: a logger, a class, a tag, a source file.
    fn component_item(&mut self, end: usize) -> bool {
        if self.component.is_some() || end - self.pos > MAX_COMPONENT {
            return false;
        }
        let token = slice(self.line, self.pos, end);
        let bytes = token.as_bytes();
        let first = bytes.first().copied().unwrap_or(0);
        let program = first.is_ascii_digit()
            && bytes.iter().any(u8::is_ascii_alphabetic)
            && !bytes.contains(&b':');
        if !(first.is_ascii_alphabetic() || first == b'_' || program) {
            return false;
        }
        let next = at(self.bytes, end);
        let (name, colon) = match token.strip_suffix(':') {
            Some(name) => (name, true),
            None => (token.trim_end_matches(']'), false),
        };
        if !name.bytes().all(is_component_byte) {
            return false;
        }
        let next_at = skip_spaces(self.bytes, end);
        let aligned = next == b' ' && next_at > end + 1;
        // A note on the component, such as `*64`.
        let note = if colon { next_at } else { note_end(self.bytes, next_at) };
        let behind = skip_spaces(self.bytes, note);
        let mark = at(self.bytes, behind);
        let dashed = mark == b'-' && at(self.bytes, behind + 1) == b' ';
        let coloned = mark == b':' && at(self.bytes, behind + 1) == b' ';
        let barred = next == b'|';
        let closed = token.ends_with(']') && !token.contains('[');
        let technical = is_technical(name);
        let certain = if colon {
            (technical && (self.severity.is_some() || has_place(name)))
                || (self.letter && !name.is_empty())
        } else if barred || closed {
            true
        } else if (dashed || coloned) && self.severity.is_some() && self.after_dash {
            // Behind `… - ` the message has begun, unless a logger's name says otherwise.
            technical
        } else if dashed || coloned {
            technical || self.severity.is_some() || self.after_separator || self.timestamp.is_some()
        } else {
            aligned && self.severity.is_some() && self.after_severity_alignment()
        };
        if certain {
            self.component = Some((self.pos, self.pos + name.len()));
            self.pos = if dashed { note } else { end };
            self.commit();
            return true;
        }
        let followed_by_group = mark == b'[' && technical && self.severity.is_some() && !colon;
        if followed_by_group {
            self.component = Some((self.pos, self.pos + name.len()));
            self.pos = end;
            self.after_component = true;
            return true;
        }
        false
    }

    /// Whether the severity stood in a column of its own, so that the next word may as well:
    /// `Info                  CBS    Loaded …`.
    fn after_severity_alignment(&self) -> bool {
        self.pos >= self.committed + 2
    }

    /// A word between the time stamp and the severity, such as a node's or a facility's name: no
    /// word of prose.
    fn filler_item(&mut self, end: usize) -> bool {
        if self.severity.is_some() || self.timestamp.is_none() || self.fillers >= MAX_FILLER {
            return false;
        }
        let token = self.bytes.get(self.pos..end).unwrap_or(&[]);
        let separated = {
            let behind = skip_spaces(self.bytes, end);
            at(self.bytes, end) == b'|'
                || (at(self.bytes, behind) == b'-' && at(self.bytes, behind + 1) == b' ')
        };
        let prose = token.iter().any(u8::is_ascii_lowercase)
            && !token
                .iter()
                .any(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b':' | b'/'));
        let closes = token
            .last()
            .is_some_and(|last| matches!(last, b'.' | b',' | b';' | b'!' | b'?' | b':'));
        let marks = token.iter().all(|byte| is_label_byte(*byte));
        if (prose && !separated) || closes || !marks {
            return false;
        }
        self.fillers += 1;
        self.pos = end;
        self.after_component = false;
        true
    }

    fn finish(mut self) -> Parsed<'a> {
        self.pos = self.committed;
        self.separators();
        // Brackets and dashes that open the message are the message's own.
        let message = tail(self.line, self.pos).trim();
        let mut parsed = Parsed { format: Format::Headed, ..Parsed::default() };
        parsed.timestamp = self.timestamp;
        parsed.message = Cow::Borrowed(message);
        parsed.severity = self.severity.or_else(|| severity::hint(message));
        let within = |range: Option<(usize, usize)>| match range {
            Some((start, end)) if end <= self.committed => slice(self.line, start, end).trim(),
            _ => "",
        };
        parsed.attribute("logger", within(self.component));
        parsed.attribute("thread", within(self.thread));
        parsed.attribute("process", within(self.process));
        parsed
    }
}

/// The bracket that closes the one at `open`, over nested ones.
fn closing_bracket(bytes: &[u8], open: usize) -> Option<usize> {
    let mut depth = 0u32;
    let highest = bytes.len().min(open + MAX_GROUP);
    for pos in open..highest {
        match at(bytes, pos) {
            b'[' => depth += 1,
            b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(pos);
                }
            }
            _ => {}
        }
    }
    None
}

/// The end of a short word without letters at `pos`, or `pos` where another stands there.
fn note_end(bytes: &[u8], pos: usize) -> usize {
    const MAX_NOTE: usize = 6;
    let end = token_end(bytes, pos);
    let word = bytes.get(pos..end).unwrap_or(&[]);
    let opens = matches!(word.first(), Some(b'*' | b'#' | b'('));
    let letters = word.iter().any(u8::is_ascii_alphabetic);
    if opens && !letters && word.len() <= MAX_NOTE { end } else { pos }
}

fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'.' | b'-' | b'_' | b':' | b'/' | b'#' | b'@' | b'+')
}

fn is_component_byte_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'/')
}

fn is_component_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'_' | b'.'
                | b'$'
                | b'-'
                | b'/'
                | b':'
                | b'('
                | b')'
                | b'['
                | b']'
                | b'@'
                | b'#'
                | b'<'
                | b'>'
                | b'*'
        )
}

/// Whether a word looks like the name of a logger, class or module rather than like prose.
fn is_technical(name: &str) -> bool {
    let bytes = name.as_bytes();
    let inner = bytes.get(1..).unwrap_or(&[]);
    let marked = inner
        .iter()
        .any(|byte| matches!(byte, b'.' | b'$' | b'_' | b'/' | b'[' | b':' | b'@' | b'-'));
    let humps = bytes
        .windows(2)
        .filter(|pair| matches!(pair, [a, b] if a.is_ascii_lowercase() && b.is_ascii_uppercase()))
        .count();
    let ends_well = bytes
        .last()
        .is_some_and(|last| last.is_ascii_alphanumeric() || matches!(last, b')' | b']' | b'>'));
    // A host and port, or an address, is a value.
    let value = bytes.first().is_some_and(u8::is_ascii_digit)
        && (bytes.contains(&b':') || !bytes.iter().any(u8::is_ascii_alphabetic));
    ends_well && !value && (marked || humps >= 1)
}

/// Whether a name carries a source position or a process id, as `main.go:23` and `sshd[12]` do.
fn has_place(name: &str) -> bool {
    let last = name.as_bytes().last().copied().unwrap_or(0);
    last == b']' || (last.is_ascii_digit() && name.contains(':') && name.contains('.'))
}

#[cfg(test)]
mod tests {
    use hephaestus_schemas::Severity::{self, Debug, Error, Info, Warn};

    use crate::parse::parse;

    /// 2024-06-15T12:00:00Z.
    const REFERENCE: i64 = 1_718_452_800_000_000;

    #[test]
    fn finds_the_message_behind_common_headers() {
        let cases: [(&str, Option<Severity>, &str); 35] = [
            (
                "17/06/09 20:10:40 INFO executor.CoarseGrainedExecutorBackend: Registered signal handlers for [TERM]",
                Some(Info),
                "Registered signal handlers for [TERM]",
            ),
            (
                "- 1117838570 2005.06.03 R02-M1-N0-C:J12-U11 2005-06-03-15.42.50.675872 R02-M1-N0-C:J12-U11 RAS KERNEL INFO instruction cache parity error corrected",
                Some(Info),
                "instruction cache parity error corrected",
            ),
            (
                "- 1131566461 2005.11.09 dn228 Nov 9 12:01:01 dn228/dn228 crond(pam_unix)[2915]: session closed for user root",
                None,
                "session closed for user root",
            ),
            (
                "2016-09-28 04:30:30, Info                  CBS    Loaded Servicing Stack v6.1 with Core: x",
                Some(Info),
                "Loaded Servicing Stack v6.1 with Core: x",
            ),
            (
                "03-17 16:13:38.811  1702  2395 D WindowManager: printFreezingDisplayLogs opening",
                Some(Debug),
                "printFreezingDisplayLogs opening",
            ),
            (
                "nova-api.log.1.2017-05-16_13:53:08 2017-05-16 00:00:00.008 25746 INFO nova.osapi_compute.wsgi.server [req-38 113d 54fa - - -] 10.11.10.1 \"GET /v2/54/servers HTTP/1.1\" status: 200",
                Some(Info),
                "10.11.10.1 \"GET /v2/54/servers HTTP/1.1\" status: 200",
            ),
            (
                "Jul  1 09:00:55 calvisitor-10-105-160-95 kernel[0]: IOThunderboltSwitch<0>(0x0)::listener - x",
                None,
                "IOThunderboltSwitch<0>(0x0)::listener - x",
            ),
            (
                "Jul  1 09:01:06 host com.apple.xpc.launchd[1] (com.apple.x[123]): Service exited",
                None,
                "Service exited",
            ),
            (
                "134681 node-246 unix.hw state_change.unavailable 1077804742 1 Component State Change: x",
                None,
                "1 Component State Change: x",
            ),
            ("2024-01-01 12:00:00,123 - myapp.db - ERROR - it broke", Some(Error), "it broke"),
            ("2024-01-01 12:00:00,123 - myapp - ERROR - it broke", Some(Error), "it broke"),
            ("2024-01-01 12:00:00,123 ERROR myapp.views: it broke", Some(Error), "it broke"),
            ("2024-01-01 12:00:00,123 [ERROR] myapp.views: it broke", Some(Error), "it broke"),
            ("ERROR:root:it broke", Some(Error), "it broke"),
            (
                "INFO:     127.0.0.1:5000 - \"GET / HTTP/1.1\" 200 OK",
                Some(Info),
                "127.0.0.1:5000 - \"GET / HTTP/1.1\" 200 OK",
            ),
            ("12:00:00.123 [main] INFO  com.foo.Bar - it broke", Some(Info), "it broke"),
            (
                "2024-01-01 12:00:00.123  WARN 1234 --- [  restartedMain] o.s.b.w.TomcatWebServer  : it broke",
                Some(Warn),
                "it broke",
            ),
            (
                "2024-01-01T12:00:00.123Z  INFO 1 --- [app] [nio-8080-exec-1] c.e.Demo : it broke",
                Some(Info),
                "it broke",
            ),
            ("2009/11/10 23:00:00 it broke", None, "it broke"),
            ("2009/11/10 23:00:00 main.go:23: it broke", None, "it broke"),
            ("[2024-01-01T00:00:00Z INFO  mycrate::module] it broke", Some(Info), "it broke"),
            ("2024-01-01T00:00:00.123456Z  INFO mycrate::module: it broke", Some(Info), "it broke"),
            ("I0102 15:04:05.678901   12345 file.go:123] it broke", Some(Info), "it broke"),
            (
                "2024-01-01 00:00:00.000 UTC [123] ERROR:  relation \"x\" does not exist",
                Some(Error),
                "relation \"x\" does not exist",
            ),
            (
                "2024-01-01T00:00:00.000000Z 0 [Warning] [MY-010068] [Server] it broke",
                Some(Warn),
                "it broke",
            ),
            (
                "[2024-01-01 00:00:00,123] ERROR it broke (kafka.server.KafkaServer)",
                Some(Error),
                "it broke (kafka.server.KafkaServer)",
            ),
            (
                "2019/12/12 11:00:00 [error] 123#123: *5 open() failed",
                Some(Error),
                "*5 open() failed",
            ),
            ("[error] it broke", Some(Error), "it broke"),
            ("WARNING: it broke", Some(Warn), "it broke"),
            (
                "<34>Oct 11 22:14:15 mymachine su: 'su root' failed",
                Some(Severity::Fatal),
                "'su root' failed",
            ),
            (
                "<165>1 2003-10-11T22:14:15.003Z host app 12 ID47 [ex@1 a=\"b\"] it broke",
                Some(Info),
                "it broke",
            ),
            (
                "[10.30 16:49:06] chrome.exe *64 - proxy.x.hk:5070 close",
                None,
                "proxy.x.hk:5070 close",
            ),
            ("2024-01-01 12:00:00 Got an ERROR from server", None, "Got an ERROR from server"),
            (
                "Backup finished at 2024-01-01 12:00:00 for x",
                None,
                "Backup finished at 2024-01-01 12:00:00 for x",
            ),
            ("error: it broke", None, "error: it broke"),
        ];
        for (line, severity, message) in cases {
            let parsed = parse(line, REFERENCE);
            assert_eq!(parsed.message, message, "{line}");
            assert_eq!(parsed.severity, severity, "{line}");
        }
    }
}
