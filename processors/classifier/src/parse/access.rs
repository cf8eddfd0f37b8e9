//! Access logs of Apache, nginx and their kind, in the common and the combined form.

use std::borrow::Cow;

use hephaestus_schemas::Severity;

use super::{Format, Parsed, Request};
use crate::scan::{at, from, run_end, skip_spaces, slice, tail, token_end};
use crate::time;

/// Where the parts of a line `client ident user [10/Oct/2000:13:55:36 -0700] "GET /x HTTP/1.0" 200 2326 …` are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Access {
    /// Microseconds since 1970 UTC.
    timestamp: i64,
    client: (usize, usize),
    request: Quoted,
}

/// Where the parts of `"GET /x HTTP/1.0" 200 2326 …` are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Quoted {
    start: usize,
    method_end: usize,
    target: (usize, usize),
    status: (usize, usize),
    code: u16,
}

/// Finds the parts of a line; a virtual host may stand before the client.
pub(super) fn find(line: &str, reference: i64) -> Option<Access> {
    const MAX_PREFIX: usize = 300;
    let bytes = line.as_bytes();
    let window = bytes.get(..bytes.len().min(MAX_PREFIX))?;
    let mut brackets = memchr::memchr_iter(b'[', window);
    let open = brackets.find(|bracket| *bracket > 0 && at(bytes, bracket - 1) == b' ')? - 1;
    // The date of this form has a month's name between slashes.
    if at(bytes, open + 4) != b'/' || at(bytes, open + 8) != b'/' {
        return None;
    }
    let stamp = time::parse_at(bytes, open + 2, reference, false)?;
    if at(bytes, stamp.end) != b']' {
        return None;
    }
    let before = bytes.get(..open)?;
    let client_at = run_end(before, 0, |byte| byte.is_ascii_whitespace());
    let client_end = run_end(before, client_at, |byte| !byte.is_ascii_whitespace());
    let others = slice(line, client_end, open).split_ascii_whitespace().count();
    if client_end == client_at || others > 3 {
        return None;
    }
    let request = find_request(line, skip_spaces(bytes, stamp.end + 1))?;
    Some(Access { timestamp: stamp.micros, client: (client_at, client_end), request })
}

/// Finds the request at `start`.
fn find_request(line: &str, start: usize) -> Option<Quoted> {
    let bytes = line.as_bytes();
    if at(bytes, start) != b'"' {
        return None;
    }
    let close = closing_quote(bytes, start + 1)?;
    let status_at = skip_spaces(bytes, close + 1);
    let status_end = run_end(bytes, status_at, |byte| byte.is_ascii_digit());
    let code: u16 = slice(line, status_at, status_end).parse().ok()?;
    if !(100..600).contains(&code) {
        return None;
    }
    let method_end = token_end(bytes, start + 1).min(close);
    let path_at = skip_spaces(bytes, method_end).min(close);
    let path_end = token_end(bytes, path_at).min(close);
    let (target, status) = ((path_at, path_end), (status_at, status_end));
    Some(Quoted { start, method_end, target, status, code })
}

impl Access {
    /// The line in which it was found, read.
    pub(super) fn parsed<'a>(&self, line: &'a str) -> Parsed<'a> {
        let Quoted { start, method_end, target, status, code } = self.request;
        let part = |(start, end): (usize, usize)| slice(line, start, end);
        let target = part(target);
        let path_end = run_end(target.as_bytes(), 0, |byte| !matches!(byte, b'?' | b'#'));
        let path = slice(target, 0, path_end);
        let method = slice(line, start + 1, method_end);
        let mut parsed = Parsed {
            format: Format::Access,
            timestamp: Some(self.timestamp),
            severity: Some(if code >= 500 { Severity::Error } else { Severity::Info }),
            message: Cow::Borrowed(tail(line, start).trim_end()),
            request: Some(Request { method, path, status: code }),
            attributes: Vec::with_capacity(3),
            ..Parsed::default()
        };
        parsed.attribute("http_status", part(status));
        parsed.attribute("http_method", method);
        parsed.attribute("client", part(self.client));
        parsed
    }
}

/// Reads a line.
pub(super) fn parse(line: &str, reference: i64) -> Option<Parsed<'_>> {
    find(line, reference).map(|access| access.parsed(line))
}

fn closing_quote(bytes: &[u8], start: usize) -> Option<usize> {
    let mut pos = start;
    loop {
        pos += memchr::memchr2(b'"', b'\\', from(bytes, pos))?;
        if at(bytes, pos) == b'"' {
            return Some(pos);
        }
        pos += 2;
    }
}
