//! Stack traces of JavaScript and TypeScript, as V8 (Node, Chrome) and Gecko (Firefox; Safari alike) print them.

use hephaestus_schemas::{Exception, Frame};

use super::{Found, MAX_FRAMES, chain, exception, line_number, names};
use crate::scan::{slice, tail};

/// Looks for a trace with at least one frame.
pub(super) fn find(text: &str) -> Option<Found> {
    let mut sections: Vec<Exception> = Vec::new();
    let mut head: Option<(&str, String)> = None;
    let mut frames: Vec<Frame> = Vec::new();
    let mut start = 0;
    let mut offset = 0;
    let mut seen_frame = false;
    let mut in_errors = false;
    for line in text.split('\n') {
        let line_start = offset;
        offset += line.len() + 1;
        let trimmed = line.trim();
        if let Some(found) = frame(trimmed) {
            seen_frame = true;
            if frames.len() < MAX_FRAMES {
                frames.push(found);
            }
            continue;
        }
        // Of the errors that an `AggregateError` holds, the first stands for all.
        if in_errors && !frames.is_empty() && names::header(trimmed).is_some() {
            break;
        }
        let begins_errors = seen_frame && trimmed == "[errors]: [";
        let is_cause = begins_errors
            || (seen_frame
                && (trimmed.starts_with("[cause]: ") || trimmed.starts_with("Caused by: ")));
        if is_cause {
            close(&mut sections, head.take(), std::mem::take(&mut frames));
        }
        if begins_errors {
            in_errors = true;
        } else if is_cause || ((!seen_frame || in_errors) && head.is_none()) {
            if let Some(header) = embedded(trimmed) {
                head = Some((header.type_name, header.message.to_owned()));
                if sections.is_empty() {
                    start = line_start + line.find(header.type_name).unwrap_or(0);
                }
            }
        } else if frames.is_empty()
            && let Some((_, message)) = &mut head
            && message.len() < super::MAX_MESSAGE
        {
            message.push('\n');
            message.push_str(trimmed);
        }
    }
    if !seen_frame {
        return None;
    }
    close(&mut sections, head, frames);
    Some(Found { exception: chain(sections)?, start })
}

/// A header at the beginning of a line, or behind a log message on it: `failed TypeError: x`.
fn embedded(line: &str) -> Option<names::Header<'_>> {
    if let Some(header) = names::header(line) {
        return Some(header);
    }
    let is_name =
        |word: &str| word.ends_with(':') && names::is_exception_name(word.trim_end_matches(':'));
    let (position, _) = names::words(line).find(|(_, word)| is_name(word))?;
    names::header(tail(line, position))
}

fn close(sections: &mut Vec<Exception>, head: Option<(&str, String)>, frames: Vec<Frame>) {
    let (type_name, message) = match &head {
        Some((type_name, message)) => (*type_name, message.as_str()),
        None if frames.is_empty() => return,
        None => ("Error", ""),
    };
    if sections.len() < super::MAX_CHAIN {
        // An object's fields follow the stack in braces.
        let message = message.trim_end_matches(" {");
        sections.push(exception(type_name, message, frames));
    }
}

/// `at fn (file:1:2)`, `at async fn (file:1:2)`, `at file:1:2`, `at new C (<anonymous>)`.
fn frame(line: &str) -> Option<Frame> {
    let Some(rest) = line.strip_prefix("at ") else { return gecko_frame(line) };
    let rest = rest.trim_end_matches([' ', '{', ',']);
    let (function, location) = match rest.rfind(" (") {
        Some(open) if rest.ends_with(')') => {
            (Some(slice(rest, 0, open)), slice(rest, open + 2, rest.len() - 1))
        }
        _ => (None, rest.strip_prefix("async ").unwrap_or(rest)),
    };
    let (file, line, column) = location_of(location)?;
    let function = function.map(|function| function.strip_prefix("async ").unwrap_or(function));
    Some(Frame {
        function: function.filter(|function| !function.is_empty()).map(str::to_owned),
        module: None,
        file: Some(file.to_owned()),
        line,
        column,
        in_app: false,
    })
}

/// Whether a line is a frame as Firefox prints it.
pub(crate) fn is_gecko_frame(line: &str) -> bool {
    gecko_frame(line.trim()).is_some()
}

/// `total@https://shop.example/cart.js:12:7`; without a name at the top of a script.
fn gecko_frame(line: &str) -> Option<Frame> {
    let (function, location) = line.split_once('@')?;
    let (file, number, column) = location_of(location)?;
    let is_place = file.contains("://") || file.starts_with('/') || file.ends_with(".js");
    if function.contains(' ') || number.is_none() || !is_place {
        return None;
    }
    Some(Frame {
        function: (!function.is_empty()).then(|| function.to_owned()),
        module: None,
        file: Some(file.to_owned()),
        line: number,
        column,
        in_app: false,
    })
}

fn location_of(location: &str) -> Option<(&str, Option<i32>, Option<i32>)> {
    if matches!(location, "<anonymous>" | "native") {
        return Some((location, None, None));
    }
    let (rest, column) = location.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    let (line, column) = (line_number(line)?, line_number(column)?);
    let file = file.strip_prefix("file://").unwrap_or(file);
    (!file.is_empty()).then_some((file, Some(line), Some(column)))
}
