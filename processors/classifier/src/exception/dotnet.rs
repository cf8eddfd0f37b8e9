//! Stack traces of .NET: C#, F#, Visual Basic. The form is that of `System.Exception.ToString`.

use hephaestus_schemas::{Exception, Frame};

use super::{Found, MAX_FRAMES, chain, exception, line_number, names};
use crate::scan::{contains, run_end, slice, tail};

/// Opens an inner exception, on the line of the outer one or on the next.
const INNER: &str = " ---> ";
/// Stands behind the frames of an inner exception; those of the outer one follow.
const END_OF_INNER: &str = "--- End of inner exception stack trace ---";

/// Whether a line parts the frames of a trace without being one of them.
pub(crate) fn is_divider(line: &str) -> bool {
    let line = line.trim();
    line.starts_with("--- End of ") && line.ends_with("---")
}

/// Looks for a trace with at least one frame that no other runtime prints.
pub(super) fn find(text: &str) -> Option<Found> {
    let mut reader = Reader::default();
    let mut offset = 0;
    for line in text.split('\n') {
        if !reader.line(line, offset) {
            break;
        }
        offset += line.len() + 1;
    }
    reader.into_found()
}

#[derive(Default)]
struct Reader<'a> {
    start: Option<usize>,
    /// The outermost first, as they are named.
    heads: Vec<(&'a str, String)>,
    /// The innermost first, as their frames are printed.
    frames: Vec<Vec<Frame>>,
    current: Vec<Frame>,
    /// Something that only .NET prints was seen.
    is_certain: bool,
}

impl<'a> Reader<'a> {
    /// Reads a line; false behind the end of the trace.
    fn line(&mut self, line: &'a str, offset: usize) -> bool {
        let trimmed = line.trim();
        if let Some(found) = frame(trimmed) {
            self.is_certain |= found.1;
            if self.current.len() < MAX_FRAMES {
                self.current.push(found.0);
            }
            return true;
        }
        if trimmed == END_OF_INNER {
            self.is_certain = true;
            self.frames.push(std::mem::take(&mut self.current));
            return true;
        }
        if is_divider(trimmed) {
            self.is_certain = true;
            return true;
        }
        let has_frames = !(self.current.is_empty() && self.frames.is_empty());
        if has_frames {
            // Further inner exceptions of an `AggregateException` tell again what the first told.
            return trimmed.is_empty() || trimmed.starts_with("---> ");
        }
        self.head(line, offset);
        true
    }

    /// A line before the frames: types and messages, or more of a message.
    fn head(&mut self, line: &'a str, offset: usize) {
        let mut rest = line;
        let mut at = offset;
        if let Some(inner) = line.trim_start().strip_prefix(INNER.trim_start()) {
            at += line.len() - inner.len();
            rest = inner;
        }
        let is_inner = rest.len() < line.len();
        let mut parts = rest.split(INNER);
        let first = parts.next().unwrap_or("");
        let found = if self.heads.is_empty() { embedded(first) } else { None };
        let header = match found {
            Some((position, header)) => {
                self.start = Some(at + position);
                Some(header)
            }
            None if is_inner => names::header(behind_number(first)),
            None => None,
        };
        match (header, self.heads.last_mut()) {
            (Some(header), _) => self.heads.push((header.type_name, header.message.to_owned())),
            (None, Some((_, message))) if message.len() < super::MAX_MESSAGE => {
                message.push('\n');
                message.push_str(first.trim_end());
            }
            (None, _) => {}
        }
        let inner = parts.filter_map(|part| names::header(behind_number(part)));
        self.heads.extend(inner.map(|header| (header.type_name, header.message.to_owned())));
    }

    fn into_found(mut self) -> Option<Found> {
        self.frames.push(self.current);
        let has_frames = self.frames.iter().any(|frames| !frames.is_empty());
        if !self.is_certain || !has_frames || self.heads.is_empty() {
            return None;
        }
        let mut frames = self.frames;
        let mut sections: Vec<Exception> = Vec::new();
        // The last frames belong to the outermost exception.
        for (type_name, message) in &self.heads {
            let own = frames.pop().unwrap_or_default();
            sections.push(exception(type_name, message.trim(), own));
        }
        Some(Found { exception: chain(sections)?, start: self.start.unwrap_or(0) })
    }
}

