//! Ranks the frames in which a defect may lie, from the trace alone.
//! Promises: no frame is named twice, bounded work whatever the depth of the trace.

use hephaestus_schemas::{Exception, Frame};

use crate::exception::{Kind, Rules, class, is_test, simple_class, simple_name, test_subject};

/// Frames that are named at most.
pub const MAX_CULPRITS: usize = 16;
/// Different frames that are weighed against each other at most.
const MAX_CANDIDATES: usize = 64;
/// Times that a frame comes again before it counts as recursion.
const MIN_RECURSION: usize = 3;
/// Shortest name of a test's subject that may stand for a class with a longer name.
const MIN_SUBJECT: usize = 4;

/// What a runtime raises where code does what it cannot do: the innermost frame did it. Every other
/// exception was thrown on purpose: a frame refused what it was given, and its caller may be wrong.
const RAISED_BY_RUNTIMES: [&str; 25] = [
    // Java
    "NullPointerException",
    "ArrayIndexOutOfBoundsException",
    "StringIndexOutOfBoundsException",
    "IndexOutOfBoundsException",
    "ClassCastException",
    "ArithmeticException",
    "ArrayStoreException",
    "NegativeArraySizeException",
    "ConcurrentModificationException",
    "NoSuchElementException",
    "NumberFormatException",
    "StackOverflowError",
    "OutOfMemoryError",
    // .NET
    "NullReferenceException",
    "IndexOutOfRangeException",
    "InvalidCastException",
    "DivideByZeroException",
    // Python, JavaScript, Ruby
    "TypeError",
    "AttributeError",
    "KeyError",
    "IndexError",
    "NameError",
    "ReferenceError",
    "NoMethodError",
    "ZeroDivisionError",
];

/// What runtimes call it when calls are nested too deep.
const OVERFLOWS: [&str; 4] =
    ["StackOverflowError", "StackOverflowException", "RecursionError", "SystemStackError"];

/// First words of functions that only check or only throw: `checkNotNull`, `_raise_for_status`.
const GUARD_WORDS: [&str; 14] = [
    "assert", "check", "ensure", "expect", "fail", "guard", "raise", "reject", "report", "require",
    "rethrow", "throw", "validate", "verify",
];

/// Classes of which every function is a guard.
const GUARD_CLASSES: [&str; 10] = [
    "Assert",
    "Assertions",
    "Check",
    "Checks",
    "Ensure",
    "Objects",
    "Preconditions",
    "Require",
    "Validate",
    "Verify",
];

/// Frames in which the defect may lie, the likeliest first: those of the application from the
/// innermost of the root cause outwards, then those of the exceptions it caused, then libraries
/// where the application has none, and tests last. A module's function is named once.
///
/// Four things change that order. Frames of exceptions' own classes come behind all others. Guards
/// at which the trace begins come behind their caller. Of what was thrown on purpose, the class for
/// which a test is named comes second at least, and first where the innermost one was called by it.
/// Where calls were nested too deep, frames of the recursion come first.
pub fn rank(exception: &Exception, rules: &Rules) -> Vec<Frame> {
    let mut links: Vec<&Exception> =
        std::iter::successors(Some(exception), |link| link.cause.as_deref()).collect();
    links.reverse();
    let mut application: Vec<Candidate<'_>> = Vec::new();
    let mut library: Vec<Candidate<'_>> = Vec::new();
    let mut tests: Vec<Candidate<'_>> = Vec::new();
    for frame in links.iter().flat_map(|link| &link.frames) {
        let list = match kind(frame, rules) {
            Kind::Runtime => continue,
            _ if is_test(frame) => &mut tests,
            Kind::Application => &mut application,
            Kind::Library => &mut library,
        };
        if let Some(known) = list.iter_mut().find(|known| same_place(known.frame, frame)) {
            known.times += 1;
        } else if list.len() < MAX_CANDIDATES {
            list.push(Candidate { frame, times: 1 });
        }
    }
    if application.is_empty() {
        application = library;
    }
    if let Some(root) = links.first() {
        reorder(&mut application, &tests, root, rules);
    }
    application.extend(tests);
    application.truncate(MAX_CULPRITS);
    application.into_iter().map(|candidate| candidate.frame.clone()).collect()
}

/// A frame, and how often it is in the trace.
struct Candidate<'a> {
    frame: &'a Frame,
    times: usize,
}

/// Where a frame lies. What belongs to the application was settled when the whole trace was seen.
fn kind(frame: &Frame, rules: &Rules) -> Kind {
    match rules.kind(frame) {
        _ if frame.in_app => Kind::Application,
        kind => kind,
    }
}

