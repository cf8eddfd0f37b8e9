//! Repositories on this machine, bare or not, read through their object database.
//!
//! Promises: nothing but references and objects is read, nothing is written, no hook or filter runs.

use std::{io, path::Path};

use git2::{ErrorCode, ObjectType, Oid, RepositoryOpenFlags, Tree, TreeEntry};

use crate::{
    error::RepositoryError,
    history::ChangedLines,
    path::{MAX_DEPTH, check_path},
    repository::{
        CommitId, FileList, MAX_BLOB_BYTES, MAX_LISTED_BYTES, MAX_LISTED_FILES,
        MAX_VISITED_ENTRIES, Repository,
    },
};

/// Modes of tree entries, as git writes them.
const MODE_TYPE_MASK: i32 = 0o170_000;
const MODE_DIRECTORY: i32 = 0o040_000;
const MODE_FILE: i32 = 0o100_000;
const MODE_SYMBOLIC_LINK: i32 = 0o120_000;

/// A git repository on this machine.
#[derive(Debug, Clone)]
pub struct LocalRepository {
    location: String,
}

impl LocalRepository {
    /// The repository at a path, or at a `file://` URL. It is opened anew for every read, so that one
    /// that is replaced or repaired is seen at once; opening costs a fraction of a millisecond.
    ///
    /// # Errors
    /// [`RepositoryError::NotLocal`] for other URLs.
    pub fn new(location: &str) -> Result<Self, RepositoryError> {
        let path = location.strip_prefix("file://").unwrap_or(location);
        // `user@host:path` is how git writes ssh; a local path with a colon can be written `./a:b`.
        let is_ssh = path.split('/').next().is_some_and(|first| first.find(':') > Some(1));
        if path.trim().is_empty() || path.contains('\0') || path.contains("://") || is_ssh {
            return Err(RepositoryError::NotLocal { location: location.to_owned() });
        }
        Ok(Self { location: path.to_owned() })
    }

    /// Opens the repository itself, not one of a directory above it.
    pub(crate) fn open(&self) -> Result<git2::Repository, RepositoryError> {
        let location = self.location.clone();
        let path = Path::new(&self.location);
        match std::fs::metadata(path) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(RepositoryError::Missing { location });
            }
            Err(error) => {
                return Err(RepositoryError::Unavailable { location, reason: error.to_string() });
            }
        }
        let flags = RepositoryOpenFlags::NO_SEARCH;
        let no_ceilings: [&Path; 0] = [];
        match git2::Repository::open_ext(path, flags, no_ceilings) {
            Ok(repository) => Ok(repository),
            Err(error) if error.code() == ErrorCode::NotFound => {
                Err(RepositoryError::NotARepository { location })
            }
            Err(error) => Err(RepositoryError::from_git(&self.location, &error)),
        }
    }

    pub(crate) fn git_error(&self, error: &git2::Error) -> RepositoryError {
        RepositoryError::from_git(&self.location, error)
    }

    /// The tree of a commit.
    pub(crate) fn tree<'a>(
        &self,
        repository: &'a git2::Repository,
        commit: &CommitId,
    ) -> Result<Tree<'a>, RepositoryError> {
        let missing = || RepositoryError::MissingCommit {
            location: self.location.clone(),
            commit: commit.to_string(),
        };
        let id = Oid::from_str(commit.as_str()).map_err(|_| missing())?;
        let found = repository.find_commit(id).map_err(|error| match error.code() {
            ErrorCode::NotFound => missing(),
            _ => self.git_error(&error),
        })?;
        found.tree().map_err(|error| self.git_error(&error))
    }

    /// The entry of a path in a tree. Told apart by name, level by level: git itself answers "not
    /// found" for a directory whose object is lost, too.
    pub(crate) fn entry(
        &self,
        repository: &git2::Repository,
        root: &Tree<'_>,
        path: &str,
    ) -> Result<Option<TreeEntry<'static>>, RepositoryError> {
        let mut directory = root.id();
        let mut names = path.split('/').peekable();
        while let Some(name) = names.next() {
            let tree = repository.find_tree(directory).map_err(|error| self.git_error(&error))?;
            let Some(entry) = tree.get_name(name) else {
                return Ok(None);
            };
            if names.peek().is_none() {
                return Ok(Some(entry.to_owned()));
            }
            if !is_type(entry.filemode_raw(), MODE_DIRECTORY) {
                return Ok(None);
            }
            directory = entry.id();
        }
        Ok(None)
    }
}

impl Repository for LocalRepository {
    fn location(&self) -> &str {
        &self.location
    }

    fn head(&self, branch: &str) -> Result<CommitId, RepositoryError> {
        let repository = self.open()?;
        let missing = |hint: String| RepositoryError::MissingBranch {
            location: self.location.clone(),
            branch: branch.to_owned(),
            hint,
        };
        let name = format!("refs/heads/{branch}");
        if !git2::Reference::is_valid_name(&name) {
            return Err(missing("that is no name of a branch".to_owned()));
        }
        let reference = match repository.find_reference(&name) {
            Ok(reference) => reference,
            Err(error) if error.code() == ErrorCode::NotFound => {
                return Err(missing(known_branches(&repository)));
            }
            Err(error) => return Err(self.git_error(&error)),
        };
        let commit = reference.peel_to_commit().map_err(|error| self.git_error(&error))?;
        let id = commit.id().to_string();
        id.parse().map_err(|_| RepositoryError::Corrupt {
            location: self.location.clone(),
            reason: format!("branch `{branch}` leads to no commit"),
        })
    }

