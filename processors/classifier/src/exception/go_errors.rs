//! Errors of Go with a stack, as `%+v` of github.com/pkg/errors prints them: a message, then functions and places by
//! turns; an error that wraps another stands below it.

use hephaestus_schemas::{Exception, Frame};

use super::{Found, MAX_FRAMES, Outwards, exception, go};
use crate::scan::{at, run_end};

/// Looks for an error with at least one frame.
pub(super) fn find(text: &str) -> Option<Found> {
    let mut chain = Outwards::default();
    let mut open = Open::default();
    let mut start = None;
    let mut offset = 0;
    let mut lines = text.split('\n').peekable();
    while let Some(line) = lines.next() {
        let line_start = offset;
        offset += line.len() + 1;
        let place = lines.peek().and_then(|next| place(next));
        if let Some((file, number)) = place.filter(|_| is_name(line)) {
            offset += lines.next().map_or(0, |next| next.len() + 1);
            if open.frames.len() < MAX_FRAMES {
                open.frames.push(Frame {
                    module: has_package(line).then(|| go::package(line).to_owned()),
                    function: Some(line.to_owned()),
                    file: Some(file.to_owned()),
                    line: Some(number),
                    column: None,
                    in_app: false,
                });
            }
            continue;
        }
        if !open.frames.is_empty() {
            if line.trim().is_empty() {
                break;
            }
            chain.wrap(open.close());
        }
        if open.message.is_empty() {
            start.get_or_insert(line_start);
        } else {
            open.message.push('\n');
        }
        if open.message.len() < super::MAX_MESSAGE {
            open.message.push_str(line.trim_end());
        }
    }
    if !open.frames.is_empty() {
        chain.wrap(open.close());
    }
    Some(Found { exception: chain.whole?, start: start.unwrap_or(0) })
}

#[derive(Default)]
struct Open {
    message: String,
    frames: Vec<Frame>,
}

impl Open {
    /// The error that was read.
    fn close(&mut self) -> Exception {
        let read = std::mem::take(self);
        exception("error", read.message.trim(), read.frames)
    }
}

/// Whether a line is the name of a function and nothing else: `github.com/acme/shop.(*Store).Open`.
pub(crate) fn is_function(line: &str) -> bool {
    // Most lines end here, at their first space.
    at(line.as_bytes(), 0).is_ascii_lowercase() && is_name(line) && line.contains('.')
}

/// Whether the name of a function begins with its package, unlike `open`, `(*Store).Open` and `open.func1`.
fn has_package(name: &str) -> bool {
    let is_closure = |rest: &str| rest.strip_prefix("func").is_some_and(starts_with_digit);
    name.split_once('.').is_some_and(|(first, rest)| {
        at(first.as_bytes(), 0).is_ascii_lowercase() && !is_closure(rest)
    })
}

fn is_name(line: &str) -> bool {
    let bytes = line.as_bytes();
    let is_part = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'.' | b'/' | b'_' | b'-' | b'(' | b')' | b'*' | b'~' | b'%')
    };
    run_end(bytes, 0, is_part) == bytes.len() && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
}

fn starts_with_digit(text: &str) -> bool {
    at(text.as_bytes(), 0).is_ascii_digit()
}

/// `\t/src/store.go:12`.
fn place(line: &str) -> Option<(&str, i32)> {
    let rest = line.strip_prefix('\t')?;
    let (file, number) = rest.trim_end().rsplit_once(':')?;
    let is_source = file.ends_with(".go") || file.ends_with(".s");
    Some((file, super::line_number(number)?)).filter(|_| is_source)
}
