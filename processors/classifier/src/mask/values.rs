//! Where a value without quotes ends, and which values are secrets at all.

use super::names::{AUTHORIZATION, COOKIE};
use super::tag;
use crate::scan::{at, run_end, skip_spaces, slice};

/// A value shorter than this, behind `token: ` in prose, is taken for a word.
const MIN_PROSE: usize = 6;
/// The same for a header without a scheme.
const MIN_HEADER: usize = 16;

/// The end of a value without quotes. What JSON or a URL escapes is taken for what it stands for.
pub(super) fn bare_end(bytes: &[u8], start: usize) -> usize {
    let mut pos = start;
    // ODBC's braces.
    if at(bytes, start) == b'{'
        && let Some(close) = memchr::memchr(b'}', crate::scan::from(bytes, start))
    {
        return start + close + 1;
    }
    while pos < bytes.len() {
        match at(bytes, pos) {
            b'\\' => match escape(bytes, pos) {
                Some(end) => pos = end,
                None => return pos,
            },
            b'%' if matches!(bytes.get(pos + 1..pos + 3), Some(b"26" | b"20")) => return pos,
            b',' | b';' | b'&' | b')' | b'}' | b']' | b'"' | b'\'' | b'|' | b'<' | b'`' => {
                return pos;
            }
            byte if byte.is_ascii_whitespace() => return pos,
            _ => pos += 1,
        }
    }
    pos
}

/// The end of an escape that stands for a part of a value; none for one that ends it.
fn escape(bytes: &[u8], pos: usize) -> Option<usize> {
    match at(bytes, pos + 1) {
        b'/' | b'\\' => Some(pos + 2),
        b'u' => {
            let code = bytes.get(pos + 2..pos + 6)?;
            let ends = [b"0026", b"0020", b"0022", b"0027", b"003c", b"003C", b"000a", b"000A"];
            let is_hexadecimal = code.iter().all(u8::is_ascii_hexdigit);
            (is_hexadecimal && !ends.iter().any(|end| *end == code)).then_some(pos + 6)
        }
        b'n' | b't' | b'r' | b'b' | b'f' | b'"' | b'\'' | 0 => None,
        // No escape of JSON: the backslash is a part of the value.
        _ => Some(pos + 1),
    }
}

/// Schemes of authorisation that one token follows (IANA's registry, and what is in use besides).
const ONE_TOKEN: [&str; 12] = [
    "basic",
    "bearer",
    "token",
    "apikey",
    "api-key",
    "bot",
    "negotiate",
    "ntlm",
    "splunk",
    "key",
    "jwt",
    "genie-key",
];

/// The end of the value of a header without quotes around it.
pub(super) fn header_end(bytes: &[u8], start: usize, kind: &str) -> usize {
    let word_end = run_end(bytes, start, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let word = bytes.get(start..word_end).unwrap_or(&[]);
    let is_scheme = at(bytes, word_end) == b' '
        && ONE_TOKEN.iter().any(|scheme| word.eq_ignore_ascii_case(scheme.as_bytes()));
    if kind == AUTHORIZATION && is_scheme {
        let token = skip_spaces(bytes, word_end);
        return run_end(bytes, token, |byte| {
            byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'.' | b'_' | b'-' | b'~' | b'+' | b'/' | b'=' | b':' | b'|' | b'<' | b'>'
                )
        });
    }
    let mut pos = start;
    while pos < bytes.len() {
        match at(bytes, pos) {
            b'}' | b']' | b'\'' | b'`' => return pos,
            mark @ (b'"' | b'\\') => match inner_end(bytes, pos, mark) {
                Some(end) => pos = end,
                None => return pos,
            },
            _ => pos += 1,
        }
    }
    pos
}

/// Behind a text in quotes that is a part of a header: `username="bob"`. None for the quote around
/// the header itself, and for the escape that ends its line.
fn inner_end(bytes: &[u8], pos: usize, mark: u8) -> Option<usize> {
    if pos == 0 || at(bytes, pos - 1) != b'=' {
        return None;
    }
    let length = if mark == b'"' { 1 } else { 2 };
    let opening = bytes.get(pos..pos + length)?;
    if opening.last() != Some(&b'"') {
        return None;
    }
    let text = pos + length;
    let end = memchr::memmem::find(crate::scan::from(bytes, text), opening)?;
    Some(text + end + length)
}

pub(super) fn is_secret(value: &str, name: &str) -> bool {
    let trimmed = value.trim();
    const EMPTY: [&str; 17] = [
        "",
        "null",
        "none",
        "nil",
        "true",
        "false",
        "undefined",
        "{}",
        "[]",
        "<nil>",
        "<null>",
        "<none>",
        "[redacted]",
        "redacted",
        "<redacted>",
        "[filtered]",
        "(null)",
    ];
    let is_empty = EMPTY.iter().any(|word| trimmed.eq_ignore_ascii_case(word));
    let starred = trimmed.bytes().all(|byte| !byte.is_ascii_alphanumeric() && byte.is_ascii());
    let is_variable = ["${", "$(", "{{", "%("].iter().any(|start| trimmed.starts_with(start))
        || matches!(trimmed, "%s" | "%v" | "?" | "{0}");
    let shown_in_part = trimmed.starts_with("***");
    // The shell's working directory bears the name of a password.
    let is_path = matches!(name, "PWD" | "OLDPWD") && trimmed.starts_with('/');
    !is_path
        && !is_empty
        && !starred
        && !is_variable
        && !shown_in_part
        && !tag::is_placeholder(trimmed)
}

/// Whether what follows `token: ` reads as a word rather than as a secret.
pub(super) fn is_prose(value: &str, kind: &str) -> bool {
    let has_digit = value.bytes().any(|byte| byte.is_ascii_digit());
    match kind {
        "secret:password" | COOKIE => false,
        AUTHORIZATION => {
            let first = slice(value, 0, value.find(' ').unwrap_or(value.len()));
            !first.bytes().any(|byte| byte.is_ascii_digit())
                && first.len() < MIN_HEADER
                && value.len() < MIN_HEADER
        }
        _ => value.len() < MIN_PROSE || (!has_digit && value.len() < 20),
    }
}
