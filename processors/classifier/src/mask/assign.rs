//! Secrets told by the name they are given: `password=…`, `"token": "…"`, `api-key: …`.

use super::Span;
use crate::scan::{at, from, run_end, skip_spaces, slice};

/// Texts one of which stands in the name of every field that is masked.
pub(super) const NEEDLES: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "_pass",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "accesskey",
    "access_key",
    "authorization",
    "cookie",
];

/// Endings of names, and the placeholder of what they hold. The first that fits counts.
const ENDINGS: [(&str, &str); 21] = [
    ("password", "<secret:password>"),
    ("passwd", "<secret:password>"),
    ("passphrase", "<secret:password>"),
    ("pwd", "<secret:password>"),
    ("_pass", "<secret:password>"),
    ("secret", "<secret:secret>"),
    ("secret_key", "<secret:key>"),
    ("secretkey", "<secret:key>"),
    ("secret-key", "<secret:key>"),
    ("secret_access_key", "<secret:key>"),
    ("secretaccesskey", "<secret:key>"),
    ("token", "<secret:token>"),
    ("apikey", "<secret:key>"),
    ("api_key", "<secret:key>"),
    ("api-key", "<secret:key>"),
    ("accesskey", "<secret:key>"),
    ("access_key", "<secret:key>"),
    ("access-key", "<secret:key>"),
    ("authorization", AUTHORIZATION),
    ("set-cookie", "<secret:cookie>"),
    ("cookie", "<secret:cookie>"),
];

const AUTHORIZATION: &str = "<secret:authorization>";

/// Longest name that is looked at.
const MAX_NAME: usize = 96;
/// A value shorter than this, behind `token: ` in prose, is taken for a word.
const MIN_PROSE: usize = 6;

/// The value to mask, where the needle at `start..end` is the end of a name that holds a secret.
pub(super) fn value(line: &str, start: usize, end: usize, extra_keys: &[String]) -> Option<Span> {
    let bytes = line.as_bytes();
    // The word inside a placeholder is no name.
    if start > 0 && at(bytes, start - 1) == b'<' {
        return None;
    }
    let name_end = bounded_run(bytes, end, is_name_byte);
    // The ending is compared from the needle on; what stands before it in the name does not matter,
    // but `_key` behind `secret` does.
    let name = slice(line, start, name_end);
    let placeholder = placeholder(name, extra_keys)?;

    let (after_name, name_quote) = closing_quote(bytes, name_end);
    let separator_at = skip_spaces(bytes, after_name);
    let separator = at(bytes, separator_at);
    let mut pos = separator_at + 1;
    match (separator, at(bytes, pos)) {
        (b'=', b'>' | b'=') => pos += 1,
        (b':', b':') => return None,
        (b':', b'=') => pos += 1,
        (b'=' | b':', _) => {}
        _ => return None,
    }
    let value_at = skip_spaces(bytes, pos);
    if matches!(at(bytes, value_at), b'{' | b'[' | b'(' | b'<') {
        return None;
    }
    let spaced = value_at > pos;
    let (start, end) = match opening_quote(bytes, value_at) {
        Some(quote) => {
            let start = value_at + quote.len();
            (start, quoted_end(bytes, start, quote))
        }
        None if name_quote => return json_scalar(line, value_at, placeholder),
        None => (value_at, bare_end(bytes, value_at, placeholder)),
    };
    let start = behind_scheme(line, start, end, placeholder);
    let value = slice(line, start, end);
    let quoted = start > value_at;
    if !is_secret(value) || (!quoted && separator == b':' && spaced && is_prose(value, placeholder))
    {
        return None;
    }
    Some(Span { start, end, placeholder })
}

/// The end of a name: a longer one than `MAX_NAME` is looked at in part, so that no line of names
/// without values takes more than linear time.
fn bounded_run(bytes: &[u8], start: usize, keep: impl Fn(u8) -> bool) -> usize {
    let highest = bytes.len().min(start + MAX_NAME);
    run_end(bytes.get(..highest).unwrap_or(bytes), start, keep)
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn placeholder(name: &str, extra_keys: &[String]) -> Option<&'static str> {
    let ends = |ending: &str| {
        let from = name.len().checked_sub(ending.len());
        from.and_then(|from| name.get(from..)).is_some_and(|tail| tail.eq_ignore_ascii_case(ending))
    };
    if let Some((_, placeholder)) = ENDINGS.iter().find(|(ending, _)| ends(ending)) {
        return Some(placeholder);
    }
    extra_keys.iter().any(|key| ends(key)).then_some("<secret:secret>")
}

