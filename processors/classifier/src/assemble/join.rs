//! Decides whether a line belongs to the event before it. Plain functions of the two.

use hephaestus_schemas::Severity;
use serde::{Deserialize, Serialize};

use super::{Assembled, Line};
use crate::exception::{
    go, header, is_divider, is_exception_name, is_gecko_frame, is_go_function, is_php_part,
    is_php_uncaught, is_ruby_frame, is_ruby_head, opens_php_stack, pytest_title, rust,
};
use crate::parse;
use crate::scan::{at, contains};

/// Lines without a header that may follow a traceback and count as its message.
const MAX_EXTRA: u32 = 16;

/// What the pending event is, as far as its lines tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) enum Shape {
    /// Text.
    #[default]
    Plain,
    /// Nothing but blank lines so far.
    Blank,
    /// An exception of Java or JavaScript.
    Trace,
    /// Inside a Python traceback.
    PythonFrames,
    /// Behind the line with its type.
    PythonEnd,
    /// Behind the sentence that chains the next traceback to it.
    PythonLink,
    /// A Go panic, and the goroutines below it.
    GoPanic,
    /// A goroutine of a dump without a panic: an event of its own.
    GoDump,
    /// A Rust panic.
    Rust,
    /// A failure as pytest reports it.
    Pytest,
    /// An exception of Ruby.
    Ruby,
    /// An exception of PHP.
    Php,
    /// An entry of logcat whose header has a line of its own.
    Logcat,
}

/// What is held back before a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    Nothing,
    /// Blank lines.
    Blank,
    /// Lines that may belong to the event.
    Lines,
}

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// It belongs to the event, which then has this shape, and expects more or not.
    Join(Shape, bool),
    /// A later line will tell.
    Hold,
    /// It begins another event.
    New,
}

/// The shape of an event that begins with a line, and whether it expects more.
pub(super) fn open(line: &str) -> (Shape, bool) {
    let first = at(line.as_bytes(), 0);
    match first {
        0 => (Shape::Blank, false),
        b'T' if is_traceback(line) => (Shape::PythonFrames, false),
        b'g' if go::is_goroutine(line) => (Shape::GoDump, false),
        b'p' | b'f' if is_go_panic(line) => (Shape::GoPanic, true),
        b't' if is_rust_panic(line) => (Shape::Rust, line.ends_with(':')),
        b'_' if pytest_title(line).is_some() => (Shape::Pytest, false),
        b'[' if parse::logcat::of_entry(line).is_some() => (Shape::Logcat, false),
        b'[' | b'P' | b'F' if is_php_uncaught(line) => (Shape::Php, true),
        _ if first.is_ascii_alphabetic() && opens_exception(line) => (Shape::Trace, true),
        _ if is_ruby_head(line) => (Shape::Ruby, false),
        _ => (Shape::Plain, false),
    }
}

/// Whether a line is a JSON object: a whole event, which nothing can follow.
pub(super) fn is_object(line: &str) -> bool {
    let bytes = line.as_bytes();
    at(bytes, 0) == b'{' && bytes.last() == Some(&b'}') && bytes.len() > 2
}

/// Decides about a line, of which a syslog daemon's header tells who wrote it. `waiting` as for [`decide`].
pub(super) fn decide_line(pending: &Assembled, line: &Line<'_>, waiting: Waiting) -> Decision {
    let writer = pending.wrapped.map(|wrapped| wrapped.writer(&pending.text));
    let is_same = line.wrapped.is_some_and(|wrapped| writer == Some(wrapped.writer(line.text)));
    let decision = decide(pending, if is_same { line.inner() } else { line.text }, waiting);
    match decision {
        Decision::New | Decision::Hold if line.continues => {
            Decision::Join(pending.shape, pending.expects)
        }
        // A daemon writes each line as a message of its own: only what is part of a failure belongs together.
        Decision::Join(Shape::Plain | Shape::Blank, _) if is_same => Decision::New,
        Decision::Hold if is_same && pending.shape == Shape::Plain => Decision::New,
        decision => decision,
    }
}

