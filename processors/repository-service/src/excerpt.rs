//! Excerpts of source files, as evidence.
//!
//! Promises: bounded, and an origin that leads back to the very lines.

use crate::{
    error::RepositoryError,
    repository::{CommitId, Repository},
};

/// Most lines before and after the line asked for.
pub const MAX_RADIUS: usize = 50;
/// Most characters of one line; longer ones are cut.
pub const MAX_LINE_CHARS: usize = 400;

/// Some lines of a file at a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// `commit:path#first-last`.
    pub origin: String,
    /// First line, from 1.
    pub first: usize,
    /// Last line, from 1.
    pub last: usize,
    /// The lines, each with its end as `\n`; bytes that are no UTF-8 are replaced.
    pub text: String,
}

/// The lines around `line` (from 1), `radius` lines each way. `None` where the commit has no such
/// file, the file has no such line or is binary.
///
/// # Errors
/// See [`RepositoryError`].
pub fn excerpt(
    repository: &dyn Repository,
    commit: &CommitId,
    path: &str,
    line: usize,
    radius: usize,
) -> Result<Option<Excerpt>, RepositoryError> {
    let Some(bytes) = repository.read(commit, path)? else {
        return Ok(None);
    };
    let is_binary = memchr::memchr(0, &bytes).is_some();
    if line == 0 || is_binary {
        return Ok(None);
    }
    let radius = radius.min(MAX_RADIUS);
    let first = line.saturating_sub(radius).max(1);
    let wanted = line.saturating_add(radius) - first + 1;
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').skip(first - 1).take(wanted);
    let mut text = String::new();
    let mut last = first - 1;
    for bytes in lines {
        text.push_str(&shown(bytes));
        text.push('\n');
        last += 1;
    }
    if last < line {
        return Ok(None);
    }
    Ok(Some(Excerpt { origin: format!("{commit}:{path}#{first}-{last}"), first, last, text }))
}

fn shown(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    // A character has at most four bytes: what lies behind need not be decoded.
    let line = line.get(..4 * MAX_LINE_CHARS).unwrap_or(line);
    let text = String::from_utf8_lossy(line);
    match text.char_indices().nth(MAX_LINE_CHARS) {
        Some((cut, _)) => format!("{}…", text.get(..cut).unwrap_or_default()),
        None => text.into_owned(),
    }
}
