//! Cleans a line of what is not its text.

use std::borrow::Cow;

use wide::u8x16;

use crate::scan::{self, at, from, run_end, slice, tail};

/// Without the blanks at its end.
pub(super) fn trim_blanks(text: &str) -> &str {
    let is_blank = |byte: u8| matches!(byte, b'\r' | b'\n' | b' ' | b'\t');
    let end = text.bytes().rposition(|byte| !is_blank(byte)).map_or(0, |last| last + 1);
    slice(text, 0, end)
}

/// The text without the terminal's escape sequences (ECMA-48, CSI), and with a mark in place of other control
/// characters: they would steer a terminal, and take six times their size in JSON.
pub(super) fn without_escapes(text: &str) -> Cow<'_, str> {
    const ESCAPE: char = '\u{1b}';
    let are_control =
        |bytes: u8x16| bytes.simd_lt(u8x16::splat(b' ')) & bytes.simd_ne(u8x16::splat(b'\t'));
    if !scan::any(text.as_bytes(), are_control) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        if char != ESCAPE {
            let steers = u8::try_from(char).is_ok_and(is_control);
            clean.push(if steers { char::REPLACEMENT_CHARACTER } else { char });
        } else if chars.peek() == Some(&'[') {
            chars.next();
            for parameter in chars.by_ref() {
                if ('\u{40}'..='\u{7e}').contains(&parameter) {
                    break;
                }
            }
        }
    }
    Cow::Owned(clean)
}

/// A line that holds a document of JSON, with each printable character of ASCII that was escaped without need as
/// itself, in documents inside strings too: `\u0022password\u0022` hides what it names, and `\/` the parts of a URL.
/// A terminal's escape sequences go, as they do from text.
pub(super) fn with_plain_json(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let is_sought = bytes.last() == Some(&b'}') && scan::holds(bytes, b'\\');
    if !is_sought || !(scan::contains(text, "\\u00") || scan::contains(text, "\\/")) {
        return Cow::Borrowed(text);
    }
    let Some(opens) = memchr::memchr(b'{', bytes) else { return Cow::Borrowed(text) };
    let mut plain = String::with_capacity(text.len());
    let mut done = 0;
    let mut pos = opens;
    while let Some(found) = memchr::memchr(b'\\', from(bytes, pos)) {
        let start = pos + found;
        let marks_end = run_end(bytes, start, |byte| byte == b'\\');
        let marks = marks_end - start;
        pos = marks_end;
        // One mark escapes; inside a string of a document it is two, and four inside a further one.
        if at(bytes, marks_end) == b'/' && matches!(marks, 1 | 2) {
            plain.push_str(slice(text, done, start));
            done = marks_end;
        } else if matches!(marks, 1 | 2 | 4)
            && let Some(char) = escaped_char(tail(text, marks_end))
        {
            let end = marks_end + "u0000".len();
            let behind = match char {
                '\u{1b}' => sequence_end(bytes, end),
                ' '..='~' => Some(end),
                _ => None,
            };
            let Some(behind) = behind else { continue };
            plain.push_str(slice(text, done, start));
            match char {
                '"' => plain.extend(std::iter::repeat_n('\\', 2 * marks - 1).chain([char])),
                '\\' => plain.extend(std::iter::repeat_n('\\', 2 * marks)),
                ' '..='~' => plain.push(char),
                _ => {}
            }
            done = behind;
            pos = behind;
        }
    }
    plain.push_str(tail(text, done));
    Cow::Owned(plain)
}

/// The character of ASCII that `u00XX` stands for.
fn escaped_char(text: &str) -> Option<char> {
    let code = text.strip_prefix("u00")?.get(..2)?;
    let is_hexadecimal = code.bytes().all(|byte| byte.is_ascii_hexdigit());
    let byte = u8::from_str_radix(code, 16).ok().filter(|_| is_hexadecimal)?;
    byte.is_ascii().then_some(char::from(byte))
}

/// The end of an escape sequence of a terminal (ECMA-48, CSI) that opened before `pos`.
fn sequence_end(bytes: &[u8], pos: usize) -> Option<usize> {
    let end = run_end(bytes, pos + 1, |byte| byte.is_ascii_digit() || byte == b';');
    let closes = at(bytes, pos) == b'[' && at(bytes, end).is_ascii_alphabetic();
    closes.then_some(end + 1)
}

fn is_control(byte: u8) -> bool {
    byte < b' ' && byte != b'\t'
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn json_is_written_without_needless_escapes() {
        for (line, plain) in [
            (r#"{"m":"{\u0022a\u0022:\u00221\u0022}"}"#, r#"{"m":"{\"a\":\"1\"}"}"#),
            (r#"x {"u":"https:\/\/h\/p\u003Fq=\u003d"}"#, r#"x {"u":"https://h/p?q=="}"#),
            (r#"{"m":"\u001b[31;1mred\u001b[0m \u001b"}"#, r#"{"m":"red \u001b"}"#),
            (r#"{"m":"a\u005cb \u00e9 \u000a"}"#, r#"{"m":"a\\b \u00e9 \u000a"}"#),
            (r#"{"m":"{\"k\":\"\\u0022v\\u0022 \\/\"}"}"#, r#"{"m":"{\"k\":\"\\\"v\\\" /\"}"}"#),
            (r#"{"m":"C:\\\u0041"}"#, r#"{"m":"C:\\\u0041"}"#),
            (r#"no document \u0022"#, r#"no document \u0022"#),
            (r#"{"m":"\u00"}"#, r#"{"m":"\u00"}"#),
        ] {
            assert_eq!(with_plain_json(line), plain, "{line}");
            let plain = plain.to_owned();
            assert_eq!(with_plain_json(&plain), plain);
        }
    }

    #[test]
    fn json_without_needless_escapes_says_the_same() {
        let text: String = (' '..='~').collect();
        let escaped: String = text.chars().map(|char| format!("\\u{:04X}", char as u32)).collect();
        let plain = with_plain_json(&format!("{{\"m\":\"{escaped}\"}}")).into_owned();
        let read: serde_json::Value = serde_json::from_str(&plain).unwrap();
        assert_eq!(read["m"], text);
    }
}
