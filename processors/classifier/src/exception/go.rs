//! Go panics, fatal errors and goroutine dumps.

use hephaestus_schemas::Frame;

use super::{Found, MAX_FRAMES, exception, line_number};
use crate::scan::{slice, tail};

/// One goroutine of a dump.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Goroutine {
    /// Its number.
    pub id: u64,
    /// What it does: `running`, `chan receive` …
    pub state: String,
    /// Minutes it has been waiting.
    pub wait_minutes: u64,
    /// Whether it is bound to its thread.
    pub locked: bool,
    /// Frames, the innermost first.
    pub stack: Vec<Frame>,
    /// Whether the runtime left frames out.
    pub elided: bool,
    /// The place of the `go` statement.
    pub created_by: Option<Frame>,
    /// The goroutine that created this one, with `GODEBUG=tracebackancestors`.
    pub ancestor: Option<Box<Goroutine>>,
}

/// Goroutines of one dump that are kept.
pub const MAX_GOROUTINES: usize = 10_000;
/// Ancestors of one goroutine that are kept.
const MAX_ANCESTORS: usize = 64;

/// A panic of which only one line is there.
pub(super) fn one_line(text: &str) -> Option<Found> {
    let opens = text.starts_with("panic: ") || text.starts_with("fatal error: ");
    if opens { find(text) } else { None }
}

/// Looks for a panic, or for a goroutine dump without one.
pub(super) fn find(text: &str) -> Option<Found> {
    let mut message: Option<(&str, String, usize)> = None;
    let mut offset = 0;
    let mut dump_at = None;
    for line in text.split('\n') {
        let start = offset;
        offset += line.len() + 1;
        let trimmed = line.trim();
        if is_goroutine(trimmed) {
            dump_at = Some(start);
            break;
        }
        if let Some((kind, rest)) = opening(trimmed) {
            if message.is_none() {
                message = Some((kind, rest.to_owned(), start));
            }
        } else if let Some((_, known, _)) = &mut message {
            let continues = !trimmed.is_empty()
                && !trimmed.starts_with("[signal ")
                && !trimmed.starts_with("exit status");
            if continues && known.len() < super::MAX_MESSAGE {
                known.push('\n');
                known.push_str(trimmed);
            }
        }
    }
    let stack =
        dump_at.map(|start| first_stack(tail(text, start), message.is_some())).unwrap_or_default();
    if message.is_none() && stack.is_empty() {
        return None;
    }
    let start = message.as_ref().map(|(_, _, start)| *start).or(dump_at)?;
    let panicked = message.is_some();
    let (kind, text) = match message {
        Some((kind, text, _)) => (kind, text),
        None => ("goroutine", String::new()),
    };
    let text = text.trim_end_matches(" [recovered]").to_owned();
    let (kind, text) = match text.strip_prefix("runtime error: ") {
        Some(rest) => ("runtime error", rest.to_owned()),
        None => (kind, text),
    };
    Some(Found {
        exception: exception(kind, &text, if panicked { above_panic(stack) } else { stack }),
        start,
    })
}

fn opening(line: &str) -> Option<(&'static str, &str)> {
    if let Some(rest) = line.strip_prefix("panic: ") {
        return Some(("panic", rest));
    }
    // `http: panic serving 1.2.3.4:56: message`, as the server of net/http writes it.
    if let Some(rest) = line.strip_prefix("http: panic serving ") {
        return rest.split_once(": ").map(|(_, message)| ("panic", message));
    }
    line.strip_prefix("fatal error: ").map(|rest| ("fatal error", rest))
}

/// Frames of the panic's machinery, above the function that panicked, are left out.
fn above_panic(mut stack: Vec<Frame>) -> Vec<Frame> {
    let name = |frame: &Frame| frame.function.clone().unwrap_or_default();
    let panic = stack.iter().rposition(|frame| name(frame) == "panic");
    if let Some(index) = panic {
        let machinery = |frame: &Frame| {
            let name = name(frame);
            name.starts_with("runtime.")
                && (name.contains("panic") || name.contains("sigpanic") || name.contains("gopanic"))
        };
        let mut first = index + 1;
        while stack.get(first).is_some_and(machinery) {
            first += 1;
        }
        if first < stack.len() {
            stack.drain(..first);
        }
    }
    stack
}

/// The stack of the first goroutine of a dump.
fn first_stack(dump: &str, lenient: bool) -> Vec<Frame> {
    let end = dump.find("\n\n").unwrap_or(dump.len());
    parse(slice(dump, 0, end), lenient)
        .goroutines
        .into_iter()
        .next()
        .map(|found| found.stack)
        .unwrap_or_default()
}

/// Whether a line opens a goroutine: `goroutine 1 [running]:`.
pub(crate) fn is_goroutine(line: &str) -> bool {
    let Some(rest) = line.strip_prefix("goroutine ") else { return false };
    rest.as_bytes().first().is_some_and(u8::is_ascii_digit)
        && rest.contains(" [")
        && line.trim_end().ends_with("]:")
}

/// What a dump holds, and how many goroutines in it could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dump {
    /// The goroutines, in order.
    pub goroutines: Vec<Goroutine>,
    /// Goroutines left out because a line of theirs is damaged.
    pub damaged: usize,
}

/// Reads a goroutine dump. A goroutine with a damaged line is left out and counted.
pub fn parse_goroutines(text: &str) -> Dump {
    parse(text, false)
}

