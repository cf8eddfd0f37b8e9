//! The stable id of one kind of failure.
//! Promises: a pure function of the event: no line number, address, recursion depth, generated
//! name, source or time matters.

use std::borrow::Cow;

use hephaestus_schemas::{Exception, Frame};

use crate::scan::{at, run_end, slice};
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
        hasher.update(steady(&link.type_name).as_bytes());
        hasher.update(b"\0");
        let mut keys: Vec<String> = Vec::new();
        for frame in link.frames.iter().filter(|frame| frame.in_app || !has_app) {
            let key = frame_key(frame);
            // Each name counts once: recursion, simple or mutual, does not change the id.
            if keys.len() < MAX_KEYS && !keys.contains(&key) {
                keys.push(key);
            }
        }
        for key in &keys {
            hasher.update(key.as_bytes());
            hasher.update(b"\0");
        }
        if !has_frames {
            hasher.update(template(&link.message).as_bytes());
        }
        hasher.update(b"\x01");
    }
    finish(&hasher)
}

fn finish(hasher: &blake3::Hasher) -> String {
    let mut hex = hasher.finalize().to_hex().to_string();
    hex.truncate(DIGITS);
    hex
}

/// What names a frame: module, or else the file's base name, and function.
fn frame_key(frame: &Frame) -> String {
    let file = frame.file.as_deref().unwrap_or("");
    let place = match frame.module.as_deref() {
        Some(module) => steady(module),
        None => Cow::Borrowed(file.rsplit(['/', '\\']).next().unwrap_or("")),
    };
    let function = steady(frame.function.as_deref().unwrap_or(""));
    format!("{place}\u{1f}{function}")
}

/// A name without what compilers and runtimes number: `$$Lambda$12/0x…`, `Outer$1`, `func1.2`,
/// `::h0123456789abcdef`, `GeneratedMethodAccessor4`.
fn steady(name: &str) -> Cow<'_, str> {
    let name = without_hash(name);
    let generated = name.contains('$') || name.contains(".func") || name.contains("Generated");
    if !generated {
        return Cow::Borrowed(name);
    }
    let bytes = name.as_bytes();
    let mut text = String::with_capacity(name.len());
    let mut pos = 0;
    while pos < bytes.len() {
        let rest = slice(name, pos, bytes.len());
        if rest.starts_with("$$Lambda") {
            text.push_str("$$Lambda");
            pos = run_end(bytes, pos, |byte| byte != b'.' && byte != b' ');
            continue;
        }
        let next = at(bytes, pos + 1);
        if rest.starts_with("$$") && rest.len() > 2 && is_hexadecimal_part(rest) {
            pos = run_end(bytes, pos + 2, |byte| byte.is_ascii_hexdigit());
            continue;
        }
        let numbered =
            ["$Proxy", ".func", "GeneratedMethodAccessor", "GeneratedConstructorAccessor"]
                .iter()
                .find(|start| rest.starts_with(**start));
        if let Some(start) = numbered {
            text.push_str(start);
            pos = run_end(bytes, pos + start.len(), |byte| {
                byte.is_ascii_digit() || (byte == b'.' && *start == ".func")
            });
            continue;
        }
        if at(bytes, pos) == b'$' && next.is_ascii_digit() {
            text.push('$');
            pos = run_end(bytes, pos + 1, |byte| byte.is_ascii_digit());
            continue;
        }
        let end = run_end(bytes, pos + 1, |byte| !matches!(byte, b'$' | b'.' | b'G'));
        text.push_str(slice(name, pos, end));
        pos = end;
    }
    Cow::Owned(text)
}

/// `$$` and nothing but hexadecimal digits up to the next `$`, `.` or the end.
fn is_hexadecimal_part(rest: &str) -> bool {
    let bytes = rest.as_bytes();
    let end = run_end(bytes, 2, |byte| byte.is_ascii_hexdigit());
    end > 5 && matches!(at(bytes, end), 0 | b'$' | b'.')
}

/// Without the hash that the Rust compiler appends to symbols.
fn without_hash(name: &str) -> &str {
    match name.rsplit_once("::h") {
        Some((rest, hash))
            if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            rest
        }
        _ => name,
    }
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
    fn generated_names_are_steady() {
        for (a, b) in [
            ("com.x.A$$Lambda$14/0x0000000800c3a840", "com.x.A$$Lambda$99/0x1"),
            ("main.serve.func1.2", "main.serve.func3"),
            ("com.sun.proxy.$Proxy12", "com.sun.proxy.$Proxy7"),
            ("app::run::h0123456789abcdef", "app::run::hfedcba9876543210"),
            ("a.B$$EnhancerBySpringCGLIB$$1a2b3c4d", "a.B$$EnhancerBySpringCGLIB$$99aabbcc"),
            ("sun.reflect.GeneratedMethodAccessor4", "sun.reflect.GeneratedMethodAccessor51"),
        ] {
            assert_eq!(steady(a), steady(b));
        }
        assert_ne!(steady("a.Step1"), steady("a.Step2"));
    }
}