/// Passes over the quote that closes a name; says whether there was one.
fn closing_quote(bytes: &[u8], pos: usize) -> (usize, bool) {
    match (at(bytes, pos), at(bytes, pos + 1)) {
        (b'"' | b'\'', _) => (pos + 1, true),
        (b'\\', b'"') => (pos + 2, true),
        _ => (pos, false),
    }
}

fn opening_quote(bytes: &[u8], pos: usize) -> Option<&'static [u8]> {
    match (at(bytes, pos), at(bytes, pos + 1)) {
        (b'"', _) => Some(b"\""),
        (b'\'', _) => Some(b"'"),
        (b'\\', b'"') => Some(b"\\\""),
        _ => None,
    }
}

/// Where the text that a quote opened ends: before the same quote, unescaped.
fn quoted_end(bytes: &[u8], start: usize, quote: &[u8]) -> usize {
    if quote.len() == 2 {
        return memchr::memmem::find(from(bytes, start), quote)
            .map_or(bytes.len(), |found| start + found);
    }
    let mut pos = start;
    while pos < bytes.len() {
        match at(bytes, pos) {
            b'\\' => pos += 2,
            byte if byte == at(quote, 0) => return pos,
            _ => pos += 1,
        }
    }
    bytes.len()
}

fn bare_end(bytes: &[u8], start: usize, placeholder: &str) -> usize {
    // A header's value runs on over spaces: a scheme and its token, a list of cookies.
    let header = matches!(placeholder, AUTHORIZATION | "<secret:cookie>");
    if header {
        return run_end(bytes, start, |byte| !matches!(byte, b'"' | b'\'' | b'\\' | b'}' | b']'));
    }
    run_end(bytes, start, |byte| {
        !byte.is_ascii_whitespace()
            && !matches!(
                byte,
                b',' | b';' | b'&' | b')' | b'}' | b']' | b'"' | b'\'' | b'|' | b'\\'
            )
    })
}

/// Behind the scheme (`Bearer`, `Basic`, …) of an authorisation header; else `start` itself.
fn behind_scheme(line: &str, start: usize, end: usize, placeholder: &str) -> usize {
    let value = slice(line, start, end);
    if placeholder != AUTHORIZATION {
        return start;
    }
    let Some(space) = value.find(' ') else { return start };
    let scheme = slice(value, 0, space);
    if scheme.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return start + skip_spaces(value.as_bytes(), space);
    }
    start
}

fn is_secret(value: &str) -> bool {
    let trimmed = value.trim();
    let empty_word = matches!(
        trimmed.to_ascii_lowercase().as_str(),
        "" | "null" | "none" | "nil" | "true" | "false" | "undefined" | "{}" | "[]"
    );
    let opens_more = trimmed.starts_with(['{', '[', '(']);
    let starred = trimmed.bytes().all(|byte| !byte.is_ascii_alphanumeric() && byte.is_ascii());
    !empty_word && !opens_more && !starred && !trimmed.starts_with("<secret:")
}

/// Whether what follows `token: ` reads as a word rather than as a secret.
fn is_prose(value: &str, placeholder: &str) -> bool {
    if placeholder == "<secret:password>" || placeholder == AUTHORIZATION {
        return false;
    }
    let has_digit = value.bytes().any(|byte| byte.is_ascii_digit());
    value.len() < MIN_PROSE || (!has_digit && value.len() < 20)
}

/// A number in JSON, which becomes a string.
fn json_scalar(line: &str, start: usize, placeholder: &'static str) -> Option<Span> {
    let bytes = line.as_bytes();
    let end = run_end(bytes, start, |byte| {
        byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E')
    });
    let number = slice(line, start, end);
    if number.is_empty() || !number.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Only the kinds that can hold a number; inside an escaped document the quote is escaped too.
    let escaped = memchr::memmem::find(from(bytes, start.saturating_sub(6)), b"\\\"")
        .is_some_and(|found| found < 6);
    let quoted = match (placeholder, escaped) {
        ("<secret:password>", false) => "\"<secret:password>\"",
        ("<secret:token>", false) => "\"<secret:token>\"",
        ("<secret:key>", false) => "\"<secret:key>\"",
        (_, false) => "\"<secret:secret>\"",
        (_, true) => "0",
    };
    Some(Span { start, end, placeholder: quoted })
}
