//! A repository at one commit with edits on top, in memory.
//!
//! Promises: an edit applies where its text stands exactly once at the commit, or not at all;
//! bytes that no edit names (line ends, encodings, a missing last newline) stay as they are.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use hephaestus_schemas::Edit;
use memchr::memmem;

use crate::{
    diff,
    error::RepositoryError,
    path::check_path,
    repository::{CommitId, MAX_BLOB_BYTES, Repository},
};

/// Most edits on one view.
pub const MAX_EDITS: usize = 200;
/// Most files changed on one view.
pub const MAX_CHANGED_FILES: usize = 50;
/// Most bytes of the files changed on one view, before and after together.
pub const MAX_VIEW_BYTES: usize = 16 * 1024 * 1024;
/// Most bytes of an edit's `find` and of its `replace`.
pub const MAX_EDIT_BYTES: usize = 256 * 1024;
/// Occurrences of an edit's text after which counting stops.
pub const MAX_COUNTED: usize = 10;

/// Why an edit does not apply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The file cannot be edited.
    #[error(transparent)]
    File(#[from] RepositoryError),
    /// The commit has no such file.
    #[error("`{path}` does not exist at the base commit; edit a file that does")]
    MissingFile {
        /// The file to be edited.
        path: String,
    },
    /// The text is not in the file.
    #[error("the text to find does not stand in `{path}`{hint}; take it over exactly")]
    NotFound {
        /// The file to be edited.
        path: String,
        /// What may be the reason.
        hint: &'static str,
    },
    /// The text stands in the file more than once.
    #[error(
        "the text to find stands {count} times in `{path}`; add lines around it until it stands once"
    )]
    Ambiguous {
        /// The file to be edited.
        path: String,
        /// Occurrences, overlapping ones included; counted up to [`MAX_COUNTED`].
        count: usize,
    },
    /// Another edit changes the same text.
    #[error("two edits change the same text of `{path}`; make one of them")]
    Overlap {
        /// The file to be edited.
        path: String,
    },
    /// The edit says nothing.
    #[error("the edit of `{path}` {reason}")]
    Void {
        /// The file to be edited.
        path: String,
        /// What is missing, and what would be right.
        reason: &'static str,
    },
    /// A bound is passed.
    #[error("{what}; at most {limit} are allowed")]
    TooMuch {
        /// What there is too much of.
        what: String,
        /// The bound.
        limit: usize,
    },
}

impl EditError {
    /// Whether trying again later may help.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::File(error) if error.is_retryable())
    }
}

/// Replaces a range of the file at the commit.
#[derive(Debug, Clone)]
pub(crate) struct Splice {
    pub(crate) range: Range<usize>,
    pub(crate) replacement: Vec<u8>,
}

#[derive(Debug, Clone)]
struct EditedFile {
    before: Vec<u8>,
    after: Vec<u8>,
    /// In order, none overlapping.
    splices: Vec<Splice>,
}

impl EditedFile {
    fn bytes(&self) -> usize {
        self.before.len() + self.after.len()
    }
}

/// What the edits make of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// Path of the file.
    pub path: String,
    /// Lines that are new, without their ends; bytes that are no UTF-8 are replaced.
    pub added: Vec<String>,
    /// Lines that are gone, without their ends.
    pub removed: Vec<String>,
    /// The change as a unified diff with git's headers.
    pub diff: String,
}

/// A repository at one commit with edits on top.
#[derive(Clone)]
pub struct View {
    repository: Arc<dyn Repository>,
    commit: CommitId,
    files: BTreeMap<String, EditedFile>,
    edits: usize,
}

impl View {
    /// The repository as it stands at a commit.
    pub fn new(repository: Arc<dyn Repository>, commit: CommitId) -> Self {
        Self { repository, commit, files: BTreeMap::new(), edits: 0 }
    }

    /// The commit below the edits.
    pub fn commit(&self) -> &CommitId {
        &self.commit
    }

    /// A file with the edits applied; `None` where there is none of that path.
    ///
    /// # Errors
    /// See [`RepositoryError`].
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, RepositoryError> {
        match self.files.get(path) {
            Some(file) => Ok(Some(file.after.clone())),
            None => self.repository.read(&self.commit, path),
        }
    }