/// Decides about a line. `waiting` says what is held back before it.
fn decide(pending: &Assembled, line: &str, waiting: Waiting) -> Decision {
    let shape = pending.shape;
    let keep = Decision::Join(shape, pending.expects);
    if shape == Shape::Pytest {
        return if line.starts_with("=====") || pytest_title(line).is_some() {
            Decision::New
        } else {
            keep
        };
    }
    if line.is_empty() {
        return if shape == Shape::Blank { keep } else { Decision::Hold };
    }
    if shape == Shape::Blank {
        // Blank lines before an event count to it.
        let (shape, expects) = open(line);
        return Decision::Join(shape, expects);
    }
    if shape == Shape::Logcat {
        return if begins_entry(pending, line) { Decision::New } else { keep };
    }
    let indented = matches!(at(line.as_bytes(), 0), b' ' | b'\t');
    let text = line.trim_start();
    if let Some(decision) = by_marker(pending, text, indented, waiting) {
        return decision;
    }
    let waiting = waiting != Waiting::Nothing;
    if indented {
        return indented_line(pending, text, waiting);
    }
    match shape {
        Shape::PythonFrames if is_unindented_part(pending, line) => keep,
        Shape::PythonFrames if !is_headed(line) => Decision::Join(Shape::PythonEnd, false),
        Shape::PythonEnd
            if pending.extra < MAX_EXTRA && !is_headed(line) && is_headed(pending.own_line()) =>
        {
            Decision::Join(Shape::PythonEnd, false)
        }
        Shape::GoPanic | Shape::GoDump
            if is_go_line(line, shape) || is_unindented_place(pending, line) =>
        {
            keep
        }
        Shape::Rust if is_unindented_frame(pending, line) => keep,
        Shape::Rust if !is_headed(line) && !opens_other(line) => {
            if pending.expects {
                Decision::Join(Shape::Rust, false)
            } else {
                rust_tail(pending)
            }
        }
        Shape::Php if line == "\"}" => keep,
        Shape::Php if pending.expects && !is_headed(line) && !opens_other(line) => Decision::Hold,
        // The name of a function belongs to an error if its place follows.
        Shape::Plain if !waiting && is_go_function(line) => Decision::Hold,
        Shape::Plain if closes_document(pending, line) => keep,
        Shape::Trace if !waiting && line == "}" => keep,
        Shape::Trace | Shape::GoPanic
            if pending.expects && !is_headed(line) && !opens_other(line) =>
        {
            Decision::Hold
        }
        _ => Decision::New,
    }
}

/// Behind the header of an entry of logcat: whether a line begins another, or is of another kind.
fn begins_entry(pending: &Assembled, line: &str) -> bool {
    parse::logcat::of_entry(line).is_some()
        || (pending.lines > 1 && parse::parse(line, 0).timestamp.is_some())
}

/// What a line of logcat adds to the exception before it, without its header, and the shape that the event then has:
/// logcat writes the header of an entry before each of its lines.
pub(super) fn of_logcat<'a>(pending: &Assembled, line: &'a str) -> Option<(&'a str, Shape, bool)> {
    let next = parse::logcat::of_line(line)?;
    let first = parse::logcat::of_line(first_line(pending))?;
    if !next.is_of_one(&first) {
        return None;
    }
    let text = next.message.trim_start();
    let is_frame = text.starts_with("at ") || text.starts_with("... ");
    let follows = if pending.shape == Shape::Trace {
        is_frame || is_cause(text)
    } else {
        is_frame && pending.lines == 1 && opens_exception(first.message)
    };
    if follows {
        return Some((next.message, Shape::Trace, false));
    }
    let may_open = pending.shape == Shape::Plain && next.stamp == first.stamp;
    if may_open && first.message.starts_with("FATAL EXCEPTION") && text.starts_with("Process: ") {
        return Some((text, Shape::Plain, false));
    }
    let is_failing = matches!(first.level, b'W' | b'E' | b'F');
    (may_open && is_failing && pending.lines <= 2 && opens_exception(text)).then_some((
        text,
        Shape::Trace,
        true,
    ))
}

/// Behind the message of a Rust panic: a line may still be a part of it if its end follows.
fn rust_tail(pending: &Assembled) -> Decision {
    let ended = contains(&pending.text, "\nnote: ") || has_backtrace(pending);
    if ended { Decision::New } else { Decision::Hold }
}

