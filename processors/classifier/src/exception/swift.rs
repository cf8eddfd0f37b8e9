//! Failures that end a program in Swift: one line, with the place in it.

use hephaestus_schemas::Frame;

use super::{Found, exception, line_number};
use crate::scan::{slice, tail};

const MARKER: &str = "Fatal error: ";

/// `Shop/Cart.swift:12: Fatal error: message`, or before Swift 5.4 `Fatal error: message: file Shop/Cart.swift, line 12`.
pub(super) fn one_line(text: &str) -> Option<Found> {
    // Most lines end here, at their first word.
    let word = text.split(' ').next().unwrap_or("");
    if !(word == "Fatal" || (word.ends_with(':') && word.contains(".swift:"))) {
        return None;
    }
    let marker = memchr::memmem::find(text.as_bytes(), MARKER.as_bytes())?;
    let behind = tail(text, marker + MARKER.len());
    let before = slice(text, 0, marker).trim_end().strip_suffix(':');
    let (file, line, message, start) = match before.and_then(|place| place.rsplit_once(':')) {
        Some((file, line)) => {
            let start = file.rfind(' ').map_or(0, |space| space + 1);
            (tail(file, start), line, behind, start)
        }
        None => {
            let (message, place) = behind.rsplit_once(": file ")?;
            let (file, line) = place.trim_end().rsplit_once(", line ")?;
            (file, line, message, marker)
        }
    };
    let line = line_number(line).filter(|_| file.ends_with(".swift"))?;
    let frame = Frame { file: Some(file.to_owned()), line: Some(line), ..Frame::default() };
    Some(Found { exception: exception("Fatal error", message.trim(), vec![frame]), start })
}
