//! Access logs of Apache, nginx and their kind, in the common and the combined form.

use std::borrow::Cow;

use hephaestus_schemas::Severity;

use super::{Format, Parsed, Request};
use crate::scan::{at, from, run_end, skip_spaces, slice, tail, token_end};
use crate::time;

/// A line `client ident user [10/Oct/2000:13:55:36 -0700] "GET /x HTTP/1.0" 200 2326 …`; a virtual
/// host may stand before the client.
pub(super) fn parse(line: &str, reference: i64) -> Option<Parsed<'_>> {
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
    let prefix = slice(line, 0, open);
    let fields = prefix.split_ascii_whitespace().count();
    if !(1..=4).contains(&fields) {
        return None;
    }
    let message_at = skip_spaces(bytes, stamp.end + 1);
    let mut parsed = request(line, message_at)?;
    parsed.timestamp = Some(stamp.micros);
    let client = prefix.split_ascii_whitespace().next().unwrap_or("");
    parsed.attribute("client", client);
    Some(parsed)
}

/// `"GET /x HTTP/1.0" 200 2326 …` at `pos`.
fn request(line: &str, pos: usize) -> Option<Parsed<'_>> {
    let bytes = line.as_bytes();
    if at(bytes, pos) != b'"' {
        return None;
    }
    let close = closing_quote(bytes, pos + 1)?;
    let status_at = skip_spaces(bytes, close + 1);
    let status_end = run_end(bytes, status_at, |byte| byte.is_ascii_digit());
    let status: u16 = slice(line, status_at, status_end).parse().ok()?;
    if !(100..600).contains(&status) {
        return None;
    }
    let method_end = token_end(bytes, pos + 1).min(close);
    let path_at = skip_spaces(bytes, method_end).min(close);
    let path_end = token_end(bytes, path_at).min(close);
    let target = slice(line, path_at, path_end);
    let path = target.split(['?', '#']).next().unwrap_or("");
    let method = slice(line, pos + 1, method_end);
    let mut parsed = Parsed { format: Format::Access, ..Parsed::default() };
    parsed.message = Cow::Borrowed(tail(line, pos).trim_end());
    parsed.severity = Some(match status {
        500.. => Severity::Error,
        _ => Severity::Info,
    });
    parsed.attribute("http_status", slice(line, status_at, status_end));
    parsed.attribute("http_method", method);
    parsed.request = Some(Request { method, path, status });
    Some(parsed)
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