fn same_place(a: &Frame, b: &Frame) -> bool {
    a.module == b.module && a.file == b.file && a.function == b.function
}

fn reorder(frames: &mut [Candidate<'_>], tests: &[Candidate<'_>], root: &Exception, rules: &Rules) {
    let type_name = simple_name(&root.type_name);
    if OVERFLOWS.contains(&type_name) {
        // Stable: the order within the recursion, and within the rest, stays.
        frames.sort_by_key(|candidate| candidate.times < MIN_RECURSION);
    }
    frames.sort_by_key(|candidate| is_of_exceptions(candidate.frame));
    let others = frames.partition_point(|candidate| !is_of_exceptions(candidate.frame));
    let Some(frames) = frames.get_mut(..others) else { return };
    if !is_thrown(root, type_name, rules) {
        return;
    }
    let guards = guards(frames, type_name);
    if let Some(front) = frames.get_mut(..=guards) {
        front.rotate_right(1);
    }
    promote_subject(frames, tests);
}

/// Whether code threw the exception on purpose: the innermost frame is the application's own or a
/// guard that it called, and runtimes do not raise the type.
fn is_thrown(root: &Exception, type_name: &str, rules: &Rules) -> bool {
    let innermost = root.frames.iter().find(|frame| !is_of_exceptions(frame));
    let own =
        innermost.is_none_or(|frame| kind(frame, rules) == Kind::Application || is_guard(frame));
    own && !RAISED_BY_RUNTIMES.contains(&type_name)
}

/// Number of frames at the beginning that only check or only throw, or that are constructors which
/// refuse their arguments.
fn guards(frames: &[Candidate<'_>], type_name: &str) -> usize {
    let guards = frames.iter().take_while(|candidate| is_guard(candidate.frame)).count();
    if guards > 0 || !type_name.contains("Argument") {
        return guards;
    }
    frames.iter().take_while(|candidate| is_constructor(candidate.frame)).count()
}

/// Puts the class for which a test is named first where it called the innermost class, else second.
fn promote_subject(frames: &mut [Candidate<'_>], tests: &[Candidate<'_>]) {
    let Some(position) = subject_position(frames, tests) else { return };
    let (before, _) = frames.split_at(position);
    let innermost = before.first().map(|candidate| class(candidate.frame));
    let is_next = before.iter().all(|candidate| Some(class(candidate.frame)) == innermost);
    let place = if is_next { 0 } else { 1 };
    if let Some(moved) = frames.get_mut(place..=position) {
        moved.rotate_right(1);
    }
}

/// The first frame of the class for which a test is named; else of one whose name begins so, such
/// as `OrderImpl` for `OrderTest`.
fn subject_position(frames: &[Candidate<'_>], tests: &[Candidate<'_>]) -> Option<usize> {
    let subjects = || tests.iter().filter_map(|test| test_subject(test.frame));
    let place = |fits: &dyn Fn(&str, &str) -> bool| {
        subjects().find_map(|subject| {
            frames.iter().position(|candidate| fits(simple_class(candidate.frame), subject))
        })
    };
    place(&|class, subject| class.eq_ignore_ascii_case(subject)).or_else(|| {
        place(&|class, subject| subject.len() >= MIN_SUBJECT && class.starts_with(subject))
    })
}

/// Whether a frame lies in an exception's own class, or among exceptions: a factory of them.
fn is_of_exceptions(frame: &Frame) -> bool {
    let Some(module) = frame.module.as_deref() else { return false };
    let name = class(frame);
    let among = |part: &str| matches!(part, "exception" | "exceptions" | "error" | "errors");
    let (package, _) = module.rsplit_once('.').unwrap_or(("", module));
    ["Exception", "Error", "Throwable"].iter().any(|end| name.ends_with(end))
        || package.split('.').any(among)
}

/// Whether a function only checks or only throws. A verb alone may be what the program is about;
/// with its object it names a check: `validate`, but `validateOrder`.
fn is_guard(frame: &Frame) -> bool {
    if GUARD_CLASSES.contains(&simple_class(frame)) {
        return true;
    }
    let function = frame.function.as_deref().unwrap_or("");
    let name = function.rsplit(['.', ':']).next().unwrap_or("").trim_start_matches('_');
    let opens = |char: char| char == '_' || char.is_ascii_uppercase();
    let Some(second) = name.char_indices().skip(1).find(|(_, char)| opens(*char)) else {
        return false;
    };
    let (word, _) = name.split_at(second.0);
    GUARD_WORDS.iter().any(|known| word.eq_ignore_ascii_case(known))
}

fn is_constructor(frame: &Frame) -> bool {
    matches!(frame.function.as_deref(), Some("<init>" | "__init__" | ".ctor" | "__construct"))
}
