//! Rust panics, with the backtrace that RUST_BACKTRACE prints.

use hephaestus_schemas::Frame;

use super::{Found, MAX_FRAMES, exception, line_number};
use crate::scan::{run_end, slice, tail};

const MARKER: &str = "panicked at ";

/// A panic of which only one line is there.
pub(super) fn one_line(text: &str) -> Option<Found> {
    if text.starts_with("thread '") && text.contains(MARKER) { find(text) } else { None }
}

/// Looks for a panic.
pub(super) fn find(text: &str) -> Option<Found> {
    let marker = memchr::memmem::find(text.as_bytes(), MARKER.as_bytes())?;
    let before = slice(text, 0, marker);
    let start = before.rfind("thread '")?;
    let mut lines = tail(text, marker + MARKER.len()).split('\n');
    let first = lines.next().unwrap_or("").trim_end();
    let (mut message, location) = split_first(first);
    let mut frames: Vec<Frame> = Vec::new();
    let mut in_backtrace = false;
    for line in lines {
        let trimmed = line.trim();
        if trimmed == "stack backtrace:" {
            in_backtrace = true;
        } else if trimmed.starts_with("note: ") {
            in_backtrace = false;
        } else if in_backtrace {
            backtrace_line(trimmed, &mut frames);
        } else if frames.is_empty() && message.len() < super::MAX_MESSAGE {
            if !message.is_empty() {
                message.push('\n');
            }
            message.push_str(trimmed);
        }
    }
    if frames.is_empty() {
        frames.extend(location);
    } else {
        drop_machinery(&mut frames);
    }
    Some(Found { exception: exception("panic", message.trim(), frames), start })
}

/// The line of the panic: `src/main.rs:4:5:` and a message below, or `'message', src/main.rs:4:5`.
fn split_first(line: &str) -> (String, Option<Frame>) {
    if let Some(rest) = line.strip_prefix('\'')
        && let Some(close) = rest.rfind("', ")
    {
        let message = slice(rest, 0, close).to_owned();
        return (message, location(tail(rest, close + 3)));
    }
    match location(line.trim_end_matches(':')) {
        Some(frame) => (String::new(), Some(frame)),
        None => (line.to_owned(), None),
    }
}

/// `src/main.rs:4:5`.
pub(super) fn location(text: &str) -> Option<Frame> {
    let (rest, column) = text.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    Some(Frame {
        function: None,
        module: None,
        file: Some(file.to_owned()),
        line: Some(line_number(line)?),
        column: Some(line_number(column)?),
        in_app: false,
    })
}

/// `3: crate::module::function`, or the `at file:line:column` of the frame before.
pub(super) fn backtrace_line(line: &str, frames: &mut Vec<Frame>) {
    if let Some(place) = line.strip_prefix("at ") {
        if let (Some(found), Some(frame)) = (location(place), frames.last_mut()) {
            frame.file = found.file;
            frame.line = found.line;
            frame.column = found.column;
        }
        return;
    }
    let digits = run_end(line.as_bytes(), 0, |byte| byte.is_ascii_digit());
    if digits == 0 || frames.len() >= MAX_FRAMES {
        return;
    }
    let Some(rest) = tail(line, digits).strip_prefix(": ") else { return };
    // `0: 0x5581 - function` with RUST_BACKTRACE=full.
    let name = match rest.trim_start().strip_prefix("0x") {
        Some(address) => address.split_once(" - ").map_or("", |(_, name)| name),
        None => rest,
    };
    let module =
        name.trim_start_matches('<').rsplit_once("::").map(|(module, _)| module.to_owned());
    frames.push(Frame { function: Some(name.trim().to_owned()), module, ..Frame::default() });
}

/// `3: shop::pay`: a frame of a backtrace.
pub(crate) fn is_frame(line: &str) -> bool {
    let digits = run_end(line.as_bytes(), 0, |byte| byte.is_ascii_digit());
    digits > 0 && tail(line, digits).strip_prefix(": ").is_some_and(|name| !name.is_empty())
}

/// The frames of the panic itself are not where it was raised.
fn drop_machinery(frames: &mut Vec<Frame>) {
    let raised = frames.iter().rposition(|frame| {
        let name = frame.function.as_deref().unwrap_or("");
        [
            "rust_begin_unwind",
            "core::panicking::",
            "std::panicking::begin_panic",
            "core::option::",
            "core::result::",
        ]
        .iter()
        .any(|part| name.contains(part))
    });
    if let Some(index) = raised
        && index + 1 < frames.len()
        && index < 12
    {
        frames.drain(..=index);
    }
}
