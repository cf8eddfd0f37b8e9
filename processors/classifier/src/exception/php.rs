//! Exceptions of PHP: as `Throwable::__toString` writes them, and as Laravel's logs hold them.

use hephaestus_schemas::Frame;

use super::{Found, MAX_FRAMES, Outwards, exception, line_number};
use crate::scan::{run_end, slice, tail};

/// The line before the frames.
const STACK: [&str; 2] = ["Stack trace:", "[stacktrace]"];
/// Joins an exception to the one before, which caused it.
const NEXT: &str = "Next ";
/// Joins an exception to the one before, which it caused: as Monolog writes them, the outermost first.
const PREVIOUS: &str = "[previous exception] ";

/// Whether a line stands directly before the frames.
pub(crate) fn opens_stack(line: &str) -> bool {
    STACK.contains(&line.trim())
}

/// Whether a line announces an exception that nobody caught: `PHP Fatal error:  Uncaught …`, behind a time perhaps.
pub(crate) fn is_uncaught(line: &str) -> bool {
    let text = match line.strip_prefix('[') {
        Some(stamped) => stamped.split_once("] ").map_or("", |(_, text)| text),
        None => line,
    };
    let text = text.strip_prefix("PHP ").unwrap_or(text);
    text.strip_prefix("Fatal error: ")
        .is_some_and(|text| text.trim_start().starts_with("Uncaught "))
}

/// Whether a line is a frame, or names the exception that the one before caused.
pub(crate) fn is_part(line: &str) -> bool {
    call(line).is_some() || line.starts_with(NEXT) || line.starts_with(PREVIOUS)
}

/// Looks for an exception with the line before its frames.
pub(super) fn find(text: &str) -> Option<Found> {
    let mut chain = Outwards::default();
    let mut start = None;
    // The head may run over several lines; it ends where the frames begin.
    let mut head_start = 0;
    let mut lines = Lines { text, pos: 0 };
    while let Some((at, line)) = lines.next() {
        if !opens_stack(line) {
            if line.starts_with(NEXT) {
                head_start = at;
            }
            continue;
        }
        let Some(head) = read_head(slice(text, head_start, at)) else {
            // It is not looked at again.
            head_start = lines.pos;
            continue;
        };
        start.get_or_insert(head_start + head.start);
        let calls = lines.calls();
        let frames = frames(head.place, calls);
        let exception = exception(&unescaped(head.type_name), head.message, frames);
        if slice(text, head_start, at).trim_start().starts_with(PREVIOUS) {
            chain.deepen(exception);
        } else {
            chain.wrap(exception);
        }
        head_start = lines.pos;
    }
    Some(Found { exception: chain.whole?, start: start? })
}

struct Lines<'a> {
    text: &'a str,
    pos: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<(usize, &'a str)> {
        if self.pos >= self.text.len() {
            return None;
        }
        let at = self.pos;
        let rest = tail(self.text, at);
        let end = memchr::memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len());
        self.pos = at + end + 1;
        Some((at, slice(rest, 0, end)))
    }

    fn calls(&mut self) -> Vec<Call<'a>> {
        let mut calls = Vec::new();
        loop {
            let before = self.pos;
            match self.next().and_then(|(_, line)| call(line)) {
                Some(found) if calls.len() < MAX_FRAMES => calls.push(found),
                Some(_) => {}
                None => {
                    self.pos = before;
                    return calls;
                }
            }
        }
    }
}

struct Head<'a> {
    type_name: &'a str,
    message: &'a str,
    place: (&'a str, i32),
    start: usize,
}

