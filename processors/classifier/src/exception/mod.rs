//! Exceptions in the text of an event: type, message, frames (the innermost first), causes.
//! Promises: never panics, linear in the text, bounded in frames and in the length of a chain.

mod class;
mod dotnet;
mod escaped;
pub mod go;
mod go_errors;
mod in_app;
mod java;
mod javascript;
mod names;
mod php;
mod pytest;
mod python;
mod report;
mod ruby;
pub(crate) mod rust;
mod swift;

pub use class::is_test;
pub(crate) use class::{class, simple_class, simple_name, test_subject};
pub(crate) use dotnet::is_divider;
pub(crate) use go_errors::is_function as is_go_function;
pub use in_app::{Kind, Rules};
pub(crate) use javascript::is_gecko_frame;
pub(crate) use names::{header, is_exception_name};
pub(crate) use php::{
    is_part as is_php_part, is_uncaught as is_php_uncaught, opens_stack as opens_php_stack,
};
pub(crate) use pytest::title as pytest_title;
pub(crate) use ruby::{is_frame as is_ruby_frame, is_head as is_ruby_head};

use hephaestus_schemas::{Exception, Frame};

use crate::scan::{contains, cut};

/// Frames kept of one exception.
pub const MAX_FRAMES: usize = 1024;
/// Exceptions kept of one chain of causes.
pub const MAX_CHAIN: usize = 16;
/// Bytes kept of an exception's message.
pub const MAX_MESSAGE: usize = 4096;

/// An exception and where its text begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The exception, with its causes.
    pub exception: Exception,
    /// Byte in the text at which the trace begins; what stands before is the event's own message.
    pub start: usize,
}

/// Looks for an exception in the text of an event.
pub fn find(text: &str, rules: &Rules) -> Option<Found> {
    let has_lines = memchr::memchr(b'\n', text.as_bytes()).is_some();
    let plain = if has_lines { None } else { escaped::unescaped(text) };
    let mut found = match &plain {
        Some(plain) => {
            let mut found = by_runtime(plain, rules)?;
            // What stands before the trace is cut from the text as it is.
            let before = plain.get(..found.start).unwrap_or("");
            if !text.starts_with(before) {
                found.start = 0;
            }
            found
        }
        None => by_runtime(text, rules)?,
    };
    bound(&mut found.exception, rules);
    Some(found)
}

fn by_runtime(text: &str, rules: &Rules) -> Option<Found> {
    let has_lines = memchr::memchr(b'\n', text.as_bytes()).is_some();
    if !has_lines {
        return rust::one_line(text)
            .or_else(|| go::one_line(text))
            .or_else(|| ruby::is_head(text).then(|| ruby::find(text)).flatten())
            .or_else(|| swift::one_line(text))
            .or_else(|| bare(text));
    }
    if contains(text, "Traceback (most recent call last)")
        && let Some(found) = python::find(text)
    {
        return Some(found);
    }
    if contains(text, "panicked at ")
        && let Some(found) = rust::find(text)
    {
        return Some(found);
    }
    if (contains(text, "goroutine ")
        || text.starts_with("panic: ")
        || text.starts_with("fatal error: "))
        && let Some(found) = go::find(text)
    {
        return Some(found);
    }
    if contains(text, "\nCaused by:\n")
        && let Some(found) = report::find(text)
    {
        return Some(found);
    }
    if contains(text, ".go:")
        && let Some(found) = go_errors::find(text)
    {
        return Some(found);
    }
    if (contains(text, "at ") || contains(text, "@"))
        && let Some(found) =
            dotnet::find(text).or_else(|| java::find(text)).or_else(|| javascript::find(text))
    {
        return Some(found);
    }
    if (contains(text, "Stack trace:") || contains(text, "[stacktrace]"))
        && let Some(found) = php::find(text)
    {
        return Some(found);
    }
    if contains(text, ":in ")
        && let Some(found) = ruby::find(text)
    {
        return Some(found);
    }
    let _ = rules;
    pytest::find(text).or_else(|| bare(text))
}

