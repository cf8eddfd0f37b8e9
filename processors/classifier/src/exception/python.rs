//! Python tracebacks, chained ones and groups too.

use hephaestus_schemas::{Exception, Frame};

use super::{Found, MAX_FRAMES, exception, line_number, names};
use crate::scan::{at, run_end, slice, tail};

const MARKER: &str = "Traceback (most recent call last)";
const DIRECT_CAUSE: &str = "The above exception was the direct cause of the following exception:";
const DURING: &str = "During handling of the above exception, another exception occurred:";

/// Looks for tracebacks. The last one printed is the exception, those it was chained to are its causes.
pub(super) fn find(text: &str) -> Option<Found> {
    let mut reader = Reader { start: None, current: None, whole: None, linked: false, length: 0 };
    let mut offset = 0;
    for line in text.split('\n') {
        reader.line(line, offset);
        offset += line.len() + 1;
    }
    reader.close();
    Some(Found { exception: reader.whole?, start: reader.start? })
}

/// One traceback while it is read.
#[derive(Default)]
struct Section {
    /// What stands before the marker on its line: indentation, or a group's bars.
    margin: usize,
    grouped: bool,
    frames: Vec<Frame>,
    type_name: String,
    message: String,
    /// Whether the line with the type was read.
    ended: bool,
    /// The line before was a frame without indentation, which a collector took off.
    unindented_frame: bool,
}

struct Reader {
    start: Option<usize>,
    current: Option<Section>,
    whole: Option<Exception>,
    /// A sentence said that the next traceback was chained to the last.
    linked: bool,
    length: usize,
}

impl Reader {
    fn line(&mut self, line: &str, offset: usize) {
        if let Some(found) = memchr::memmem::find(line.as_bytes(), MARKER.as_bytes()) {
            let before = slice(line, 0, found);
            self.close();
            self.start.get_or_insert(offset + before.trim_end().len());
            let grouped = before.contains('+') || before.contains('|');
            let margin = if before.trim().is_empty() || grouped { found } else { 0 };
            self.current = Some(Section { margin, grouped, ..Section::default() });
            return;
        }
        let text = line.trim_end();
        if text.trim_start().trim_start_matches("| ").starts_with(DIRECT_CAUSE)
            || text.trim_start().trim_start_matches("| ").starts_with(DURING)
        {
            self.close();
            self.linked = true;
            return;
        }
        if let Some(section) = &mut self.current {
            section.line(text);
        }
    }

    /// Ends the traceback being read and links it to the one before.
    fn close(&mut self) {
        let Some(section) = self.current.take() else { return };
        let mut frames = section.frames;
        frames.reverse();
        let type_name = if section.type_name.is_empty() { "Exception" } else { &section.type_name };
        let mut made = exception(type_name, section.message.trim(), frames);
        let linked = std::mem::take(&mut self.linked);
        if linked && self.length < super::MAX_CHAIN {
            made.cause = self.whole.take().map(Box::new);
            self.length += 1;
        }
        // Members of a group stand behind the group itself, which is the exception; the first of them
        // says why the group was raised, where nothing else does.
        if section.grouped
            && !linked
            && let Some(group) = &mut self.whole
        {
            if group.cause.is_none() && self.length < super::MAX_CHAIN {
                group.cause = Some(Box::new(made));
                self.length += 1;
            }
            return;
        }
        self.whole = Some(made);
    }
}

impl Section {
    fn line(&mut self, line: &str) {
        let text = if self.grouped {
            line.trim_start().strip_prefix("| ").unwrap_or(line.trim_start())
        } else {
            behind_margin(line, self.margin)
        };
        if self.ended {
            if !text.starts_with("+-") && self.message.len() < super::MAX_MESSAGE && !self.grouped {
                self.message.push('\n');
                self.message.push_str(text);
            }
            return;
        }
        let was_frame = std::mem::take(&mut self.unindented_frame);
        if let Some(frame) = frame(text) {
            self.unindented_frame = text.starts_with('F');
            if self.frames.len() < MAX_FRAMES {
                self.frames.push(frame);
            }
            return;
        }
        let is_source = was_frame
            && !names::header(text).is_some_and(|found| names::is_exception_name(found.type_name));
        let is_marks = text.bytes().all(|byte| matches!(byte, b'^' | b'~' | b' '));
        let unindented = !text.starts_with([' ', '\t']) && !is_marks && !is_source;
        if unindented {
            self.ended = true;
            let end = run_end(text.as_bytes(), 0, |byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.') || byte >= 0x80
            });
            let colon = at(text.as_bytes(), end) == b':';
            if end > 0 && (colon || end == text.len()) {
                self.type_name = slice(text, 0, end).to_owned();
                self.message = tail(text, end + usize::from(colon)).trim().to_owned();
            } else {
                self.message = text.to_owned();
            }
        }
    }
}

/// The line without the margin that the whole traceback has.
fn behind_margin(line: &str, margin: usize) -> &str {
    let blank = slice(line, 0, margin).trim().is_empty();
    if margin > 0 && blank && line.len() >= margin { tail(line, margin) } else { line }
}

/// `File "x.py", line 3, in f`.
fn frame(line: &str) -> Option<Frame> {
    let rest = line.trim_start().strip_prefix("File \"")?;
    let quote = rest.find("\", line ")?;
    let after = tail(rest, quote + 8);
    let digits = run_end(after.as_bytes(), 0, |byte| byte.is_ascii_digit());
    let line = line_number(slice(after, 0, digits))?;
    let function = tail(after, digits).strip_prefix(", in ").map(str::trim);
    Some(Frame {
        function: function.filter(|name| !name.is_empty()).map(str::to_owned),
        module: None,
        file: Some(slice(rest, 0, quote).to_owned()),
        line: Some(line),
        column: None,
        in_app: false,
    })
}