/// Lines that their first words give away.
fn by_marker(
    pending: &Assembled,
    text: &str,
    indented: bool,
    waiting: Waiting,
) -> Option<Decision> {
    let shape = pending.shape;
    match at(text.as_bytes(), 0) {
        b'T' | b'+' if is_traceback(text) => Some(traceback(pending, indented, waiting)),
        b'T' | b'D' if is_python_link(text) => {
            let python = matches!(shape, Shape::PythonEnd | Shape::PythonFrames);
            python.then_some(Decision::Join(Shape::PythonLink, false))
        }
        b'a' if (indented || shape == Shape::Trace) && text.starts_with("at ") => match shape {
            Shape::PythonFrames | Shape::PythonEnd | Shape::Rust => None,
            _ => Some(Decision::Join(Shape::Trace, false)),
        },
        b'C' | b'S' | b'W' | b'[' if is_cause(text) => {
            let follows = indented || shape == Shape::Trace || is_failing(first_line(pending));
            Some(if follows { Decision::Join(Shape::Trace, true) } else { Decision::New })
        }
        b'.' if shape == Shape::Trace && text.starts_with("... ") => {
            Some(Decision::Join(shape, false))
        }
        b'g' if go::is_goroutine(text) => Some(goroutine(pending, waiting)),
        b'L' if shape == Shape::Trace && text == "Location:" => Some(Decision::Join(shape, false)),
        _ if shape == Shape::Trace && contains(text, "@") && is_gecko_frame(text) => {
            Some(Decision::Join(shape, false))
        }
        b'-' if shape == Shape::Trace && (is_divider(text) || text.starts_with("---> ")) => {
            Some(Decision::Join(shape, text.starts_with("---> ")))
        }
        b'S' | b'[' if opens_php_stack(text) && may_hold_php(pending) => {
            Some(Decision::Join(Shape::Php, false))
        }
        b'#' | b'N' | b'[' if shape == Shape::Php && is_php_part(text) => {
            // `Next` begins a further exception, whose message may run over lines.
            Some(Decision::Join(shape, text.starts_with('N')))
        }
        b's' | b'S' if opens_backtrace(text) && matches!(shape, Shape::Rust | Shape::Trace) => {
            Some(Decision::Join(shape, false))
        }
        b'n' if shape == Shape::Rust && text.starts_with("note: ") => {
            Some(Decision::Join(shape, false))
        }
        _ if matches!(shape, Shape::Ruby | Shape::Plain | Shape::Trace)
            && matches!(text.as_bytes().last(), Some(b'\'' | b')'))
            && (is_ruby_frame(text) || (shape == Shape::Ruby && is_ruby_head(text))) =>
        {
            let follows = indented || shape != Shape::Plain || is_failing(first_line(pending));
            Some(if follows { Decision::Join(Shape::Ruby, false) } else { Decision::New })
        }
        // Spring Boot writes a blank line above a trace.
        _ if !indented
            && waiting != Waiting::Lines
            && shape == Shape::Plain
            && opens_exception(text) =>
        {
            let line = first_line(pending);
            let whole = pending.lines > 1 || !is_headed(line) || !is_failing(line);
            Some(if whole { Decision::New } else { Decision::Join(Shape::Trace, true) })
        }
        _ => None,
    }
}

/// A traceback joins the failure that was logged just before it, or the one it is chained to.
fn traceback(pending: &Assembled, indented: bool, waiting: Waiting) -> Decision {
    let join = Decision::Join(Shape::PythonFrames, false);
    match pending.shape {
        Shape::PythonLink => join,
        Shape::Plain => {
            let line = first_line(pending);
            let announced = announces(line) || (is_headed(line) && is_failing(line));
            if indented || (waiting != Waiting::Lines && announced) { join } else { Decision::New }
        }
        _ => Decision::New,
    }
}

/// Whether the event so far may be what PHP writes before a stack.
fn may_hold_php(pending: &Assembled) -> bool {
    ["Uncaught ", "[object] (", "\nNext "].iter().any(|mark| contains(&pending.text, mark))
}

/// Words that an interpreter or a framework prints above a traceback, without a header.
fn announces(line: &str) -> bool {
    [
        "Exception ignored in",
        "Exception in ",
        "Unhandled ",
        "Uncaught ",
        "Internal Server Error",
        "Error in ",
    ]
    .iter()
    .any(|start| line.starts_with(start))
}

fn goroutine(pending: &Assembled, waiting: Waiting) -> Decision {
    match pending.shape {
        Shape::GoPanic => Decision::Join(Shape::GoPanic, false),
        Shape::Plain if waiting == Waiting::Nothing && is_headed(first_line(pending)) => {
            Decision::Join(Shape::GoPanic, false)
        }
        _ => Decision::New,
    }
}

/// An indented line continues the event, unless it has a time stamp of its own.
fn indented_line(pending: &Assembled, text: &str, waiting: bool) -> Decision {
    let may_be_headed = at(text.as_bytes(), 0).is_ascii_digit() || at(text.as_bytes(), 0) == b'[';
    if may_be_headed && is_headed(text) {
        return Decision::New;
    }
    match pending.shape {
        Shape::PythonLink => Decision::New,
        Shape::PythonEnd if waiting => Decision::New,
        // Inside a message of several lines, before the frames.
        Shape::Trace if pending.expects => Decision::Hold,
        shape => Decision::Join(shape, pending.expects),
    }
}

/// A part of a Python traceback whose indentation a collector took off: a frame, the source behind it, or marks below.
fn is_unindented_part(pending: &Assembled, line: &str) -> bool {
    let last = last_line(pending);
    is_python_frame(line)
        || line.bytes().all(|byte| matches!(byte, b'^' | b'~' | b' '))
        || line.starts_with("[Previous line repeated ")
        || (is_python_frame(last)
            && !header(line).is_some_and(|found| is_exception_name(found.type_name))
            && !is_headed(line))
}

