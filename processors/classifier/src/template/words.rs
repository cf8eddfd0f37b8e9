//! Masks inside one token: addresses, paths, identifiers, numbers, quoted words.

use super::addresses::{ipv4, ipv4_end, ipv6, is_host, port_of_host};
use super::values::{self, number_end};
use crate::scan::{at, from, is_ident, run_end, slice};

/// Longest text in quotes that counts as one value.
const MAX_QUOTED: usize = 64;
/// Digits and letters from `a` to `f` that are taken for a hexadecimal number where both occur.
const MIN_HEX: usize = 6;
/// Such letters alone that are: no word of prose is made of so many.
const MIN_LETTERS: usize = 7;

/// Longest scheme of a URL, longest IPv6 address, longest relative path that is looked at: what is
/// tried at many positions looks only so far, so that no token takes more than linear time.
const MAX_SCHEME: usize = 24;
pub(super) const MAX_IPV6: usize = 48;
const MAX_RELATIVE: usize = 256;

/// The bytes up to `length` behind `pos`.
pub(super) fn window(bytes: &[u8], pos: usize, length: usize) -> &[u8] {
    bytes.get(..bytes.len().min(pos + length)).unwrap_or(bytes)
}

/// Writes `token` (without spaces) with its values masked.
pub(super) fn mask(token: &str, out: &mut String) {
    let bytes = token.as_bytes();
    if is_plain_word(bytes) {
        out.push_str(token);
        return;
    }
    let mut pos = 0;
    // Whether a value can begin here: not inside a word.
    let mut fresh = true;
    while pos < bytes.len() {
        let byte = at(bytes, pos);
        if fresh && let Some(end) = value(token, pos, out) {
            pos = end;
            fresh = false;
            continue;
        }
        if is_ident(byte) || byte >= 0x80 {
            pos = word(token, pos, out);
            fresh = false;
            continue;
        }
        out.push(char::from(byte));
        pos += 1;
        fresh = true;
    }
}

/// Whether a token is a word of letters, with one mark behind it perhaps: it holds no value.
fn is_plain_word(bytes: &[u8]) -> bool {
    let letters = match bytes {
        [letters @ .., b',' | b'.' | b':' | b';' | b'!' | b'?' | b')'] => letters,
        letters => letters,
    };
    letters.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
}

/// Whether a word is the name of a user: it follows the word `user`, and is no word of prose.
pub(super) fn is_user(before: &str, word: &str) -> bool {
    let before = before.trim_end().as_bytes();
    let (others, last) = before.split_at(before.len().saturating_sub(4));
    let after_user =
        last.eq_ignore_ascii_case(b"user") && matches!(others.last(), None | Some(b' '));
    if !after_user {
        return false;
    }
    const PROSE: [&str; 28] = [
        "unknown", "not", "is", "has", "was", "name", "id", "agent", "data", "input", "error",
        "request", "and", "or", "can", "cannot", "does", "in", "on", "with", "from", "to", "for",
        "mode", "space", "logged", "session", "could",
    ];
    let named =
        word.bytes().all(|byte| is_ident(byte) || matches!(byte, b'-' | b'.' | b'@' | b'+'));
    named && !word.is_empty() && !PROSE.contains(&word)
}

/// Writes a mask, unless it would only lengthen a list of the same: `<num>, <num>`.
pub(super) fn push_mask(out: &mut String, mask: &str) {
    if !matches!(out.as_bytes().last(), Some(b' ' | b',')) {
        out.push_str(mask);
        return;
    }
    let trimmed = out.trim_end_matches(' ');
    if let Some(list) = trimmed.strip_suffix(',')
        && list.ends_with(mask)
    {
        let length = list.len();
        out.truncate(length);
        return;
    }
    out.push_str(mask);
}

