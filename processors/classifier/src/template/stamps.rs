//! Time stamps in a message: the one thing in a template that depends on which digits stand somewhere, beside that some do.

use super::{MAX_SOURCE, first_line};
use crate::scan::{at, cut};
use crate::time;

/// Places that are noted.
const MAX_NOTED: usize = 6;

/// Where time stamps were looked for in a message, and which of them were found to end where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stamps {
    noted: [(usize, Option<usize>); MAX_NOTED],
    count: usize,
}

impl Stamps {
    /// The end of a time stamp with a day at `start`, which may span several tokens.
    pub(super) fn find(&mut self, bytes: &[u8], start: usize) -> Option<usize> {
        let first = at(bytes, start);
        let opens = first.is_ascii_digit()
            || (first.is_ascii_uppercase() && matches!(at(bytes, start + 3), b' ' | b','));
        if !opens {
            return None;
        }
        let end = end_of(bytes, start);
        if let Some(noted) = self.noted.get_mut(self.count) {
            *noted = (start, end);
        }
        self.count += 1;
        end
    }

    /// Whether all places were noted.
    pub(crate) fn are_whole(&self) -> bool {
        self.count <= MAX_NOTED
    }

    /// Whether the same is found at the same places in a message without placeholders.
    pub(crate) fn hold(&self, message: &str) -> bool {
        let noted = self.noted.get(..self.count).unwrap_or(&[]);
        if noted.is_empty() {
            return self.are_whole();
        }
        let source = cut(first_line(message), MAX_SOURCE).trim_end().as_bytes();
        noted.iter().all(|(start, end)| end_of(source, *start) == *end)
    }
}

fn end_of(bytes: &[u8], start: usize) -> Option<usize> {
    // The reference time only supplies a year, which the mask does not show.
    let stamp = time::parse_at(bytes, start, 0, false)?;
    let closes = !at(bytes, stamp.end).is_ascii_alphanumeric();
    (stamp.dated && closes).then_some(stamp.end)
}
