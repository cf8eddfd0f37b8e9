//! Stack traces of the JVM: Java, Kotlin, Scala.

use hephaestus_schemas::{Exception, Frame};

use super::{Found, MAX_FRAMES, chain, exception, line_number, names};
use crate::scan::{slice, tail};

/// Looks for a trace with at least one frame.
pub(super) fn find(text: &str) -> Option<Found> {
    let mut sections: Vec<Exception> = Vec::new();
    let mut start = 0;
    let mut head: Option<Head<'_>> = None;
    let mut frames: Vec<Frame> = Vec::new();
    // Depth of a `Suppressed:` section; what is indented deeper belongs to it and is passed over.
    let mut suppressed: Option<usize> = None;
    let mut offset = 0;
    let mut seen_frame = false;
    // Whether another line would go on with the message of the last head.
    let mut in_message = false;
    for line in text.split('\n') {
        let line_start = offset;
        offset += line.len() + 1;
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        if let Some(depth) = suppressed {
            if indent > depth {
                continue;
            }
            suppressed = None;
        }
        if let Some(found) = frame(trimmed) {
            seen_frame = true;
            in_message = false;
            if frames.len() < MAX_FRAMES {
                frames.push(found);
            }
        } else if seen_frame && trimmed.starts_with("Suppressed: ") {
            suppressed = Some(indent);
        } else if seen_frame && trimmed.starts_with("Caused by: ") {
            close(&mut sections, head.take(), std::mem::take(&mut frames));
            head = Head::read(trimmed, line_start);
            in_message = head.is_some();
        } else if seen_frame && is_omission(trimmed) {
            // All frames of a cause may be those of the exception before it.
            in_message = false;
        } else if !seen_frame || in_message {
            extend(&mut head, line, line_start, seen_frame);
            if sections.is_empty() {
                start = head.as_ref().map_or(0, |head| head.start);
            }
        } else if trimmed.starts_with("at ") || trimmed.is_empty() {
            // Frames cut short.
        } else if indent == 0 {
            // The trace is over; what follows is other text of the event.
            break;
        }
    }
    if !seen_frame {
        return None;
    }
    close(&mut sections, head, frames);
    Some(Found { exception: chain(sections)?, start })
}

/// The first line of an exception, and how far its message runs.
struct Head<'a> {
    type_name: &'a str,
    message: String,
    start: usize,
}

impl<'a> Head<'a> {
    /// At the beginning of a line, or behind a log message on it: `failed: java.io.IOException: x`.
    fn read(line: &'a str, line_start: usize) -> Option<Self> {
        if let Some(header) = names::header(line) {
            let start = line_start;
            return Some(Self {
                type_name: header.type_name,
                message: header.message.to_owned(),
                start,
            });
        }
        let position = names::dotted(line).next()?;
        let header = names::header(tail(line, position))?;
        Some(Self {
            type_name: header.type_name,
            message: header.message.to_owned(),
            start: line_start + position,
        })
    }
}

/// Before the frames: a header begins an exception, another line continues its message. A later
/// header replaces an earlier one only where that had no exception's name.
fn extend<'a>(head: &mut Option<Head<'a>>, line: &'a str, line_start: usize, in_cause: bool) {
    if let Some(current) = head {
        let certain = names::is_exception_name(current.type_name) || in_cause;
        if certain || names::header(line).is_none() {
            if current.message.len() < super::MAX_MESSAGE {
                current.message.push('\n');
                current.message.push_str(line.trim_end());
            }
            return;
        }
    }
    if let Some(found) = Head::read(line, line_start) {
        *head = Some(found);
    }
}

fn close(sections: &mut Vec<Exception>, head: Option<Head<'_>>, frames: Vec<Frame>) {
    let (type_name, message) = match &head {
        Some(head) => (head.type_name, head.message.as_str()),
        None if frames.is_empty() => return,
        None => ("Throwable", ""),
    };
    if sections.len() < super::MAX_CHAIN {
        sections.push(exception(type_name, message.trim(), frames));
    }
}

/// `... 23 more`, `... 23 common frames omitted`.
fn is_omission(line: &str) -> bool {
    line.strip_prefix("... ")
        .is_some_and(|rest| rest.as_bytes().first().is_some_and(u8::is_ascii_digit))
}

/// `at loader/module@1.0/package.Class.method(File.java:12)`.
fn frame(line: &str) -> Option<Frame> {
    let rest = line.strip_prefix("at ")?;
    let open = memchr::memchr(b'(', rest.as_bytes())?;
    let close = open + memchr::memchr(b')', tail(rest, open).as_bytes())?;
    let location = slice(rest, open + 1, close);
    let qualified = slice(rest, 0, open);
    let qualified = qualified.rsplit('/').next().unwrap_or("");
    let dot = qualified.rfind('.')?;
    if qualified.contains(' ') || !is_location(location) {
        return None;
    }
    let (file, line) = match location.rsplit_once(':') {
        Some((file, number)) => (Some(file), line_number(number)),
        None if matches!(location, "Native Method" | "Unknown Source") => (None, None),
        None => (Some(location), None),
    };
    Some(Frame {
        function: Some(tail(qualified, dot + 1).to_owned()),
        module: Some(slice(qualified, 0, dot).to_owned()),
        file: file.filter(|file| !file.is_empty()).map(str::to_owned),
        line,
        column: None,
        in_app: false,
    })
}

/// A source file with a line, or one of the words that stand for none. JavaScript's locations
/// have a line and a column, or a path.
fn is_location(location: &str) -> bool {
    if matches!(location, "Native Method" | "Unknown Source" | "<generated>" | "") {
        return true;
    }
    let (file, number) = location.rsplit_once(':').unwrap_or((location, "1"));
    let named = !file.contains(['/', '\\', ':', ' ']) && file.contains('.');
    named && number.bytes().all(|byte| byte.is_ascii_digit()) && !is_script(file)
}

fn is_script(file: &str) -> bool {
    [".js", ".mjs", ".cjs", ".ts", ".tsx", ".jsx"].iter().any(|end| file.ends_with(end))
}
