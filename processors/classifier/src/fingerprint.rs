//! The stable id of one kind of failure.
//! Promises: a pure function of the event: no line number, address, recursion depth, generated
//! name, source or time matters.

use std::borrow::Cow;

use hephaestus_schemas::{Exception, Frame};

use crate::alias::shape_of;
use crate::mask::without_tags;
use crate::steady::{steady, steady_file};
use crate::template::template;

/// Hexadecimal digits of a fingerprint.
const DIGITS: usize = 24;
/// Frames of one exception that count, each name once.
const MAX_KEYS: usize = 48;

/// Fingerprint of a line without an exception: the shape of its template, in which it does not matter of what kind a
/// value is nor how many a list holds, and whether it reports a failure, so that an attempt and its final failure that
/// share their words stay apart.
pub fn of_line(template: &str, failing: bool) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(if failing { b"line\0failing\0" } else { b"line\0\0" });
    hasher.update(shape_of(template).as_bytes());
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
            hasher.update(shape_of(&template(&link.message)).as_bytes());
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

/// Names of files, without their endings, that a program has in many folders.
const COMMON_FILES: [&str; 28] = [
    "__init__",
    "__main__",
    "admin",
    "api",
    "app",
    "client",
    "config",
    "errors",
    "handler",
    "handlers",
    "helpers",
    "index",
    "layout",
    "lib",
    "main",
    "middleware",
    "mod",
    "models",
    "page",
    "route",
    "routes",
    "serializers",
    "server",
    "service",
    "tasks",
    "types",
    "utils",
    "views",
];

/// What names a frame: module, or else the file's base name, with its folder where the name is a common one, and
/// function.
fn frame_key(frame: &Frame) -> String {
    let file = frame.file.as_deref().unwrap_or("");
    let place = match frame.module.as_deref() {
        Some(module) => steady(module),
        None => {
            let mut parts = file.rsplit(['/', '\\']);
            let base = parts.next().unwrap_or("");
            let stem = base.split('.').next().unwrap_or("");
            // A number is a release's.
            let is_telling = |folder: &&str| {
                !folder.is_empty() && !folder.bytes().any(|byte| byte.is_ascii_digit())
            };
            let folder = parts.next().filter(is_telling);
            match folder.filter(|_| COMMON_FILES.contains(&stem)) {
                Some(folder) => Cow::Owned(format!("{folder}/{}", steady_file(base))),
                None => steady_file(base),
            }
        }
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
    fn a_common_name_of_a_file_says_less_than_its_folder() {
        let in_file = |file: &str| {
            let file = Some(file.to_owned());
            of(vec![Frame { module: None, file, ..frame("", "handler", 1, true) }])
        };
        assert_ne!(in_file("/srv/cart/views.py"), in_file("/srv/pay/views.py"));
        assert_ne!(in_file("/app/api/cart/route.ts"), in_file("/app/api/pay/route.ts"));
        assert_eq!(in_file("/srv/a/shop/views.py"), in_file("C:\\b\\shop\\views.py"));
        assert_eq!(
            in_file("/srv/releases/20260105/index.php"),
            in_file("/srv/releases/20260211/index.php")
        );
        assert_eq!(in_file("/srv/a/billing.py"), in_file("/srv/b/billing.py"));
    }

    #[test]
    fn kinds_of_values_and_lengths_of_lists_do_not_matter() {
        for (one, other) in [
            ("deploy of <hex> failed", "deploy of <num> failed"),
            ("lease failed after <duration>", "lease failed after <id>"),
            ("lost <num>, <num>", "lost <num>, <num>, <num>"),
        ] {
            assert_eq!(of_line(one, true), of_line(other, true), "{one}");
        }
        assert_ne!(of_line("lost <num>", true), of_line("found <num>", true));
        assert_ne!(of_line("lost <num>", true), of_line("lost <num>", false));
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
