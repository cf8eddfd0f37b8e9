//! Small helpers to walk over bytes without ever panicking.
//! Promises: reading past the end yields NUL, cutting a string keeps it valid UTF-8.

/// The byte at `pos`, or NUL past the end.
#[inline]
pub(crate) fn at(bytes: &[u8], pos: usize) -> u8 {
    bytes.get(pos).copied().unwrap_or(0)
}

/// The bytes from `pos` on, empty past the end.
#[inline]
pub(crate) fn from(bytes: &[u8], pos: usize) -> &[u8] {
    bytes.get(pos..).unwrap_or(&[])
}

/// The text from `start` to `end`, empty where that is no valid range.
#[inline]
pub(crate) fn slice(text: &str, start: usize, end: usize) -> &str {
    text.get(start..end).unwrap_or("")
}

/// The text from `start` on, empty where `start` is no boundary.
#[inline]
pub(crate) fn tail(text: &str, start: usize) -> &str {
    text.get(start..).unwrap_or("")
}

/// The longest prefix of `text` of at most `max` bytes that is valid UTF-8.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let mut end = max;
    while end > 0 && !text.is_char_boundary(end) {
        end -= 1;
    }
    slice(text, 0, end)
}

/// The text without white space around it. Most texts have none, which their first and last byte tell.
#[inline]
pub(crate) fn trimmed(text: &str) -> &str {
    let is_kept = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
    let bytes = text.as_bytes();
    if is_kept(bytes.first()) && is_kept(bytes.last()) { text } else { text.trim() }
}

/// First position at or after `pos` that holds no space or tab.
#[inline]
pub(crate) fn skip_spaces(bytes: &[u8], mut pos: usize) -> usize {
    while matches!(at(bytes, pos), b' ' | b'\t') {
        pos += 1;
    }
    pos
}

/// End of the run of bytes at `pos` that are neither space nor tab.
#[inline]
pub(crate) fn token_end(bytes: &[u8], pos: usize) -> usize {
    let rest = from(bytes, pos);
    memchr::memchr2(b' ', b'\t', rest).map_or(bytes.len(), |found| pos + found)
}

/// End of the run of bytes at `pos` for which `keep` holds.
#[inline]
pub(crate) fn run_end(bytes: &[u8], pos: usize, mut keep: impl FnMut(u8) -> bool) -> usize {
    let rest = from(bytes, pos);
    pos + rest.iter().position(|byte| !keep(*byte)).unwrap_or(rest.len())
}

/// Whether `text` holds `needle`.
#[inline]
pub(crate) fn contains(text: &str, needle: &str) -> bool {
    memchr::memmem::find(text.as_bytes(), needle.as_bytes()).is_some()
}

/// Whether the byte can stand in an identifier.
#[inline]
pub(crate) fn is_ident(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