/// An exception of which only the first line is there: `ValueError: bad`.
fn bare(text: &str) -> Option<Found> {
    let first = match memchr::memchr(b'\n', text.as_bytes()) {
        Some(_) => text.lines().next().unwrap_or(""),
        None => text,
    };
    let header = header(first)?;
    if !is_exception_name(header.type_name) || header.type_name.len() < 8 {
        return None;
    }
    let rest = crate::scan::tail(text, first.len());
    let message = format!("{}{}", header.message, rest);
    Some(Found { exception: exception(header.type_name, message.trim(), Vec::new()), start: 0 })
}

/// Makes an exception, its message cut to the bound.
fn exception(type_name: &str, message: &str, frames: Vec<Frame>) -> Exception {
    Exception {
        type_name: cut(type_name, 512).to_owned(),
        message: cut(message, MAX_MESSAGE).to_owned(),
        frames,
        cause: None,
    }
}

/// Links exceptions, the outermost first, into one chain.
fn chain(sections: Vec<Exception>) -> Option<Exception> {
    let mut whole: Option<Exception> = None;
    let kept = sections.into_iter().take(MAX_CHAIN).collect::<Vec<_>>();
    for mut section in kept.into_iter().rev() {
        section.cause = whole.map(Box::new);
        whole = Some(section);
    }
    whole
}

/// Exceptions that are printed from the innermost outwards, linked as they come.
#[derive(Default)]
struct Outwards {
    whole: Option<Exception>,
    causes: usize,
}

impl Outwards {
    /// Takes the next one, which wraps those before it.
    fn wrap(&mut self, mut exception: Exception) {
        let cause = self.whole.take();
        if self.causes < MAX_CHAIN {
            exception.cause = cause.map(Box::new);
            self.causes += 1;
        }
        self.whole = Some(exception);
    }

    /// Takes the next one, which is the cause of the last.
    fn deepen(&mut self, exception: Exception) {
        if self.causes >= MAX_CHAIN {
            return;
        }
        self.causes += 1;
        let Some(whole) = &mut self.whole else {
            self.whole = Some(exception);
            return;
        };
        let mut last = &mut whole.cause;
        while let Some(link) = last {
            last = &mut link.cause;
        }
        *last = Some(Box::new(exception));
    }
}

/// Cuts the frames of a chain to their bound and tells which belong to the application.
fn bound(exception: &mut Exception, rules: &Rules) {
    let mut current = Some(&mut *exception);
    while let Some(link) = current {
        link.frames.truncate(MAX_FRAMES);
        current = link.cause.as_deref_mut();
    }
    let tested = tested_libraries(exception);
    let mut current = Some(exception);
    while let Some(link) = current {
        for frame in &mut link.frames {
            frame.in_app = match rules.kind(frame) {
                Kind::Application => true,
                Kind::Library => {
                    !tested.is_empty()
                        && !rules.is_configured(frame)
                        && in_app::library(frame).is_some_and(|name| tested.contains(&name))
                }
                Kind::Runtime => false,
            };
        }
        current = link.cause.as_deref_mut();
    }
}

/// Well-known libraries of which a test is in the trace: there they are the application.
fn tested_libraries(exception: &Exception) -> Vec<&'static str> {
    let mut tested = Vec::new();
    let links = std::iter::successors(Some(exception), |link| link.cause.as_deref());
    for frame in links.flat_map(|link| &link.frames).filter(|frame| is_test(frame)) {
        if let Some(name) = in_app::library(frame)
            && !tested.contains(&name)
        {
            tested.push(name);
        }
    }
    tested
}

/// Reads a line number; none where it has more digits than any has, whichever they are.
fn line_number(text: &str) -> Option<i32> {
    const MAX_DIGITS: usize = 9;
    if text.len() > MAX_DIGITS { None } else { text.parse().ok() }
}
