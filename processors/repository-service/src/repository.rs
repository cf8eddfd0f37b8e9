//! What a repository is to the stages: commits, and the files in them.
//!
//! Promises: what is read at a commit never changes, and every read is bounded.

use std::{fmt, str::FromStr, sync::Arc};

use crate::{error::RepositoryError, history::ChangedLines};

/// Most bytes of a file that is read.
pub const MAX_BLOB_BYTES: usize = 2 * 1024 * 1024;
/// Most files of one listing.
pub const MAX_LISTED_FILES: usize = 100_000;
/// Most bytes of the paths of one listing.
pub const MAX_LISTED_BYTES: usize = 8 * 1024 * 1024;
/// Most tree entries visited for one listing, files or not.
pub const MAX_VISITED_ENTRIES: usize = 400_000;

/// The id of a commit: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommitId(String);

/// The text is no commit id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a commit id; write its 40 hexadecimal digits")]
pub struct CommitIdError;

impl CommitId {
    /// The id in hexadecimal.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CommitId {
    type Err = CommitIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hexadecimal = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if matches!(text.len(), 40 | 64) && is_hexadecimal {
            Ok(Self(text.to_owned()))
        } else {
            Err(CommitIdError)
        }
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The files below a prefix at a commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileList {
    /// Paths of regular files, sorted; names that are not UTF-8 or would be refused are left out.
    pub paths: Vec<String>,
    /// Whether a bound was reached, so that files may be missing.
    pub truncated: bool,
}

/// A repository that can be read.
///
/// The calls block; asynchronous callers go through [`blocking`].
pub trait Repository: Send + Sync {
    /// Where it lies, as configured.
    fn location(&self) -> &str;

    /// The commit at the tip of a branch.
    ///
    /// # Errors
    /// See [`RepositoryError`].
    fn head(&self, branch: &str) -> Result<CommitId, RepositoryError>;

    /// The bytes of a file, at most [`MAX_BLOB_BYTES`]; `None` where the commit has none of that path.
    ///
    /// # Errors
    /// See [`RepositoryError`].
    fn read(&self, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, RepositoryError>;

    /// The same, and `None` as well where what lies there is no source that can be looked at: it is too large, or no file.
    ///
    /// # Errors
    /// See [`RepositoryError`].
    fn read_source(
        &self,
        commit: &CommitId,
        path: &str,
    ) -> Result<Option<Vec<u8>>, RepositoryError> {
        match self.read(commit, path) {
            Err(RepositoryError::TooLarge { .. } | RepositoryError::NotAFile { .. }) => Ok(None),
            read => read,
        }
    }

    /// The files below a directory, or all with an empty prefix.
    ///
    /// # Errors
    /// See [`RepositoryError`].
    fn list(&self, commit: &CommitId, prefix: &str) -> Result<FileList, RepositoryError>;

    /// The lines of files, as they stand at a commit, that changed in the `seconds` before it. Nothing
    /// where all of the history is younger.
    ///
    /// # Errors
    /// See [`RepositoryError`].
    fn changed_lines(
        &self,
        commit: &CommitId,
        paths: &[String],
        seconds: i64,
    ) -> Result<ChangedLines, RepositoryError>;
}

/// Runs blocking work on a repository on a thread where it may block.
///
/// # Errors
/// Those of the work; [`RepositoryError::Unavailable`] where it panicked or the runtime is shutting down.
pub async fn blocking<R, T, F>(repository: Arc<R>, work: F) -> Result<T, RepositoryError>
where
    R: Repository + ?Sized + 'static,
    T: Send + 'static,
    F: FnOnce(Arc<R>) -> Result<T, RepositoryError> + Send + 'static,
{
    let location = repository.location().to_owned();
    match tokio::task::spawn_blocking(move || work(repository)).await {
        Ok(result) => result,
        Err(error) => {
            let reason =
                if error.is_panic() { "the reading thread panicked" } else { "shutting down" };
            Err(RepositoryError::Unavailable { location, reason: reason.to_owned() })
        }
    }
}
