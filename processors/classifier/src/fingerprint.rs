//! The stable id of one kind of failure.
//! Promises: a pure function of the event: no line number, address, recursion depth, generated
//! name, source or time matters.

use std::borrow::Cow;

use hephaestus_schemas::{Exception, Frame};

use crate::mask::without_tags;
use crate::scan::{at, run_end, slice, tail};
use crate::steady::{steady, steady_file};
use crate::template::template;

/// Hexadecimal digits of a fingerprint.
const DIGITS: usize = 24;
/// Frames of one exception that count, each name once.
const MAX_KEYS: usize = 48;

/// Fingerprint of a line without an exception: its template, and whether it reports a failure, so
/// that an attempt and its final failure that share their words stay apart.
pub fn of_line(template: &str, failing: bool) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(if failing { b"line\0failing\0" } else { b"line\0\0" });
    hasher.update(template.as_bytes());
    finish(&hasher)
}

/// Fingerprint of an exception: the types of its chain and the frames of the application. Without
/// such frames all frames count; without any frame the template of the message does.
pub fn of_exception(exception: &Exception) -> String {
    let links = || std::iter::successors(Some(exception), |link| link.cause.as_deref());
    let has_app = links().any(|link| link.frames.iter().any(|frame| frame.in_app));
    let has_frames = links().any(|link| !link.frames.is_empty());
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"exception\0");
    for link in links() {
        hasher.update(without_tags(&steady(&link.type_name)).as_bytes());
        hasher.update(b"\0");
        let frames = link.frames.iter().filter(|frame| frame.in_app || !has_app);
        for key in &frame_keys(frames, ran_out_of_stack(link)) {
            hasher.update(without_tags(key).as_bytes());
            hasher.update(b"\0");
        }
        if !has_frames {
            hasher.update(untyped(&template(&link.message)).as_bytes());
        }
        hasher.update(b"\x01");
    }
    finish(&hasher)
}

/// Fingerprint of everything that a rule puts into one group.
pub fn of_group(name: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"group\0");
    hasher.update(name.as_bytes());
    finish(&hasher)
}

/// Fingerprint of what a rule keeps apart by these values too.
pub(crate) fn of_split(fingerprint: &str, values: &[Cow<'_, str>]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"split\0");
    hasher.update(fingerprint.as_bytes());
    for value in values {
        hasher.update(b"\0");
        hasher.update(without_tags(value).as_bytes());
    }
    finish(&hasher)
}

fn finish(hasher: &blake3::Hasher) -> String {
    let mut hex = hasher.finalize().to_hex().to_string();
    hex.truncate(DIGITS);
    hex
}

/// A template without the kinds of its variables: a long id may look like a time or a card's number by chance.
fn untyped(template: &str) -> String {
    let bytes = template.as_bytes();
    let mut text = String::with_capacity(template.len());
    let mut copied = 0;
    for start in memchr::memchr_iter(b'<', bytes) {
        let in_kind = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b':' | b'-' | b'_');
        let end = run_end(bytes, start + 1, in_kind);
        if end > start + 1 && at(bytes, end) == b'>' {
            text.push_str(slice(template, copied, start));
            text.push_str("<*>");
            copied = end + 1;
        }
    }
    text.push_str(tail(template, copied));
    text
}

/// What names the frames. Each name counts once: recursion, simple or mutual, does not change the id. Where the stack
/// ran out, the frame in which it did is chance: those that recur count, in no order.
fn frame_keys<'a>(frames: impl Iterator<Item = &'a Frame>, endless: bool) -> Vec<String> {
    let mut keys: Vec<(String, bool)> = Vec::new();
    for frame in frames {
        let key = frame_key(frame);
        if let Some((_, recurs)) = keys.iter_mut().find(|(known, _)| *known == key) {
            *recurs = true;
        } else if keys.len() < MAX_KEYS {
            keys.push((key, false));
        }
    }
    if endless && keys.iter().any(|(_, recurs)| *recurs) {
        keys.retain(|(_, recurs)| *recurs);
        keys.sort_unstable();
    }
    keys.into_iter().map(|(key, _)| key).collect()
}

/// Whether an exception says that calls went too deep.
fn ran_out_of_stack(exception: &Exception) -> bool {
    const TYPES: [&str; 3] = ["StackOverflow", "RecursionError", "SystemStackError"];
    const MESSAGES: [&str; 4] =
        ["Maximum call stack", "too much recursion", "stack overflow", "stack exceeds"];
    TYPES.iter().any(|name| exception.type_name.contains(name))
        || MESSAGES.iter().any(|words| exception.message.contains(words))
}

/// What names a frame: module, or else the file's base name, and function.
fn frame_key(frame: &Frame) -> String {
    let file = frame.file.as_deref().unwrap_or("");
    let place = match frame.module.as_deref() {
        Some(module) => steady(module),
        None => steady_file(file.rsplit(['/', '\\']).next().unwrap_or("")),
    };
    let function = steady(frame.function.as_deref().unwrap_or(""));
    format!("{place}\u{1f}{function}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn frame(module: &str, function: &str, line: i32, in_app: bool) -> Frame {
        Frame {
            module: Some(module.to_owned()),
            function: Some(function.to_owned()),
            line: Some(line),
            in_app,
            ..Frame::default()
        }
    }

    fn of(frames: Vec<Frame>) -> String {
        let message = "m".to_owned();
        of_exception(&Exception { type_name: "a.E".to_owned(), message, frames, cause: None })
    }

    #[test]
    fn lines_recursion_libraries_and_generated_names_do_not_matter() {
        let base = of(vec![frame("a.B", "f", 1, true), frame("a.C", "lambda$g$1", 2, true)]);
        let moved = of(vec![frame("a.B", "f", 9, true), frame("a.C", "lambda$g$7", 3, true)]);
        let deeper = of(vec![
            frame("a.B", "f", 1, true),
            frame("lib.X", "y", 1, false),
            frame("a.C", "lambda$g$1", 2, true),
            frame("a.B", "f", 1, true),
            frame("a.C", "lambda$g$1", 2, true),
        ]);
        assert_eq!(base, moved);
        assert_eq!(base, deeper);
        assert_ne!(base, of(vec![frame("a.B", "h", 1, true)]));
    }

    #[test]
    fn where_a_stack_runs_out_is_chance() {
        let endless = |names: &[&str]| {
            let frames = names.iter().map(|name| frame("a.B", name, 1, true)).collect();
            of_exception(&Exception {
                type_name: "java.lang.StackOverflowError".to_owned(),
                frames,
                ..Exception::default()
            })
        };
        let in_f = endless(&["f", "g", "f", "g", "f"]);
        assert_eq!(in_f, endless(&["g", "f", "g", "f", "main"]));
        assert_eq!(in_f, endless(&["helper", "f", "g", "f", "g"]));
        assert_ne!(in_f, endless(&["f", "h", "f", "h"]));
    }
}