/// `PHP Fatal error:  Uncaught Type: message in /file.php:12`, `Next Type: message in /file.php:12`, or Laravel's
/// `{"exception":"[object] (Type(code: 0): message at /file.php:12)`.
fn read_head(text: &str) -> Option<Head<'_>> {
    const UNCAUGHT: &str = "Uncaught ";
    const OBJECT: &str = "[object] (";
    // What PHP and Laravel write before the exception is no message of the application.
    const ANNOUNCED: [&str; 3] = ["PHP Fatal error: ", "Fatal error: ", "{\"exception\":"];
    let begins = ANNOUNCED.iter().find_map(|words| text.find(words));
    if let Some(object) = text.find(OBJECT) {
        let start = object + OBJECT.len();
        let rest = tail(text, start);
        let (type_name, rest) = rest.split_once("(code: ")?;
        let (_, rest) = rest.split_once("): ")?;
        let (message, place) = rest.trim_end().trim_end_matches(')').rsplit_once(" at ")?;
        let start = begins.unwrap_or(start);
        return Some(Head { type_name, message, place: place_of(place)?, start });
    }
    let start = match text.find(UNCAUGHT) {
        Some(found) => found + UNCAUGHT.len(),
        None if text.starts_with(NEXT) => NEXT.len(),
        None => return None,
    };
    let rest = tail(text, start);
    let (before, place) = rest.trim_end().rsplit_once(" in ")?;
    // An exception without a message is named by its type alone.
    let (type_name, message) = before.split_once(": ").unwrap_or((before, ""));
    let named = type_name.bytes().all(|byte| crate::scan::is_ident(byte) || byte == b'\\');
    (named && !type_name.is_empty()).then_some(()).and_then(|()| {
        let start = begins.unwrap_or(start);
        Some(Head { type_name, message, place: place_of(place)?, start })
    })
}

/// `/file.php:12`.
fn place_of(text: &str) -> Option<(&str, i32)> {
    let (file, line) = text.rsplit_once(':')?;
    Some((file, line_number(line)?))
}

struct Call<'a> {
    function: &'a str,
    /// Where it was called from.
    place: Option<(&'a str, i32)>,
}

/// `#0 /file.php(34): App\Service->run('a', 3)`, `#2 [internal function]: f()`, `#3 {main}`.
fn call(line: &str) -> Option<Call<'_>> {
    let rest = line.trim().strip_prefix('#')?;
    let digits = run_end(rest.as_bytes(), 0, |byte| byte.is_ascii_digit());
    let rest = tail(rest, digits).strip_prefix(' ').filter(|_| digits > 0)?;
    if rest.starts_with("{main}") {
        return Some(Call { function: "{main}", place: None });
    }
    let (location, called) = rest.split_once(": ")?;
    let end = called.find('(').unwrap_or(called.len());
    let place = if location == "[internal function]" {
        None
    } else {
        let (file, line) = location.strip_suffix(')')?.rsplit_once('(')?;
        Some((file, line_number(line)?))
    };
    Some(Call { function: slice(called, 0, end), place })
}

/// A call names where it was made: the function that it names ran where the frame further in was, the first where the
/// exception was made.
fn frames(thrown: (&str, i32), calls: Vec<Call<'_>>) -> Vec<Frame> {
    let mut place = Some(thrown);
    let mut frames = Vec::with_capacity(calls.len());
    for call in calls {
        let class = call.function.rfind("->").or_else(|| call.function.rfind("::"));
        let (module, function) = match class {
            Some(mark) => (slice(call.function, 0, mark), tail(call.function, mark + 2)),
            None => match call.function.rfind('\\') {
                Some(mark) => (slice(call.function, 0, mark), tail(call.function, mark + 1)),
                None => ("", call.function),
            },
        };
        frames.push(Frame {
            function: Some(function.to_owned()),
            module: (!module.is_empty()).then(|| unescaped(module)),
            file: place.map(|(file, _)| file.to_owned()),
            line: place.map(|(_, line)| line),
            column: None,
            in_app: false,
        });
        place = call.place;
    }
    if frames.is_empty() {
        let (file, line) = thrown;
        frames.push(Frame { file: Some(file.to_owned()), line: Some(line), ..Frame::default() });
    }
    frames
}

/// Laravel writes names in JSON, where their backslashes are doubled.
fn unescaped(name: &str) -> String {
    name.replace("\\\\", "\\")
}