    /// Applies an edit, or leaves the view as it was.
    ///
    /// # Errors
    /// See [`EditError`].
    pub fn apply(&mut self, edit: &Edit) -> Result<(), EditError> {
        check_path(&edit.path).map_err(RepositoryError::Path)?;
        self.check_bounds(edit)?;
        let path = || edit.path.clone();
        if edit.find.is_empty() {
            let reason = "has no text to find; take over the lines to replace";
            return Err(EditError::Void { path: path(), reason });
        }
        if edit.find == edit.replace {
            let reason = "changes nothing; the replacement must differ";
            return Err(EditError::Void { path: path(), reason });
        }

        let mut file = match self.files.get(&edit.path) {
            Some(file) => file.clone(),
            None => {
                let before = self.repository.read(&self.commit, &edit.path)?;
                let before = before.ok_or_else(|| EditError::MissingFile { path: path() })?;
                EditedFile { after: before.clone(), before, splices: Vec::new() }
            }
        };
        let range = find_once(&file.before, edit)?;
        let place = file.splices.partition_point(|splice| splice.range.start < range.start);
        let overlaps_last = place.checked_sub(1).and_then(|last| file.splices.get(last));
        let overlaps = overlaps_last.is_some_and(|splice| splice.range.end > range.start)
            || file.splices.get(place).is_some_and(|splice| splice.range.start < range.end);
        if overlaps {
            return Err(EditError::Overlap { path: path() });
        }
        let replacement = edit.replace.as_bytes().to_vec();
        file.splices.insert(place, Splice { range, replacement });
        file.after = spliced(&file.before, &file.splices);
        if file.after.len() > MAX_BLOB_BYTES {
            let what = format!("`{}` would have {} bytes", edit.path, file.after.len());
            return Err(EditError::TooMuch { what, limit: MAX_BLOB_BYTES });
        }
        let others = self.files.iter().filter(|(other, _)| **other != edit.path);
        let others_bytes: usize = others.map(|(_, other)| other.bytes()).sum();
        if others_bytes + file.bytes() > MAX_VIEW_BYTES {
            let what = format!("the changed files have {} bytes", others_bytes + file.bytes());
            return Err(EditError::TooMuch { what, limit: MAX_VIEW_BYTES });
        }
        self.files.insert(path(), file);
        self.edits += 1;
        Ok(())
    }

    fn check_bounds(&self, edit: &Edit) -> Result<(), EditError> {
        let longest = edit.find.len().max(edit.replace.len());
        if longest > MAX_EDIT_BYTES {
            let what = format!("an edit of `{}` has {longest} bytes", edit.path);
            return Err(EditError::TooMuch { what, limit: MAX_EDIT_BYTES });
        }
        if self.edits >= MAX_EDITS {
            let what = format!("there are more than {MAX_EDITS} edits");
            return Err(EditError::TooMuch { what, limit: MAX_EDITS });
        }
        if self.files.len() >= MAX_CHANGED_FILES && !self.files.contains_key(&edit.path) {
            let what = format!("there are edits of more than {MAX_CHANGED_FILES} files");
            return Err(EditError::TooMuch { what, limit: MAX_CHANGED_FILES });
        }
        Ok(())
    }

    /// Paths of the files that differ from the commit, sorted.
    pub fn changed_files(&self) -> Vec<&str> {
        let differing = self.files.iter().filter(|(_, file)| file.before != file.after);
        differing.map(|(path, _)| path.as_str()).collect()
    }

    /// A changed file's bytes at the commit and now; `None` where no edit touched it.
    pub fn before_and_after(&self, path: &str) -> Option<(&[u8], &[u8])> {
        let file = self.files.get(path)?;
        Some((&file.before, &file.after))
    }

    /// The new bytes of every file that differs from the commit, by path.
    pub fn new_files(&self) -> Vec<(String, Vec<u8>)> {
        let differing = self.files.iter().filter(|(_, file)| file.before != file.after);
        differing.map(|(path, file)| (path.clone(), file.after.clone())).collect()
    }

    /// What the edits make of each file that differs from the commit, by path.
    pub fn changes(&self) -> Vec<FileChange> {
        let mut changes = Vec::new();
        for (path, file) in &self.files {
            if file.before != file.after {
                changes.push(diff::file_change(path, &file.before, &file.after, &file.splices));
            }
        }
        changes
    }

    /// All changes as one unified diff that `git apply` takes.
    pub fn diff(&self) -> String {
        self.changes().into_iter().map(|change| change.diff).collect()
    }

    /// Lines added and removed together, over all files.
    pub fn changed_lines(&self) -> usize {
        self.changes().iter().map(|change| change.added.len() + change.removed.len()).sum()
    }
}

/// Where the edit's text stands in the file, if it stands there exactly once.
fn find_once(file: &[u8], edit: &Edit) -> Result<Range<usize>, EditError> {
    let needle = edit.find.as_bytes();
    let finder = memmem::Finder::new(needle);
    let mut first = None;
    let mut count = 0;
    let mut from = 0;
    // The bound keeps a text that overlaps itself at every byte from costing file times text.
    while count < MAX_COUNTED {
        let Some(offset) = file.get(from..).and_then(|rest| finder.find(rest)) else {
            break;
        };
        first = first.or(Some(from + offset));
        count += 1;
        from += offset + 1;
    }
    let path = edit.path.clone();
    match (first, count) {
        (Some(start), 1) => Ok(start..start + needle.len()),
        (None, _) => {
            let has_crlf = memmem::find(file, b"\r\n").is_some();
            let wants_lf = edit.find.contains('\n') && !edit.find.contains("\r\n");
            let hint = if has_crlf && wants_lf {
                " (its lines end in CRLF, those of the text in LF)"
            } else {
                ""
            };
            Err(EditError::NotFound { path, hint })
        }
        _ => Err(EditError::Ambiguous { path, count }),
    }
}

fn spliced(before: &[u8], splices: &[Splice]) -> Vec<u8> {
    let mut after = Vec::with_capacity(before.len());
    let mut copied = 0;
    for splice in splices {
        after.extend_from_slice(before.get(copied..splice.range.start).unwrap_or_default());
        after.extend_from_slice(&splice.replacement);
        copied = splice.range.end;
    }
    after.extend_from_slice(before.get(copied..).unwrap_or_default());
    after
}