/// With `lenient`, a damaged line ends its goroutine, and what was read before it is kept.
fn parse(text: &str, lenient: bool) -> Dump {
    let mut dump = Dump::default();
    let mut lines = text.split('\n').map(|line| line.trim_end_matches('\r')).peekable();
    while let Some(line) = lines.next() {
        if !is_goroutine(line) {
            continue;
        }
        let Some(mut goroutine) = heading(line) else { continue };
        let mut reader = Reader::default();
        while let Some(next) = lines.peek() {
            if next.is_empty() || is_goroutine(next) || next.starts_with("exit status ") {
                break;
            }
            if !reader.line(next) {
                break;
            }
            lines.next();
        }
        if lenient {
            reader.mend();
        }
        match reader.finish(&mut goroutine) {
            Some(()) if dump.goroutines.len() < MAX_GOROUTINES => dump.goroutines.push(goroutine),
            _ => dump.damaged += 1,
        }
    }
    dump
}

/// `goroutine 7 [chan receive, 5 minutes, locked to thread]:`.
fn heading(line: &str) -> Option<Goroutine> {
    let rest = line.strip_prefix("goroutine ")?;
    let (id, rest) = rest.split_once(' ')?;
    let open = rest.find('[')?;
    let close = rest.rfind(']')?;
    let mut goroutine = Goroutine { id: id.parse().ok()?, ..Goroutine::default() };
    for (index, part) in slice(rest, open + 1, close).split(", ").enumerate() {
        if index == 0 {
            part.clone_into(&mut goroutine.state);
        } else if part == "locked to thread" {
            goroutine.locked = true;
        } else if let Some(minutes) = part.strip_suffix(" minutes") {
            goroutine.wait_minutes = minutes.parse().ok()?;
        }
    }
    Some(goroutine)
}

/// Reads the lines below a goroutine's heading.
#[derive(Default)]
struct Reader {
    /// The goroutine itself, then its ancestors.
    levels: Vec<Level>,
    current: Level,
    /// A call whose place is awaited.
    call: Option<Call>,
    damaged: bool,
}

#[derive(Default)]
struct Level {
    id: u64,
    stack: Vec<Frame>,
    elided: bool,
    created_by: Option<Frame>,
}

struct Call {
    function: String,
    creates: bool,
}

impl Reader {
    /// Takes a line; false where it cannot belong to a goroutine.
    fn line(&mut self, line: &str) -> bool {
        if let Some(call) = self.call.take() {
            match place(line) {
                Some((file, number)) => self.frame(call, file, number),
                None => self.damaged = true,
            }
            return true;
        }
        if line.starts_with("...") && line.contains("frames elided") {
            self.current.elided = true;
        } else if let Some(id) = line.strip_prefix("[originating from goroutine ") {
            let id = id.trim_end_matches("]:").parse().unwrap_or(0);
            let done = std::mem::take(&mut self.current);
            if self.levels.len() < MAX_ANCESTORS {
                self.levels.push(done);
            }
            self.current.id = id;
        } else if let Some(rest) = line.strip_prefix("created by ") {
            let function = rest.split(" in goroutine ").next().unwrap_or(rest);
            self.call = Some(Call { function: function.to_owned(), creates: true });
        } else if let Some(function) = call(line) {
            self.call = Some(Call { function: function.to_owned(), creates: false });
        } else if line.starts_with("goroutine running on other thread") {
        } else {
            self.damaged = true;
        }
        true
    }

    fn frame(&mut self, call: Call, file: &str, line: i32) {
        let frame = Frame {
            module: Some(package(&call.function).to_owned()),
            function: Some(call.function),
            file: Some(file.to_owned()),
            line: Some(line),
            column: None,
            in_app: false,
        };
        if call.creates {
            self.current.created_by = Some(frame);
        } else if self.current.stack.len() < MAX_FRAMES {
            self.current.stack.push(frame);
        }
    }

    /// Forgives what is damaged.
    fn mend(&mut self) {
        self.damaged = false;
        self.call = None;
    }

    /// None where a line was damaged or nothing was read.
    fn finish(mut self, goroutine: &mut Goroutine) -> Option<()> {
        if self.damaged || self.call.is_some() {
            return None;
        }
        self.levels.push(self.current);
        let mut levels = self.levels.into_iter();
        let own = levels.next()?;
        if own.stack.is_empty() {
            return None;
        }
        goroutine.stack = own.stack;
        goroutine.elided = own.elided;
        goroutine.created_by = own.created_by;
        let mut ancestor: Option<Box<Goroutine>> = None;
        for level in levels.rev() {
            ancestor = Some(Box::new(Goroutine {
                id: level.id,
                stack: level.stack,
                elided: level.elided,
                created_by: level.created_by,
                ancestor,
                ..Goroutine::default()
            }));
        }
        goroutine.ancestor = ancestor;
        Some(())
    }
}

/// The function of `main.(*T).method(0x1, 0x2)`.
pub(crate) fn call(line: &str) -> Option<&str> {
    let line = line.trim_end();
    let open = line.rfind('(')?;
    let name = slice(line, 0, open);
    let valid =
        line.ends_with(')') && !name.is_empty() && !name.contains(' ') && !name.ends_with(')');
    valid.then_some(name)
}

/// `\t/path/file.go:12 +0x3d`.
pub(crate) fn place(line: &str) -> Option<(&str, i32)> {
    let trimmed = line.trim();
    let path = match trimmed.rsplit_once(" +0x") {
        Some((path, _)) => path,
        None => trimmed,
    };
    let (file, number) = path.rsplit_once(':')?;
    (!file.is_empty()).then_some((file, line_number(number)?))
}

/// The package of a function: up to the first dot behind the last slash.
pub(super) fn package(function: &str) -> &str {
    let base = function.rfind('/').map_or(0, |slash| slash + 1);
    match tail(function, base).find('.') {
        Some(dot) => slice(function, 0, base + dot),
        None => function,
    }
}
