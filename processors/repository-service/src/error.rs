//! Why a repository could not be read.
//!
//! Promises: each error says what was wrong, where, what would be right, and whether trying again may help.

use crate::path::PathError;

/// Why a repository could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepositoryError {
    /// The location is not one this service reads.
    #[error(
        "repository `{location}` is not a path of this machine; name the path of a git repository"
    )]
    NotLocal {
        /// The location as configured.
        location: String,
    },
    /// Nothing lies at the location.
    #[error("no repository at `{location}`; name the path of a git repository that exists")]
    Missing {
        /// The location as configured.
        location: String,
    },
    /// Something lies there, which is no git repository.
    #[error(
        "`{location}` is not a git repository; name the directory that holds `.git`, or a bare repository"
    )]
    NotARepository {
        /// The location as configured.
        location: String,
    },
    /// The repository belongs to somebody else, and git refuses it.
    #[error(
        "repository `{location}` belongs to another user; run as its owner, or add it to git's `safe.directory`"
    )]
    NotOwned {
        /// The location as configured.
        location: String,
    },
    /// The branch does not exist.
    #[error("repository `{location}` has no branch `{branch}`; {hint}")]
    MissingBranch {
        /// The location as configured.
        location: String,
        /// The branch asked for.
        branch: String,
        /// What would be right.
        hint: String,
    },
    /// The commit is not in the repository.
    #[error(
        "repository `{location}` has no commit `{commit}`; it may have been rewritten or be a shallow clone"
    )]
    MissingCommit {
        /// The location as configured.
        location: String,
        /// The commit asked for.
        commit: String,
    },
    /// The path is no path of a file.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The path leads to something else than a file.
    #[error("`{path}` is {kind}, not a file")]
    NotAFile {
        /// The path asked for.
        path: String,
        /// What it is: `a directory`, `a symbolic link`, `a submodule`.
        kind: &'static str,
    },
    /// The file passes the size bound.
    #[error("`{path}` has {bytes} bytes; at most {limit} are read")]
    TooLarge {
        /// The path asked for.
        path: String,
        /// Its size in bytes.
        bytes: usize,
        /// The bound in bytes.
        limit: usize,
    },
    /// The repository's objects cannot be read.
    #[error("repository `{location}` is damaged: {reason}; `git fsck` says more")]
    Corrupt {
        /// The location as configured.
        location: String,
        /// What git said.
        reason: String,
    },
    /// The machine is at fault: a lock, too many open files, an interrupted call.
    #[error("repository `{location}` cannot be used now: {reason}")]
    Unavailable {
        /// The location as configured.
        location: String,
        /// What git said.
        reason: String,
    },
}

impl RepositoryError {
    /// Whether trying again later may help without anybody changing the configuration.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// The error for what git said while it read objects or references of the repository at `location`.
    pub(crate) fn from_git(location: &str, error: &git2::Error) -> Self {
        use git2::{ErrorClass, ErrorCode};
        let location = location.to_owned();
        let reason = git_reason(error);
        let is_machine =
            matches!(error.class(), ErrorClass::Os | ErrorClass::NoMemory | ErrorClass::Filesystem);
        match error.code() {
            ErrorCode::Owner => Self::NotOwned { location },
            ErrorCode::Locked | ErrorCode::Timeout => Self::Unavailable { location, reason },
            ErrorCode::GenericError if is_machine => Self::Unavailable { location, reason },
            _ => Self::Corrupt { location, reason },
        }
    }
}

/// What git said, on one line and bounded: it may quote what stands in the repository.
pub(crate) fn git_reason(error: &git2::Error) -> String {
    const MAX_REASON_CHARS: usize = 300;
    let message = error.message().chars().take(MAX_REASON_CHARS);
    message.map(|c| if c.is_control() { ' ' } else { c }).collect()
}
