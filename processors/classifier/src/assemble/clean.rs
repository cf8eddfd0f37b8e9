//! Cleans a line of what is not its text.

use std::borrow::Cow;

use wide::u8x16;

use crate::scan::{self, slice};

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

fn is_control(byte: u8) -> bool {
    byte < b' ' && byte != b'\t'
}