/// `(Inner Exception #0) System.…`.
fn behind_number(text: &str) -> &str {
    let text = text.trim();
    let numbered = text.strip_prefix("(Inner Exception #").and_then(|rest| rest.split_once(") "));
    numbered.map_or(text, |(_, rest)| rest)
}

/// A header at the beginning of a line, or behind a log message on it.
fn embedded(line: &str) -> Option<(usize, names::Header<'_>)> {
    let indent = line.len() - line.trim_start().len();
    if let Some(header) = names::header(line) {
        return Some((indent, header));
    }
    names::dotted(line).find_map(|position| Some((position, names::header(tail(line, position))?)))
}

/// `at Namespace.Class.Method(Type name) in /src/File.cs:line 12`, and whether only .NET prints it so.
fn frame(line: &str) -> Option<(Frame, bool)> {
    let rest = line.strip_prefix("at ")?;
    let open = memchr::memchr(b'(', rest.as_bytes())?;
    let (call, location) = match rest.split_once(") in ") {
        Some((call, location)) => (call, Some(location)),
        None => (rest.strip_suffix(')')?, None),
    };
    let qualified = slice(rest, 0, open);
    let parameters = tail(call, open + 1);
    // `in path:line 12`, where the path may hold colons and spaces.
    let place = location.and_then(|location| location.rsplit_once(":line "));
    // Java writes these words in the same place.
    let is_java = matches!(parameters, "Native Method" | "Unknown Source");
    let typed = !is_java && parameters.split(", ").all(|parameter| contains(parameter, " "));
    let is_certain = place.is_some() || (!parameters.is_empty() && typed);
    if !is_certain && !parameters.is_empty() {
        return None;
    }
    let (module, function) = names_of(qualified)?;
    let frame = Frame {
        function: Some(function),
        module: Some(module),
        file: place.map(|(file, _)| file.to_owned()),
        line: place.and_then(|(_, number)| line_number(number.trim())),
        column: None,
        in_app: false,
    };
    Some((frame, is_certain))
}

/// Class and method, without type parameters and what the compiler makes of async methods, lambdas and local
/// functions: `A.B.<Place>d__5.MoveNext` is `Place` of `A.B`.
fn names_of(qualified: &str) -> Option<(String, String)> {
    let qualified = without_parameters(qualified.trim());
    if qualified.contains(' ') {
        return None;
    }
    if let Some((start, end)) = written_name(&qualified) {
        let open = qualified.find('<').unwrap_or(start);
        let module = slice(&qualified, 0, open).trim_end_matches(['.', '+']);
        let behind = tail(&qualified, end);
        let local = behind.split_once("g__").and_then(|(_, rest)| rest.split('|').next());
        let name = local.unwrap_or(slice(&qualified, start, end));
        return (!module.is_empty()).then(|| (module.to_owned(), name.to_owned()));
    }
    // `.ctor` and `.cctor` bring a dot of their own.
    let (module, function) = qualified.rsplit_once('.')?;
    let module = module.trim_end_matches('.');
    let is_named = !module.is_empty() && !function.is_empty();
    is_named.then(|| (without_number(module).to_owned(), without_number(function).to_owned()))
}

/// ``Box`1.Get[TKey]`` is `Box.Get`.
fn without_parameters(qualified: &str) -> String {
    let mut text = String::with_capacity(qualified.len());
    let mut depth = 0_u32;
    let mut in_arity = false;
    for char in qualified.chars() {
        match char {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            '`' => in_arity = true,
            _ if in_arity && char.is_ascii_digit() => {}
            _ => {
                in_arity = false;
                text.push(char);
            }
        }
    }
    text
}

/// The first name between angle brackets that is not empty, which is the one in the source: where it begins and ends.
fn written_name(qualified: &str) -> Option<(usize, usize)> {
    let bytes = qualified.as_bytes();
    memchr::memchr_iter(b'<', bytes).find_map(|open| {
        let end = run_end(bytes, open + 1, |byte| !matches!(byte, b'<' | b'>'));
        (end > open + 1 && bytes.get(end) == Some(&b'>')).then_some((open + 1, end))
    })
}

/// F# numbers closures by their line: `handler@12-3`.
fn without_number(name: &str) -> &str {
    match name.split_once('@') {
        Some((before, after)) if after.starts_with(|char: char| char.is_ascii_digit()) => before,
        _ => name,
    }
}
