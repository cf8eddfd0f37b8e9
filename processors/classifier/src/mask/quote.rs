//! Quotes around names and values, escaped once or several times over, as in JSON inside JSON.

use crate::scan::{at, from};

/// Deepest quote that is understood: three documents inside one another.
const MAX_BACKSLASHES: usize = 7;

/// A quote, and the backslashes before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quote {
    mark: u8,
    backslashes: usize,
}

impl Quote {
    /// The quote at `pos`, if one stands there, and what is behind it.
    pub(super) fn at(bytes: &[u8], pos: usize) -> Option<(Self, usize)> {
        let mut mark_at = pos;
        while at(bytes, mark_at) == b'\\' && mark_at - pos < MAX_BACKSLASHES {
            mark_at += 1;
        }
        let mark = at(bytes, mark_at);
        let quote = Self { mark, backslashes: mark_at - pos };
        matches!(mark, b'"' | b'\'' | b'`').then_some((quote, mark_at + 1))
    }

    /// Where the text that this quote opened ends: before the same quote, escaped as often.
    pub(super) fn end(self, bytes: &[u8], start: usize) -> usize {
        // At each level twice as many backslashes stand for one; those of the quote itself remain.
        let step = (self.backslashes + 1) * 2;
        for found in memchr::memchr_iter(self.mark, from(bytes, start)) {
            let mark_at = start + found;
            let text_end = before_backslashes(bytes, mark_at).max(start);
            let backslashes = mark_at - text_end;
            if backslashes % step == self.backslashes {
                return mark_at - self.backslashes;
            }
            // Fewer: the document around has come to its end.
            if backslashes < self.backslashes {
                return text_end;
            }
        }
        bytes.len()
    }

    /// Behind the quote that closes a text which ends at `end`.
    pub(super) fn behind(self, end: usize) -> usize {
        end + self.backslashes + 1
    }

    pub(super) fn is_escaped(self) -> bool {
        self.backslashes > 0
    }
}

/// The first of the backslashes that stand right before `pos`, or `pos`.
pub(super) fn before_backslashes(bytes: &[u8], pos: usize) -> usize {
    let mut start = pos;
    while start > 0 && at(bytes, start - 1) == b'\\' {
        start -= 1;
    }
    start
}

/// Whether a word can begin at `pos`: what stands before is no letter or digit, or is escaped.
pub(super) fn word_begins(bytes: &[u8], pos: usize) -> bool {
    pos == 0 || !at(bytes, pos - 1).is_ascii_alphanumeric() || behind_escape(bytes, pos)
}

/// Whether an escaped character ends before `pos`: `\n`, `\u0026`, `%3D`.
fn behind_escape(bytes: &[u8], pos: usize) -> bool {
    let before = |count: usize| pos.checked_sub(count).map_or(0, |place| at(bytes, place));
    let hexadecimal = |count: usize| (1..=count).all(|place| before(place).is_ascii_hexdigit());
    (matches!(before(1), b'n' | b't' | b'r' | b'b' | b'f') && before(2) == b'\\')
        || (before(3) == b'%' && hexadecimal(2))
        || (before(6) == b'\\' && before(5) == b'u' && hexadecimal(4))
}

/// `start`, or behind the escape whose backslash stands right before: `\n` is not to be torn apart.
pub(super) fn behind_torn_escape(bytes: &[u8], start: usize) -> usize {
    let is_torn = (start - before_backslashes(bytes, start)) % 2 == 1;
    match at(bytes, start) {
        b'u' if is_torn => start + 5,
        _ if is_torn => start + 1,
        _ => start,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_text_ends_at_the_quote_that_opened_it() {
        for (text, inside) in [
            (r#""a" b"#, "a"),
            (r#""a\"b" c"#, r#"a\"b"#),
            (r#""a\\" c""#, r"a\\"),
            (r#"\"a\\\"b\" c"#, r#"a\\\"b"#),
            (r#"\\\"a\\\" \""#, "a"),
            (r#"\"torn" c"#, "torn"),
            (r#"'it"s' b"#, r#"it"s"#),
            (r#""open"#, "open"),
        ] {
            let (quote, start) = Quote::at(text.as_bytes(), 0).unwrap();
            let end = quote.end(text.as_bytes(), start);
            assert_eq!(&text[start..end], inside, "{text}");
        }
    }

    #[test]
    fn words_begin_behind_escapes() {
        for (before, expected) in [
            ("", true),
            (" ", true),
            ("x", false),
            (r"\n", true),
            (r"\u0026", true),
            ("%3D", true),
            ("n", false),
        ] {
            let text = format!("{before}word");
            assert_eq!(word_begins(text.as_bytes(), before.len()), expected, "{before}");
        }
    }
}
