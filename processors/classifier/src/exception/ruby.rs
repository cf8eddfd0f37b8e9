//! Exceptions of Ruby: as the interpreter prints them, and as Rails and loggers write them.

use hephaestus_schemas::{Exception, Frame};

use super::{Found, MAX_FRAMES, chain, exception, line_number, names};
use crate::scan::{slice, tail};

/// Looks for an exception with at least one frame.
pub(super) fn find(text: &str) -> Option<Found> {
    let mut sections: Vec<Exception> = Vec::new();
    let mut start = None;
    let mut open: Option<Exception> = None;
    let mut offset = 0;
    // What stands directly before frames that have no head of their own.
    let mut before: Option<(&str, usize)> = None;
    for line in text.split('\n') {
        let line_start = offset;
        offset += line.len() + 1;
        if let Some((frame, type_name, message)) = head(line) {
            sections.extend(open.take());
            start.get_or_insert(line_start);
            open = Some(exception(type_name, message, vec![frame]));
        } else if let Some(frame) = frame(line) {
            if open.is_none() {
                let (head, at) = before.take()?;
                let (position, type_name, message) = logged(head)?;
                start.get_or_insert(at + position);
                open = Some(exception(type_name, message, Vec::new()));
            }
            if let Some(open) = &mut open
                && open.frames.len() < MAX_FRAMES
            {
                open.frames.push(frame);
            }
        } else if !line.trim().is_empty() {
            if open.is_some() {
                // The trace is over.
                break;
            }
            before = Some((line, line_start));
        }
    }
    sections.extend(open);
    Some(Found { exception: chain(sections)?, start: start? })
}

/// ``app.rb:5:in `divide': divided by 0 (ZeroDivisionError)``: its frame, type and message.
fn head(line: &str) -> Option<(Frame, &str, &str)> {
    let (frame, rest) = place(line.trim())?;
    let rest = rest.strip_prefix(": ")?;
    let open = rest.rfind(" (")?;
    let type_name = tail(rest, open + 2).strip_suffix(')')?;
    is_constant(type_name).then_some((frame, type_name, slice(rest, 0, open)))
}

/// Whether a line is what the interpreter prints first of an exception.
pub(crate) fn is_head(line: &str) -> bool {
    line.ends_with(')') && head(line).is_some()
}

/// Whether a line is a frame.
pub(crate) fn is_frame(line: &str) -> bool {
    frame(line).is_some()
}

/// ``from app.rb:10:in `<main>'``, with or without its first word, or numbered from the outermost.
fn frame(line: &str) -> Option<Frame> {
    let text = line.trim();
    let text =
        text.trim_start_matches(|char: char| char.is_ascii_digit() || matches!(char, ':' | ' '));
    let text = text.strip_prefix("from ").unwrap_or(text);
    let (frame, rest) = place(text)?;
    rest.is_empty().then_some(frame)
}

/// ``file:line:in `function'``, and what follows.
fn place(text: &str) -> Option<(Frame, &str)> {
    const IN: &str = ":in ";
    let marker = memchr::memmem::find(text.as_bytes(), IN.as_bytes())?;
    let (file, line) = slice(text, 0, marker).rsplit_once(':')?;
    let line = line_number(line)?;
    let quoted = tail(text, marker + IN.len());
    // Ruby 3.4 opens with an apostrophe where earlier ones have a backtick.
    let name = quoted.strip_prefix(['`', '\''])?;
    let close = memchr::memchr(b'\'', name.as_bytes())?;
    if file.is_empty() {
        return None;
    }
    let frame = Frame {
        function: Some(slice(name, 0, close).to_owned()),
        module: None,
        file: Some(file.to_owned()),
        line: Some(line),
        column: None,
        in_app: false,
    };
    Some((frame, tail(name, close + 1)))
}

/// `ActiveRecord::RecordNotFound (Couldn't find User):`, or `ZeroDivisionError: divided by 0`, behind a log
/// message perhaps, or `divided by 0 (ZeroDivisionError)`, as `Logger` writes an exception: where it begins, type and
/// message.
fn logged(line: &str) -> Option<(usize, &str, &str)> {
    for (position, word) in names::words(line) {
        let rest = tail(line, position);
        let name = word.trim_end_matches(':');
        if is_constant(name) && (name.contains("::") || names::is_exception_name(name)) {
            let behind = tail(rest, name.len());
            if let Some(message) = behind.strip_prefix(" (") {
                let message = message.trim_end().trim_end_matches(':');
                return Some((position, name, message.strip_suffix(')').unwrap_or(message)));
            }
            if let Some(message) = behind.strip_prefix(':') {
                return Some((position, name, message.trim()));
            }
        }
    }
    let open = line.rfind(" (")?;
    let name = tail(line, open + 2).trim_end().strip_suffix(')')?;
    let is_type = is_constant(name) && (name.contains("::") || names::is_exception_name(name));
    is_type.then(|| (0, name, slice(line, 0, open).trim()))
}

/// `A::B::CError`.
fn is_constant(name: &str) -> bool {
    !name.is_empty()
        && name.split("::").all(|part| {
            part.starts_with(|char: char| char.is_ascii_uppercase())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        })
}
