//! Reports of errors in Rust, as anyhow and eyre print them: the error, its causes, a backtrace or a location.

use hephaestus_schemas::{Exception, Frame};

use super::{Found, chain, exception, rust};
use crate::scan::{run_end, slice, tail};

const CAUSES: &str = "Caused by:";

/// Looks for an error with its causes below it.
pub(super) fn find(text: &str) -> Option<Found> {
    let marker = memchr::memmem::find(text.as_bytes(), b"\nCaused by:\n")?;
    let head = slice(text, 0, marker).trim_end();
    let first = head.strip_prefix("Error: ").unwrap_or(head);
    let mut messages: Vec<String> = vec![first.trim().to_owned()];
    let mut frames: Vec<Frame> = Vec::new();
    let mut section = Section::Causes;
    for line in tail(text, marker + 1).split('\n') {
        let trimmed = line.trim();
        match trimmed {
            CAUSES => section = Section::Causes,
            "Location:" => section = Section::Location,
            "Stack backtrace:" => section = Section::Backtrace,
            "" => {}
            _ => match section {
                Section::Causes => cause(trimmed, &mut messages),
                Section::Location => frames.extend(rust::location(trimmed)),
                Section::Backtrace => rust::backtrace_line(trimmed, &mut frames),
            },
        }
    }
    let mut sections: Vec<Exception> =
        messages.iter().map(|message| exception("Error", message, Vec::new())).collect();
    sections.first_mut()?.frames = frames;
    Some(Found { exception: chain(sections)?, start: marker })
}

enum Section {
    Causes,
    Location,
    Backtrace,
}

/// `0: message`, or a message alone where there is one cause; another line goes on with the message before it.
fn cause(line: &str, messages: &mut Vec<String>) {
    let digits = run_end(line.as_bytes(), 0, |byte| byte.is_ascii_digit());
    let numbered = tail(line, digits).strip_prefix(": ").filter(|_| digits > 0);
    let is_first = messages.len() == 1;
    match (numbered, messages.last_mut()) {
        (Some(message), _) => messages.push(message.to_owned()),
        (None, Some(last)) if !is_first => {
            last.push('\n');
            last.push_str(line);
        }
        (None, _) => messages.push(line.to_owned()),
    }
}
