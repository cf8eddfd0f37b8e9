//! Failures as pytest reports them: source lines, `E   ` lines, and a location for each frame.

use hephaestus_schemas::Frame;

use super::{Found, MAX_FRAMES, exception, line_number, names};
use crate::scan::{at, run_end, slice, tail};

/// Looks for a report: at least one `E` line.
pub(super) fn find(text: &str) -> Option<Found> {
    let mut report = Report::default();
    for line in text.split('\n') {
        report.line(line.trim_end());
    }
    let mut found = report.finish()?;
    // The title says which test failed: it is the event's own message.
    let first = text.split('\n').next().unwrap_or("");
    if title(first).is_some() {
        found.start = first.len();
    }
    Some(found)
}

#[derive(Default)]
struct Report<'a> {
    title: Option<&'a str>,
    /// Function whose source was shown last.
    function: Option<&'a str>,
    frames: Vec<Frame>,
    type_name: Option<&'a str>,
    message: Option<String>,
    /// Type that the last location names.
    located_type: Option<&'a str>,
    /// What the test printed follows; nothing in it belongs to the failure.
    captured: bool,
}

impl<'a> Report<'a> {
    fn line(&mut self, line: &'a str) {
        if let Some(title) = title(line) {
            self.title.get_or_insert(title);
        } else if line.starts_with("----") && line.contains(" Captured ") {
            self.captured = true;
        }
        if self.captured {
            return;
        }
        if let Some(error) = error_line(line) {
            self.error(error);
        } else if let Some(name) = definition(line) {
            self.function = Some(name);
        } else if let Some(frame) = self.location(line) {
            if self.frames.len() < MAX_FRAMES {
                self.frames.push(frame);
            }
            self.function = None;
        }
    }

    fn error(&mut self, error: &'a str) {
        match (&mut self.message, names::header(error)) {
            (None, Some(header)) => {
                self.type_name = Some(header.type_name);
                self.message = Some(header.message.to_owned());
            }
            (None, None) => self.message = Some(error.to_owned()),
            (Some(message), _) => {
                if message.len() < super::MAX_MESSAGE {
                    message.push('\n');
                    message.push_str(error);
                }
            }
        }
    }

    /// `path/file.py:82: in func`, `path/file.py:82: `, `path/file.py:82: ValueError`.
    fn location(&mut self, line: &'a str) -> Option<Frame> {
        let marker = line.find(".py:")?;
        if line.starts_with([' ', '>', 'E']) {
            return None;
        }
        let after = tail(line, marker + 4);
        let digits = run_end(after.as_bytes(), 0, |byte| byte.is_ascii_digit());
        let number = line_number(slice(after, 0, digits))?;
        if at(after.as_bytes(), digits) != b':' {
            return None;
        }
        let rest = tail(after, digits + 1).trim();
        let function = match rest.strip_prefix("in ") {
            Some(name) => Some(name),
            None if rest.is_empty() => self.function,
            None if names::is_exception_name(rest) || !rest.contains(' ') => {
                self.located_type = Some(rest);
                self.function
            }
            None => return None,
        };
        Some(Frame {
            function: function.or_else(|| self.test_name()).map(str::to_owned),
            module: None,
            file: Some(slice(line, 0, marker + 3).to_owned()),
            line: Some(number),
            column: None,
            in_app: false,
        })
    }

    fn test_name(&self) -> Option<&'a str> {
        let title = self.title?;
        let name = title.split('[').next().unwrap_or(title);
        if self.frames.is_empty() { name.rsplit('.').next() } else { None }
    }

    fn finish(self) -> Option<Found> {
        let message = self.message?;
        let type_name = self.type_name.or(self.located_type).unwrap_or("AssertionError");
        let mut frames = self.frames;
        frames.reverse();
        Some(Found { exception: exception(type_name, message.trim(), frames), start: 0 })
    }
}

/// `____ TestClass.test_name ____`.
pub(crate) fn title(line: &str) -> Option<&str> {
    let line = line.trim_end();
    if !line.starts_with('_') || !line.ends_with('_') || line.len() < 20 {
        return None;
    }
    let name = line.trim_matches('_').trim();
    let framed = line.starts_with("_ ") || line.starts_with("__");
    let is_rule = name.is_empty() || name.starts_with("_ ");
    (framed && !is_rule && line.contains("_ ") && line.contains(" _")).then_some(name)
}

/// What stands behind the `E` of an error line.
fn error_line(line: &str) -> Option<&str> {
    if line == "E" {
        return Some("");
    }
    line.strip_prefix("E  ").map(str::trim)
}

/// The name in `def name(`, at any indentation or behind pytest's `>`.
fn definition(line: &str) -> Option<&str> {
    let trimmed = line.trim_start_matches(['>', ' ']);
    let rest = trimmed.strip_prefix("async ").unwrap_or(trimmed).strip_prefix("def ")?;
    let end = run_end(rest.as_bytes(), 0, crate::scan::is_ident);
    (end > 0).then(|| slice(rest, 0, end))
}