/// A value that its first bytes give away; writes its mask and returns its end.
fn value(token: &str, pos: usize, out: &mut String) -> Option<usize> {
    let bytes = token.as_bytes();
    match at(bytes, pos) {
        b'<' => placeholder(token, pos, out),
        b'/' => unix_path(bytes, pos, out),
        quote @ (b'\'' | b'"') => quoted(token, pos, quote, out),
        b'-' | b'+' => {
            let after_word = pos > 0 && is_ident(at(bytes, pos - 1));
            if after_word || !at(bytes, pos + 1).is_ascii_digit() {
                return None;
            }
            number(token, pos, out)
        }
        byte if byte.is_ascii_alphabetic() => {
            scheme_or_drive(bytes, pos, out).or_else(|| ipv6(bytes, pos, out))
        }
        byte if byte.is_ascii_digit() => ipv4(bytes, pos, out)
            .or_else(|| ipv6(bytes, pos, out))
            .or_else(|| clock(bytes, pos, out))
            .or_else(|| number(token, pos, out)),
        b':' if at(bytes, pos + 1) == b':' => ipv6(bytes, pos, out),
        _ => None,
    }
}

/// A placeholder that masking left, kept as it is.
fn placeholder(token: &str, pos: usize, out: &mut String) -> Option<usize> {
    let (_, end) = crate::mask::placeholder(token.as_bytes(), pos)?;
    out.push_str(slice(token, pos, end));
    Some(end)
}

/// `/etc/passwd`; an address behind a slash is no path.
fn unix_path(bytes: &[u8], pos: usize, out: &mut String) -> Option<usize> {
    if pos > 0 && is_ident(at(bytes, pos - 1)) {
        return None;
    }
    if ipv4_end(bytes, pos + 1).is_some() {
        out.push('/');
        return ipv4(bytes, pos + 1, out);
    }
    let first = at(bytes, pos + 1);
    if !(is_ident(first) || matches!(first, b'.' | b'~' | b'%' | b'*' | b'{' | b'$')) {
        return None;
    }
    let end = path_end(bytes, pos + 1);
    push_mask(out, "<path>");
    Some(end)
}

fn path_end(bytes: &[u8], start: usize) -> usize {
    let mut end = run_end(bytes, start, |byte| {
        is_ident(byte)
            || byte >= 0x80
            || matches!(
                byte,
                b'/' | b'.'
                    | b'-'
                    | b'~'
                    | b'%'
                    | b'@'
                    | b'+'
                    | b'*'
                    | b'$'
                    | b'&'
                    | b'='
                    | b'?'
                    | b'#'
                    | b'!'
                    | b':'
                    | b'\\'
                    | b'{'
                    | b'}'
            )
    });
    while end > start && matches!(at(bytes, end - 1), b'.' | b':' | b'!' | b'?') {
        end -= 1;
    }
    end
}

/// A word in quotes. Quotes that open inside a word are apostrophes; text of several words is not
/// one token and is masked word by word.
fn quoted(token: &str, pos: usize, quote: u8, out: &mut String) -> Option<usize> {
    let bytes = token.as_bytes();
    if pos > 0 && is_ident(at(bytes, pos - 1)) {
        return None;
    }
    let rest = from(bytes, pos + 1);
    let length = memchr::memchr(quote, rest.get(..rest.len().min(MAX_QUOTED))?)?;
    let close = pos + 1 + length;
    if length == 0 || is_ident(at(bytes, close + 1)) {
        return None;
    }
    // A name in quotes before a colon is a key.
    if at(bytes, close + 1) == b':' {
        return None;
    }
    let quote = char::from(quote);
    out.push(quote);
    out.push_str("<str>");
    out.push(quote);
    Some(close + 1)
}