/// The place of the call before it in a goroutine, `/srv/main.go:9 +0x1d`, whose indentation a collector took off.
fn is_unindented_place(pending: &Assembled, line: &str) -> bool {
    let last = last_line(pending);
    (last.starts_with("created by ") || go::call(last).is_some()) && go::place(line).is_some()
}

/// A frame of a Rust panic's backtrace, `3: shop::pay`, or its place, `at ./src/pay.rs:9:5`, without their indentation.
fn is_unindented_frame(pending: &Assembled, line: &str) -> bool {
    let last = last_line(pending).trim_start();
    let behind_frame = rust::is_frame(last);
    let is_part = rust::is_frame(line) || (behind_frame && line.starts_with("at "));
    is_part
        && (behind_frame || last.starts_with("at ") || opens_backtrace(last))
        && has_backtrace(pending)
}

fn opens_backtrace(line: &str) -> bool {
    line.eq_ignore_ascii_case("stack backtrace:")
}

fn has_backtrace(pending: &Assembled) -> bool {
    contains(&pending.text, "\nstack backtrace:") || contains(&pending.text, "\nStack backtrace:")
}

/// `File "x.py", line 3, in f`.
fn is_python_frame(text: &str) -> bool {
    text.starts_with("File \"") && contains(text, "\", line ")
}

fn is_traceback(text: &str) -> bool {
    text.starts_with("Traceback (most recent call last)")
        || text.starts_with("+ Exception Group Traceback (most recent call last)")
}

fn is_python_link(text: &str) -> bool {
    text.starts_with("During handling of the above exception")
        || text.starts_with("The above exception was the direct cause")
}

fn is_go_panic(line: &str) -> bool {
    line.starts_with("panic: ") || line.starts_with("fatal error: ")
}

fn is_rust_panic(line: &str) -> bool {
    line.starts_with("thread '") && contains(line, "panicked at ")
}

fn is_cause(text: &str) -> bool {
    ["Caused by:", "Suppressed: ", "Wrapped by: ", "[cause]: ", "[CIRCULAR REFERENCE"]
        .iter()
        .any(|start| text.starts_with(start))
}

/// A line `Type: message` whose type is named as exceptions are.
fn opens_exception(line: &str) -> bool {
    // Most lines end here: their first word is no name of a type.
    if at(line.as_bytes(), 0).is_ascii_digit() {
        return false;
    }
    let word_end =
        crate::scan::run_end(line.as_bytes(), 0, |byte| !matches!(byte, b' ' | b':' | b'\t'));
    let word = crate::scan::slice(line, 0, word_end);
    let likely = is_exception_name(word)
        || (word.contains('.') && at(line.as_bytes(), word_end) != b' ')
        || matches!(word, "Exception" | "Uncaught" | "Unhandled");
    likely && header(line).is_some_and(|header| is_exception_name(header.type_name))
}

/// A line that begins something else, whatever is expected.
fn opens_other(line: &str) -> bool {
    let (shape, _) = open(line);
    shape != Shape::Plain
}

fn is_go_line(line: &str, shape: Shape) -> bool {
    let known = go::call(line).is_some()
        || line.starts_with("created by ")
        || line.starts_with("[originating from goroutine ")
        || line.starts_with("...additional frames elided")
        || (line.starts_with("...") && contains(line, "frames elided"))
        || line.starts_with("goroutine running on other thread");
    if known || shape == Shape::GoDump {
        return known;
    }
    // Registers, and what follows the first line of a panic.
    let register =
        line.split_ascii_whitespace().nth(1).is_some_and(|value| value.starts_with("0x"))
            && line.len() < 40;
    register
        || line.starts_with("[signal ")
        || line.starts_with("exit status ")
        || is_go_panic(line)
}

/// The end of a document printed over several lines, opened by the event's first line.
fn closes_document(pending: &Assembled, line: &str) -> bool {
    let closes = matches!(line, "}" | "]" | "}," | "}]" | "})" | "});" | ")" | "};");
    let is_opener = |byte: u8| matches!(byte, b'{' | b'[');
    let opened = || is_opener(at(pending.text.as_bytes(), 0)) || contains(first_line(pending), "{");
    closes && pending.lines > 1 && opened()
}

fn last_line(pending: &Assembled) -> &str {
    pending.text.rsplit('\n').next().unwrap_or("")
}

fn first_line(pending: &Assembled) -> &str {
    pending.text.split('\n').next().unwrap_or("")
}

fn is_headed(line: &str) -> bool {
    parse::opening(line).0
}

fn is_failing(line: &str) -> bool {
    parse::opening(line).1.is_some_and(|severity| severity >= Severity::Warn)
}
