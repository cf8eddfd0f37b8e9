//! Private keys in PEM and its relatives, in one line or over many.

use super::Span;
use super::quote::before_backslashes;
use crate::scan::{at, from, slice, tail};

/// Stands for a masked private key. Over many lines it bears no tag: its parts are never seen together.
pub(crate) const PRIVATE_KEY: &str = "<secret:private-key>";
pub(super) const KIND: &str = "secret:private-key";
/// How a key begins (any case): PEM (RFC 7468), OpenPGP (RFC 9580, section 6.2), SSH2 (RFC 4716).
pub(super) const NEEDLES: [&str; 2] = ["-----begin ", "---- begin "];
/// Lines that a private key may take before its end is no longer waited for.
const MAX_LINES: u32 = 512;
/// Bytes in which the label of a key has its place.
const MAX_LABEL: usize = 64;
/// Shortest word behind a logger's header that is taken for a line of a key.
const MIN_WORD: usize = 16;

/// A private key that begins at `start`; where its end lies on a later line, that is noted. That no
/// end was found on this line is noted in `no_end`: it need not be looked for again.
pub(super) fn begins(
    bytes: &[u8],
    start: usize,
    key_lines: &mut u32,
    no_end: &mut bool,
) -> Option<Span<'static>> {
    let label_end = bytes.len().min(start + MAX_LABEL);
    let label = bytes.get(start..label_end)?;
    memchr::memmem::find(label, b"PRIVATE KEY")?;
    let marked_end = if *no_end { None } else { end_of(bytes, start) };
    *no_end = marked_end.is_none();
    let end = if let Some(end) = marked_end {
        end
    } else if let Some(quote) = memchr::memchr(b'"', from(bytes, start)) {
        before_backslashes(bytes, start + quote)
    } else {
        *key_lines = MAX_LINES;
        bytes.len()
    };
    Some(Span::new(start, end, KIND))
}

/// Behind the line that ends a key, `-----END … KEY-----`.
fn end_of(bytes: &[u8], start: usize) -> Option<usize> {
    let marker = memchr::memmem::find(from(bytes, start), b"---- END ")
        .or_else(|| memchr::memmem::find(from(bytes, start), b"-----END "))?;
    let label = start + marker + 9;
    let label_end =
        label + memchr::memmem::find(from(bytes, label), b"----").unwrap_or(bytes.len());
    let dashes_end = crate::scan::run_end(bytes, label_end, |byte| byte == b'-');
    Some(dashes_end.min(bytes.len()))
}

/// For a line inside a private key: what stands before the key's part on it, and behind it. None
/// where the line cannot belong to a key, which ends the waiting.
pub(super) fn inside<'a>(line: &'a str, key_lines: &mut u32) -> Option<(&'a str, &'a str)> {
    if let Some(end) = end_of(line.as_bytes(), 0) {
        *key_lines = 0;
        return Some(("", tail(line, end)));
    }
    let text = line.trim();
    let is_header = ["Proc-Type:", "DEK-Info:", "Version:", "Comment:", "Hash:", "Charset:"]
        .iter()
        .any(|name| text.starts_with(name));
    if is_header || is_base64(text) {
        *key_lines -= 1;
        return Some(("", ""));
    }
    // A logger may have put its header before each line of the key.
    let word_at = text.rfind(' ').map_or(0, |space| space + 1);
    let word = tail(text, word_at);
    if word.len() >= MIN_WORD && is_base64(word) {
        *key_lines -= 1;
        return Some((slice(text, 0, word_at), ""));
    }
    *key_lines = 0;
    None
}

fn is_base64(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='))
}

/// Whether a value is a private key.
pub(super) fn is_key(value: &str) -> bool {
    let label = value.as_bytes();
    let label = label.get(..MAX_LABEL).unwrap_or(label);
    at(label, 0) == b'-' && memchr::memmem::find(label, b"PRIVATE KEY").is_some()
}