/// `https://…`, `jar:file:/…`, `C:\…`.
fn scheme_or_drive(bytes: &[u8], pos: usize, out: &mut String) -> Option<usize> {
    if at(bytes, pos + 1) == b':' && at(bytes, pos + 2) == b'\\' {
        push_mask(out, "<path>");
        return Some(path_end(bytes, pos + 2));
    }
    let scheme_end = run_end(window(bytes, pos, MAX_SCHEME), pos, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b':')
    });
    if at(bytes, scheme_end) != b'/' || at(bytes, scheme_end.saturating_sub(1)) != b':' {
        return None;
    }
    let double = at(bytes, scheme_end + 1) == b'/';
    if !double && !bytes.get(pos..scheme_end)?.ends_with(b"file:") {
        return None;
    }
    let end = run_end(bytes, scheme_end, |byte| {
        !matches!(byte, b'"' | b'\'' | b'<' | b'>' | b')' | b']' | b'}' | b',' | b';' | b'|')
    });
    push_mask(out, "<url>");
    Some(end)
}

/// `00:01`, `22:15:29.606`.
fn clock(bytes: &[u8], pos: usize, out: &mut String) -> Option<usize> {
    let mut end = run_end(bytes, pos, |byte| byte.is_ascii_digit());
    let mut parts = 1;
    if end - pos > 2 {
        return None;
    }
    while at(bytes, end) == b':' && parts < 4 {
        let part_end = run_end(bytes, end + 1, |byte| byte.is_ascii_digit());
        if part_end - end != 3 {
            return None;
        }
        end = part_end;
        parts += 1;
    }
    if parts < 2 {
        return None;
    }
    if matches!(at(bytes, end), b'.' | b',') && at(bytes, end + 1).is_ascii_digit() {
        end = run_end(bytes, end + 1, |byte| byte.is_ascii_digit());
    }
    if is_ident(at(bytes, end)) || at(bytes, end) == b':' && at(bytes, end + 1).is_ascii_digit() {
        return None;
    }
    push_mask(out, "<duration>");
    Some(end)
}

/// A number, with a unit perhaps; none where it is the beginning of a word.
fn number(token: &str, pos: usize, out: &mut String) -> Option<usize> {
    let bytes = token.as_bytes();
    if at(bytes, pos) == b'0' && at(bytes, pos + 1) | 32 == b'x' {
        let end = run_end(bytes, pos + 2, |byte| byte.is_ascii_hexdigit());
        if end > pos + 2 && !is_ident(at(bytes, end)) {
            push_mask(out, "<hex>");
            return Some(end);
        }
    }
    let end = number_end(bytes, pos);
    let next = at(bytes, end);
    if next == b'%' {
        push_mask(out, "<num>");
        return Some(end + 1);
    }
    let joined = matches!(next, b'-' | b'.') && is_ident(at(bytes, end + 1));
    if !is_ident(next) && !joined && next < 0x80 {
        push_mask(out, "<num>");
        return Some(end);
    }
    let unit_end = run_end(bytes, end, |byte| byte.is_ascii_alphabetic());
    let unit = values::unit(slice(token, end, unit_end))?;
    if is_ident(at(bytes, unit_end)) {
        return None;
    }
    push_mask(out, unit.mask());
    Some(unit_end)
}