    fn read(&self, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, RepositoryError> {
        check_path(path)?;
        let repository = self.open()?;
        let tree = self.tree(&repository, commit)?;
        let Some(entry) = self.entry(&repository, &tree, path)? else {
            return Ok(None);
        };
        if let Some(kind) = other_than_file(entry.filemode_raw()) {
            return Err(RepositoryError::NotAFile { path: path.to_owned(), kind });
        }

        let objects = repository.odb().map_err(|error| self.git_error(&error))?;
        // The header tells the size before the bytes are inflated.
        let (bytes, kind) =
            objects.read_header(entry.id()).map_err(|error| self.git_error(&error))?;
        if kind != ObjectType::Blob {
            return Err(RepositoryError::Corrupt {
                location: self.location.clone(),
                reason: format!("the object of `{path}` is no blob"),
            });
        }
        if bytes > MAX_BLOB_BYTES {
            let path = path.to_owned();
            return Err(RepositoryError::TooLarge { path, bytes, limit: MAX_BLOB_BYTES });
        }
        let object = objects.read(entry.id()).map_err(|error| self.git_error(&error))?;
        Ok(Some(object.data().to_vec()))
    }

    fn list(&self, commit: &CommitId, prefix: &str) -> Result<FileList, RepositoryError> {
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let repository = self.open()?;
        let root = self.tree(&repository, commit)?;
        let mut list = FileList::default();
        // Directories still to be read: their path with a slash at the end, and their tree.
        let mut pending: Vec<(String, Oid)> = Vec::new();
        if prefix.is_empty() {
            pending.push((String::new(), root.id()));
        } else {
            check_path(prefix)?;
            match self.entry(&repository, &root, prefix)? {
                Some(entry) if is_type(entry.filemode_raw(), MODE_DIRECTORY) => {
                    pending.push((format!("{prefix}/"), entry.id()));
                }
                Some(entry) if is_type(entry.filemode_raw(), MODE_FILE) => {
                    list.paths.push(prefix.to_owned());
                }
                _ => {}
            }
        }

        let mut visited = 0;
        let mut listed_bytes = 0;
        while let Some((directory, id)) = pending.pop() {
            let tree = repository.find_tree(id).map_err(|error| self.git_error(&error))?;
            for entry in &tree {
                visited += 1;
                // A few small trees that name each other can stand for more files than atoms.
                let is_full = visited > MAX_VISITED_ENTRIES
                    || list.paths.len() >= MAX_LISTED_FILES
                    || listed_bytes > MAX_LISTED_BYTES;
                if is_full {
                    list.truncated = true;
                    list.paths.sort_unstable();
                    return Ok(list);
                }
                let Ok(name) = entry.name() else { continue };
                let path = format!("{directory}{name}");
                if check_path(&path).is_err() {
                    continue;
                }
                listed_bytes += path.len();
                if is_type(entry.filemode_raw(), MODE_FILE) {
                    list.paths.push(path);
                } else if is_type(entry.filemode_raw(), MODE_DIRECTORY) {
                    let is_too_deep = path.split('/').count() >= MAX_DEPTH;
                    if is_too_deep {
                        list.truncated = true;
                    } else {
                        pending.push((path + "/", entry.id()));
                    }
                }
            }
        }
        list.paths.sort_unstable();
        Ok(list)
    }

    fn changed_lines(
        &self,
        commit: &CommitId,
        paths: &[String],
        seconds: i64,
    ) -> Result<ChangedLines, RepositoryError> {
        for path in paths {
            check_path(path)?;
        }
        // Without a path git compares every file.
        if paths.is_empty() {
            return Ok(ChangedLines::new());
        }
        self.lines_changed_within(commit, paths, seconds)
    }
}

fn is_type(mode: i32, wanted: i32) -> bool {
    mode & MODE_TYPE_MASK == wanted
}

/// What the mode says the entry is, where that is no file.
pub(crate) fn other_than_file(mode: i32) -> Option<&'static str> {
    match mode & MODE_TYPE_MASK {
        MODE_FILE => None,
        MODE_DIRECTORY => Some("a directory"),
        MODE_SYMBOLIC_LINK => Some("a symbolic link"),
        _ => Some("a submodule"),
    }
}

/// A hint that names some of the branches there are.
fn known_branches(repository: &git2::Repository) -> String {
    const MAX_NAMED: usize = 5;
    let mut names = Vec::new();
    if let Ok(references) = repository.references_glob("refs/heads/*") {
        for reference in references.flatten().take(MAX_NAMED) {
            if let Ok(name) = reference.shorthand() {
                names.push(format!("`{name}`"));
            }
        }
    }
    if names.is_empty() {
        return "it has no commit yet".to_owned();
    }
    format!("it has {}", names.join(", "))
}
