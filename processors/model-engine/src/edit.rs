//! Edits that name their place by text standing exactly once in the file.
//!
//! The text is widened by whole neighbouring lines until it is unique, within bounds.

use std::ops::Range;

use hephaestus_schemas::Edit;

/// Lines by which the text to find may be widened.
pub const MAX_WIDENED_LINES: usize = 40;
/// Bytes of the text to find.
pub const MAX_FIND_BYTES: usize = 16 * 1024;

/// Why a change cannot be written as an edit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The range lies outside the file or within a character.
    #[error("range {start}..{end} is no text of {path}")]
    Range {
        /// Path of the file.
        path: String,
        /// First byte.
        start: usize,
        /// Byte after the last.
        end: usize,
    },
    /// The text stands more than once, however it is widened.
    #[error(
        "line {line} of {path} cannot be told from a like one within {MAX_WIDENED_LINES} lines"
    )]
    Ambiguous {
        /// Path of the file.
        path: String,
        /// First line of the change, from 1.
        line: usize,
    },
    /// The text to find would be too long.
    #[error("edit at line {line} of {path} needs more than {MAX_FIND_BYTES} bytes to be found")]
    TooLong {
        /// Path of the file.
        path: String,
        /// First line of the change, from 1.
        line: usize,
    },
    /// The replacement is what stands there already.
    #[error("edit of {path} changes nothing")]
    Nothing {
        /// Path of the file.
        path: String,
    },
}

/// Writes the replacement of a byte range as an edit whose `find` stands exactly once in `text`.
///
/// `find` is made of whole lines: those of the range, then as many neighbours, before and after in
/// turn, as it takes to be unique.
///
/// # Errors
/// Where the range is no text of the file, the change is empty, or no bounded widening is unique.
pub fn anchored(
    path: &str,
    text: &str,
    range: Range<usize>,
    replacement: &str,
) -> Result<Edit, EditError> {
    let Some(old) = text.get(range.clone()) else {
        return Err(EditError::Range { path: path.to_owned(), start: range.start, end: range.end });
    };
    if old == replacement {
        return Err(EditError::Nothing { path: path.to_owned() });
    }
    let line = text.as_bytes()[..range.start].iter().filter(|byte| **byte == b'\n').count() + 1;
    let mut start = line_start(text, range.start);
    let mut end = line_end(text, range.end);
    let mut before = true;
    for _ in 0..=MAX_WIDENED_LINES {
        let find = &text[start..end];
        if find.len() > MAX_FIND_BYTES {
            return Err(EditError::TooLong { path: path.to_owned(), line });
        }
        if stands_once(text, find) {
            let mut replace = String::with_capacity(find.len() + replacement.len());
            replace.push_str(&text[start..range.start]);
            replace.push_str(replacement);
            replace.push_str(&text[range.end..end]);
            return Ok(Edit { path: path.to_owned(), find: find.to_owned(), replace });
        }
        let can_go_up = start > 0;
        let can_go_down = end < text.len();
        if can_go_up && (before || !can_go_down) {
            start = line_start(text, start - 1);
        } else if can_go_down {
            end = line_end(text, end + 1);
        } else {
            break;
        }
        before = !before;
    }
    Err(EditError::Ambiguous { path: path.to_owned(), line })
}

/// Applies an edit; `None` where its text does not stand exactly once.
pub fn applied(text: &str, edit: &Edit) -> Option<String> {
    if !stands_once(text, &edit.find) {
        return None;
    }
    Some(text.replacen(&edit.find, &edit.replace, 1))
}

/// Whether a text stands exactly once in another, overlapping places counted too.
pub fn stands_once(text: &str, find: &str) -> bool {
    if find.is_empty() {
        return false;
    }
    let Some(first) = text.find(find) else {
        return false;
    };
    let next = first + find.chars().next().map_or(1, char::len_utf8);
    !text.get(next..).is_some_and(|rest| rest.contains(find))
}

/// Start of the line that holds a byte.
fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// End of the line that holds a byte, without its line break.
fn line_end(text: &str, at: usize) -> usize {
    let Some(rest) = text.get(at..) else {
        return text.len();
    };
    let end = rest.find('\n').map_or(text.len(), |newline| at + newline);
    // A carriage return belongs to the line break, unless the range itself goes beyond it.
    if end > at && text.as_bytes()[end - 1] == b'\r' {
        return end - 1;
    }
    end
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::bounded;

    #[test]
    fn a_unique_line_is_found_as_it_stands() {
        let text = "a = 1\nb = 2\n";
        let edit = anchored("x.py", text, 10..11, "3").unwrap();
        assert_eq!((edit.find.as_str(), edit.replace.as_str()), ("b = 2", "b = 3"));
        assert_eq!(applied(text, &edit).unwrap(), "a = 1\nb = 3\n");
    }

    #[test]
    fn a_repeated_line_is_widened_until_it_is_unique() {
        let text = "def f():\n    return a\n\ndef g():\n    return a\n";
        let second = text.rfind('a').unwrap();
        let edit = anchored("x.py", text, second..second + 1, "b").unwrap();
        assert_eq!(edit.find, "def g():\n    return a");
        assert_eq!(
            applied(text, &edit).unwrap(),
            "def f():\n    return a\n\ndef g():\n    return b\n"
        );
    }

    #[test]
    fn a_line_that_cannot_be_told_from_its_likes_is_refused() {
        let text = "pass\n".repeat(500);
        let error = anchored("x.py", &text, 1000..1004, "x()").unwrap_err();
        assert!(matches!(error, EditError::Ambiguous { line: 201, .. }), "{error}");
    }

    #[test]
    fn a_carriage_return_stays_with_its_line_break() {
        let text = "a = 1\r\nb = 2\r\n";
        let edit = anchored("x.py", text, 4..5, "3").unwrap();
        assert_eq!(edit.find, "a = 1");
    }

    #[test]
    fn an_empty_or_impossible_change_is_refused() {
        assert!(matches!(anchored("x", "abc", 1..2, "b"), Err(EditError::Nothing { .. })));
        assert!(matches!(anchored("x", "abc", 2..9, "b"), Err(EditError::Range { .. })));
        assert!(matches!(anchored("x", "ß", 1..2, "b"), Err(EditError::Range { .. })));
    }

    #[test]
    fn overlapping_places_count() {
        assert!(!stands_once("aaa", "aa"));
        assert!(stands_once("aab", "aa"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn an_edit_does_what_replacing_the_range_does(
            text in "([ab ]{0,3}\r?\n){0,12}[abß]{0,3}",
            from in 0usize..60,
            length in 0usize..12,
            replacement in "[xß\n]{0,4}",
        ) {
            let start = bounded(&text, from).len();
            let end = bounded(&text, from + length).len().max(start);
            if let Ok(edit) = anchored("x", &text, start..end, &replacement) {
                prop_assert!(stands_once(&text, &edit.find));
                let expected = format!("{}{replacement}{}", &text[..start], &text[end..]);
                prop_assert_eq!(applied(&text, &edit).unwrap(), expected);
            }
        }
    }
}