/// A word: letters, digits, `_`, and `-` or `.` between them.
fn word(token: &str, start: usize, out: &mut String) -> usize {
    let bytes = token.as_bytes();
    let mut end = start;
    let mut digits = 0usize;
    let mut dots = 0usize;
    let mut dashes = 0usize;
    loop {
        let byte = at(bytes, end);
        if byte.is_ascii_digit() {
            digits += 1;
        } else if matches!(byte, b'.' | b'-') {
            let next = at(bytes, end + 1);
            // `blk_-123`: a sign inside an identifier.
            let signed = byte == b'-' && end > start && at(bytes, end - 1) == b'_';
            let joins = signed || (is_ident(next) && end > start);
            if !joins {
                break;
            }
            dots += usize::from(byte == b'.');
            dashes += usize::from(byte == b'-');
        } else if !(is_ident(byte) || byte >= 0x80) {
            break;
        }
        end += 1;
    }
    if end == start {
        // Cannot happen: the caller saw a byte of a word. One step keeps the loop finite.
        out.push(char::from(at(bytes, start)));
        return start + 1;
    }
    let text = slice(token, start, end);
    let port = port_of_host(bytes, end);
    if (dots > 0 || dashes > 0) && (is_host(text, dots) || port.is_some()) {
        push_mask(out, "<host>");
        return port.unwrap_or(end);
    }
    // A path without a leading slash: `conf/httpd.conf`.
    if at(bytes, end) == b'/' && is_relative_path(bytes, start) {
        push_mask(out, "<path>");
        return path_end(bytes, start);
    }
    if digits == 0 {
        let hexadecimal =
            text.len() >= MIN_LETTERS && text.bytes().all(|byte| matches!(byte, b'a'..=b'f'));
        if hexadecimal {
            push_mask(out, "<hex>");
        } else {
            out.push_str(text);
        }
        return end;
    }
    match kind(text, digits, dots) {
        Kind::Mask(mask) => push_mask(out, mask),
        Kind::Name => name(text, out),
    }
    end
}

/// Whether a relative path stands at `start`: two slashes, or one and an extension.
fn is_relative_path(bytes: &[u8], start: usize) -> bool {
    let end = path_end(window(bytes, start, MAX_RELATIVE), start);
    let text = bytes.get(start..end).unwrap_or(&[]);
    let slashes = text.iter().filter(|byte| **byte == b'/').count();
    let last = text.rsplit(|byte| *byte == b'/').next().unwrap_or(&[]);
    let extension = last.iter().position(|byte| *byte == b'.').is_some_and(|dot| dot > 0);
    let plain = text.iter().all(|byte| is_ident(*byte) || matches!(byte, b'/' | b'.' | b'-'));
    plain && (slashes >= 2 || extension)
}

enum Kind {
    Mask(&'static str),
    /// A name with a number in it, of which only the number is masked.
    Name,
}

/// What a word with digits is.
fn kind(text: &str, digits: usize, dots: usize) -> Kind {
    let bytes = text.as_bytes();
    let letters = bytes.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    let hexadecimal = bytes.iter().all(u8::is_ascii_hexdigit);
    if hexadecimal && bytes.len() >= MIN_HEX {
        return Kind::Mask("<hex>");
    }
    if is_uuid(bytes) {
        return Kind::Mask("<uuid>");
    }
    let first = at(bytes, 0);
    let versioned = letters <= 1 && (first.is_ascii_digit() || matches!(first, b'v' | b'V'));
    if versioned {
        return Kind::Mask("<num>");
    }
    let mut runs = 0;
    let mut inside = false;
    for byte in bytes {
        let digit = byte.is_ascii_digit();
        runs += usize::from(digit && !inside);
        inside = digit;
    }
    // A name and a number stay a name, however long the number is: `core.7` and `core.2275` are one.
    // Dotted names are mostly modules and classes; they keep their words.
    if runs >= 2 && (dots == 0 || digits >= letters) { Kind::Mask("<id>") } else { Kind::Name }
}

fn is_uuid(bytes: &[u8]) -> bool {
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Writes a name with each run of digits masked: `eth0` as `eth<num>`.
fn name(text: &str, out: &mut String) {
    let bytes = text.as_bytes();
    let mut pos = 0;
    while pos < bytes.len() {
        let end = run_end(bytes, pos, |byte| !byte.is_ascii_digit());
        // A sign belongs to its number: `blk_-123`.
        let signed = at(bytes, end.saturating_sub(1)) == b'-'
            && end >= pos + 2
            && at(bytes, end - 2) == b'_';
        out.push_str(slice(text, pos, end - usize::from(signed)));
        pos = run_end(bytes, end, |byte| byte.is_ascii_digit());
        if pos > end {
            out.push_str("<num>");
        }
    }
}
