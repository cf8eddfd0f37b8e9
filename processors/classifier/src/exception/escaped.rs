//! Traces in a single line, in which each line's end is written `\n`: what is put as text into a text.

use std::borrow::Cow;

use crate::scan::{at, from, run_end, skip_spaces};

/// How often a text may have been escaped.
const MAX_LEVELS: u32 = 3;
/// What the second and further lines of traces begin with.
const LINES: [&str; 6] = ["at ", "File ", "Caused by: ", "#0 ", "from ", "goroutine "];

/// The text as it was before it was escaped, where it holds a trace in one line.
pub(super) fn unescaped(text: &str) -> Option<String> {
    let slashes = slashes_before_a_line(text.as_bytes())?;
    // One, two or four: each further level doubles them.
    let levels = slashes.ilog2() + 1;
    if levels > MAX_LEVELS {
        return None;
    }
    let mut plain = Cow::Borrowed(text);
    for _ in 0..levels {
        plain = Cow::Owned(without_escapes(&plain));
    }
    Some(plain.into_owned())
}

/// Backslashes before the first `n` that a line of a trace follows.
fn slashes_before_a_line(bytes: &[u8]) -> Option<usize> {
    let mut pos = 0;
    while let Some(found) = memchr::memchr(b'\\', from(bytes, pos)) {
        let start = pos + found;
        let end = run_end(bytes, start, |byte| byte == b'\\');
        pos = end + 1;
        if at(bytes, end) == b'n' && begins_line(bytes, pos) {
            return Some(end - start);
        }
    }
    None
}

/// Whether a line of a trace begins here, behind what indents it.
fn begins_line(bytes: &[u8], pos: usize) -> bool {
    let slashes = run_end(bytes, pos, |byte| byte == b'\\');
    let tabbed = slashes > pos && at(bytes, slashes) == b't';
    let start = skip_spaces(bytes, if tabbed { slashes + 1 } else { pos });
    LINES.iter().any(|line| from(bytes, start).starts_with(line.as_bytes()))
}

fn without_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            plain.push(char);
            continue;
        }
        match chars.next() {
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some('r') => {}
            Some(quoted @ ('\\' | '"' | '\'' | '/')) => plain.push(quoted),
            Some(other) => plain.extend(['\\', other]),
            None => plain.push('\\'),
        }
    }
    plain
}
