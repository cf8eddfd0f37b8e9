//! Where a value without quotes ends, and which values are secrets at all.

use super::names::{AUTHORIZATION, COOKIE, Demand};
use super::tag;
use crate::scan::{Bytes, at, from, run_end, skip_spaces, slice};

/// A value shorter than this, behind `token: ` in prose, is taken for a word.
const MIN_PROSE: usize = 6;
/// The same for a header without a scheme.
const MIN_HEADER: usize = 16;

/// The end of a value without quotes. What JSON or a URL escapes is taken for what it stands for.
pub(super) fn bare_end(bytes: &[u8], start: usize) -> usize {
    let mut pos = start;
    // ODBC's braces.
    if at(bytes, start) == b'{'
        && let Some(close) = memchr::memchr(b'}', from(bytes, start))
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

/// The bytes of a token behind its scheme.
static TOKEN: Bytes = Bytes::alphanumeric_or(b"._-~+/=:|<>%");

/// The end of the value of a header without quotes around it. `assigned` says that `=` stands before it.
pub(super) fn header_end(bytes: &[u8], start: usize, kind: &str, assigned: bool) -> usize {
    let word_end = run_end(bytes, start, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let word = bytes.get(start..word_end).unwrap_or(&[]);
    let is_scheme = at(bytes, word_end) == b' '
        && ONE_TOKEN.iter().any(|scheme| word.eq_ignore_ascii_case(scheme.as_bytes()));
    if kind == AUTHORIZATION && is_scheme {
        let token = skip_spaces(bytes, word_end);
        let end = run_end(bytes, token, |byte| TOKEN.has(byte));
        // `Bearer "…"`, and `Token token="…"`, which goes on as headers of other schemes do.
        match at(bytes, end) {
            b'"' if end == token => {
                return run_end(bytes, end + 1, |byte| byte != b'"');
            }
            b'"' | b'\\' if at(bytes, end - 1) == b'=' => {}
            _ => return end,
        }
    } else if assigned && !(kind == COOKIE && is_cookie(from(bytes, start))) {
        return bare_end(bytes, start);
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
    let end = memchr::memmem::find(from(bytes, text), opening)?;
    Some(text + end + length)
}

pub(super) fn is_secret(value: &str, name: &str) -> bool {
    let trimmed = value.trim();
    const EMPTY: [&str; 22] = [
        "yes",
        "no",
        "hidden",
        "[hidden]",
        "chauthtok",
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
    let is_word_byte =
        |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'/' | b'.' | b'-' | b'_');
    let is_path = trimmed.starts_with('/')
        && (matches!(name, "PWD" | "OLDPWD")
            || trimmed.matches('/').count() > 1 && trimmed.bytes().all(is_word_byte));
    !is_path
        && !is_empty
        && !starred
        && !is_variable
        && !shown_in_part
        && !tag::is_placeholder(trimmed)
}

/// Whether a text is a cookie, as far as its first word tells: a name and a value.
fn is_cookie(text: &[u8]) -> bool {
    let end = run_end(text, 0, |byte| !matches!(byte, b' ' | b';' | b','));
    text.get(1..end).is_some_and(|word| word.contains(&b'='))
}

/// Words that go on a sentence about passwords.
const ABOUT_PASSWORDS: [&str; 18] = [
    "authentication",
    "can",
    "cannot",
    "changed",
    "does",
    "expired",
    "has",
    "incorrect",
    "invalid",
    "is",
    "may",
    "missing",
    "must",
    "not",
    "required",
    "should",
    "too",
    "was",
];

/// Whether what follows `token: ` reads as a word rather than as a secret. `has_scheme` says that a scheme of
/// authorisation stands before it, or a word in its place.
pub(super) fn is_prose(value: &str, kind: &str, has_scheme: bool) -> bool {
    let has_digit = value.bytes().any(|byte| byte.is_ascii_digit());
    match kind {
        "secret:password" => {
            value.ends_with(':')
                || ABOUT_PASSWORDS.iter().any(|word| value.eq_ignore_ascii_case(word))
        }
        COOKIE => !is_cookie(value.as_bytes()) && !Demand::Random.is_met("", value),
        AUTHORIZATION if has_scheme => {
            let words = value.split(' ');
            let is_word = |word: &str| word.bytes().all(|byte| byte.is_ascii_lowercase());
            // One word may be a token.
            words.clone().count() > 2 && words.take(2).all(is_word)
        }
        AUTHORIZATION => {
            let first = slice(value, 0, value.find(' ').unwrap_or(value.len()));
            !first.bytes().any(|byte| byte.is_ascii_digit())
                && first.len() < MIN_HEADER
                && value.len() < MIN_HEADER
        }
        _ => value.len() < MIN_PROSE || (!has_digit && value.len() < 20),
    }
}
