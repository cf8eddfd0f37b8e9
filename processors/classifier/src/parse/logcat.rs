//! Android's logcat: `threadtime`, `time`, `brief` and `long` (developer.android.com, "Logcat command-line tool").
//! Promises: a look at two bytes passes over other lines.

use std::borrow::Cow;

use super::{Format, Parsed};
use crate::scan::{at, from, run_end, skip_spaces, slice, tail, token_end};
use crate::{severity, time};

/// Longest tag, with what stands around it, that is looked for.
const MAX_TAG: usize = 128;

/// The header of a line. All lines of one entry have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Logcat<'a> {
    /// Day and time without a year; empty in `brief`.
    pub(crate) stamp: &'a str,
    pub(crate) process: &'a str,
    /// Empty in `time` and `brief`.
    pub(crate) thread: &'a str,
    /// `V`, `D`, `I`, `W`, `E` or `F`.
    pub(crate) level: u8,
    pub(crate) tag: &'a str,
    /// What follows the header.
    pub(crate) message: &'a str,
}

impl Logcat<'_> {
    /// Whether the same thread wrote both with one tag and level.
    pub(crate) fn is_of_one(&self, other: &Self) -> bool {
        (self.process, self.thread, self.level, self.tag)
            == (other.process, other.thread, other.level, other.tag)
    }
}

/// The header of a line of `threadtime`, `time` or `brief`.
pub(crate) fn of_line(line: &str) -> Option<Logcat<'_>> {
    let bytes = line.as_bytes();
    if at(bytes, 1) == b'/' {
        return slashed(line, 0, "");
    }
    if at(bytes, 2) != b'-' {
        return None;
    }
    let stamp_end = stamp_end(bytes, 0)?;
    let stamp = slice(line, 0, stamp_end);
    let pos = skip_spaces(bytes, stamp_end);
    if at(bytes, pos + 1) == b'/' {
        return slashed(line, pos, stamp);
    }
    let (process, pos) = number(line, pos)?;
    let (thread, pos) = number(line, skip_spaces(bytes, pos))?;
    let level_at = skip_spaces(bytes, pos);
    let level = level(bytes, level_at)?;
    if at(bytes, level_at + 1) != b' ' {
        return None;
    }
    let tag_at = level_at + 2;
    let window = from(bytes, tag_at);
    let window = window.get(..MAX_TAG).unwrap_or(window);
    let mut colons = memchr::memchr_iter(b':', window);
    let colon = colons.find(|colon| matches!(at(window, colon + 1), b' ' | b'\t' | 0))?;
    let tag = slice(line, tag_at, tag_at + colon).trim();
    Some(Logcat { stamp, process, thread, level, tag, message: message(line, tag_at + colon + 1) })
}

/// The header of an entry in `long`, which has a line of its own: `[ 03-17 16:13:38.811  1702: 2395 E/Tag ]`.
pub(crate) fn of_entry(line: &str) -> Option<Logcat<'_>> {
    let bytes = line.as_bytes();
    if at(bytes, 0) != b'[' || at(bytes, 1) != b' ' {
        return None;
    }
    let stamp_end = stamp_end(bytes, 2)?;
    let stamp = slice(line, 2, stamp_end);
    let (process, pos) = number(line, skip_spaces(bytes, stamp_end))?;
    if at(bytes, pos) != b':' {
        return None;
    }
    // The thread's number may be hexadecimal.
    let thread_at = skip_spaces(bytes, pos + 1);
    let thread_end = token_end(bytes, thread_at);
    let level_at = skip_spaces(bytes, thread_end);
    let level = level(bytes, level_at)?;
    if at(bytes, level_at + 1) != b'/' {
        return None;
    }
    let tag_at = level_at + 2;
    let window = slice(line, tag_at, bytes.len().min(tag_at + MAX_TAG));
    let closed = memchr::memmem::find(window.as_bytes(), b" ]")?;
    let tag = slice(line, tag_at, tag_at + closed).trim();
    let thread = slice(line, thread_at, thread_end);
    Some(Logcat { stamp, process, thread, level, tag, message: message(line, tag_at + closed + 2) })
}

/// A line of `brief`, or the first line of an entry in `long`. The others are read as headers of any kind are.
pub(super) fn parse(line: &str, reference: i64) -> Option<Parsed<'_>> {
    let found = match at(line.as_bytes(), 1) {
        b'/' => of_line(line)?,
        b' ' => of_entry(line)?,
        _ => return None,
    };
    let mut parsed = Parsed { format: Format::Headed, ..Parsed::default() };
    parsed.timestamp = time::parse_whole(found.stamp, reference);
    parsed.severity = severity::from_letter(found.level);
    parsed.message = Cow::Borrowed(found.message.trim());
    parsed.attribute("logger", found.tag);
    parsed.attribute("process", found.process);
    parsed.attribute("thread", found.thread);
    Some(parsed)
}

/// `E/Tag( 1702): message`.
fn slashed<'a>(line: &'a str, pos: usize, stamp: &'a str) -> Option<Logcat<'a>> {
    let bytes = line.as_bytes();
    let level = level(bytes, pos)?;
    let tagged = tagged(bytes, pos + 2)?;
    let tag = slice(line, pos + 2, tagged.tag_end).trim();
    let process = slice(line, tagged.process.0, tagged.process.1);
    // `I/O error (5): …` is no logcat.
    if tag.contains(' ') {
        return None;
    }
    Some(Logcat { stamp, process, thread: "", level, tag, message: message(line, tagged.end) })
}

/// Where parts of `Tag( 1702):` end.
pub(super) struct Tagged {
    pub(super) tag_end: usize,
    pub(super) process: (usize, usize),
    pub(super) end: usize,
}

/// A tag that begins at `tag_at`, with the process behind it.
pub(super) fn tagged(bytes: &[u8], tag_at: usize) -> Option<Tagged> {
    let window = from(bytes, tag_at);
    let open = tag_at + memchr::memchr(b'(', window.get(..MAX_TAG).unwrap_or(window))?;
    let start = skip_spaces(bytes, open + 1);
    let end = run_end(bytes, start, |byte| byte.is_ascii_digit());
    let is_closed = at(bytes, end) == b')' && at(bytes, end + 1) == b':';
    (end > start && is_closed).then_some(Tagged {
        tag_end: open,
        process: (start, end),
        end: end + 2,
    })
}

/// End of `03-17 16:13:38.811` at `pos`.
fn stamp_end(bytes: &[u8], pos: usize) -> Option<usize> {
    let marks = [(2, b'-'), (5, b' '), (8, b':'), (11, b':'), (14, b'.')];
    if marks.iter().any(|(offset, mark)| at(bytes, pos + offset) != *mark) {
        return None;
    }
    let end = run_end(bytes, pos + 15, |byte| byte.is_ascii_digit());
    (end > pos + 15 && at(bytes, end) == b' ').then_some(end)
}

fn number(line: &str, pos: usize) -> Option<(&str, usize)> {
    let end = run_end(line.as_bytes(), pos, |byte| byte.is_ascii_digit());
    (end > pos).then(|| (slice(line, pos, end), end))
}

fn level(bytes: &[u8], pos: usize) -> Option<u8> {
    let level = at(bytes, pos);
    severity::from_letter(level).map(|_| level)
}

/// What follows a header, without the one space that parts them: more belongs to the message.
fn message(line: &str, pos: usize) -> &str {
    let rest = tail(line, pos);
    rest.strip_prefix(' ').unwrap_or(rest)
}
