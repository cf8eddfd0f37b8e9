//! Numbers with a unit, over one or two tokens: sizes and durations.

use crate::scan::{at, run_end, skip_spaces, slice, token_end};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Size,
    Duration,
}

impl Unit {
    pub(super) fn mask(self) -> &'static str {
        match self {
            Self::Size => "<size>",
            Self::Duration => "<duration>",
        }
    }
}

/// The unit a word names; `m` and `d` alone mean too many things.
pub(super) fn unit(word: &str) -> Option<Unit> {
    Some(match word {
        "B" | "byte" | "bytes" | "KB" | "kB" | "MB" | "GB" | "TB" | "kb" | "mb" | "gb" | "KiB"
        | "MiB" | "GiB" | "Bytes" | "K" | "KBytes" | "kbytes" => Unit::Size,
        "ns" | "us" | "µs" | "ms" | "msec" | "msecs" | "s" | "sec" | "secs" | "second"
        | "seconds" | "min" | "mins" | "minute" | "minutes" | "h" | "hr" | "hrs" | "hour"
        | "hours" | "day" | "days" | "millis" | "milliseconds" | "millisecond" | "microseconds"
        | "nanoseconds" => Unit::Duration,
        _ => return None,
    })
}

/// A number at `start` whose unit is the next word, with a second form in brackets perhaps:
/// `2854 bytes (2.78 KB)`, `<1 sec`. Writes the mask and returns the end, or does nothing.
pub(super) fn measured(source: &str, start: usize, end: usize, out: &mut String) -> Option<usize> {
    let bytes = source.as_bytes();
    let bracketed = at(bytes, start) == b'(';
    let below = usize::from(matches!(at(bytes, start), b'<' | b'('));
    if number_end(bytes, start + below) != end || end == start + below {
        return None;
    }
    let (unit, unit_end) = unit_word(source, end)?;
    if bracketed {
        out.push('(');
    }
    out.push_str(unit.mask());
    let second_at = skip_spaces(bytes, unit_end);
    let mut done = unit_end;
    if at(bytes, second_at) == b'(' {
        let second_end = token_end(bytes, second_at);
        let is_number = number_end(bytes, second_at + 1) == second_end;
        if let Some((second, close)) = unit_word(source, second_end).filter(|_| is_number)
            && second == unit
            && at(bytes, close) == b')'
        {
            done = close + 1;
        }
    }
    Some(super::rest_of_token(source, done, out))
}

/// The unit behind a space at `pos`, and where its word ends.
fn unit_word(source: &str, pos: usize) -> Option<(Unit, usize)> {
    let bytes = source.as_bytes();
    let word_at = skip_spaces(bytes, pos);
    let word_end = run_end(bytes, word_at, |byte| byte.is_ascii_alphabetic());
    let word = slice(source, word_at, word_end);
    // A single letter behind a space is rather a name.
    if word.len() < 2 && word != "B" {
        return None;
    }
    let next = at(bytes, word_end);
    // `second(s)` stays a word.
    (word_at > pos && !crate::scan::is_ident(next) && next != b'(').then_some(())?;
    Some((unit(word)?, word_end))
}

/// The end of the number at `pos`: a sign, digits, and marks between digits.
pub(super) fn number_end(bytes: &[u8], pos: usize) -> usize {
    let signed = usize::from(matches!(at(bytes, pos), b'-' | b'+'));
    let mut end = pos + signed;
    if !at(bytes, end).is_ascii_digit() {
        return pos;
    }
    loop {
        while at(bytes, end).is_ascii_digit() {
            end += 1;
        }
        let mark = at(bytes, end);
        let exponent = matches!(mark, b'e' | b'E')
            && matches!(at(bytes, end + 1), b'-' | b'+')
            && at(bytes, end + 2).is_ascii_digit();
        if exponent {
            end += 2;
        } else if matches!(mark, b'.' | b',') && at(bytes, end + 1).is_ascii_digit() {
            end += 1;
        } else {
            return end;
        }
    }
}
