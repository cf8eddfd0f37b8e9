//! A local git repository as a host: a change is a branch with one commit.
//!
//! Promises: nothing but objects and that one branch is written; a repeat finds what is there.

use std::{path::Path, time::Duration};

use async_trait::async_trait;
use git2::{ErrorCode, FileMode, Oid, Signature, Time, build::TreeUpdateBuilder};

use crate::{
    error::{RepositoryError, git_reason},
    host::{
        BRANCH_PREFIX, ChangeSpec, Host, HostError, OpenedChange, branch_suffix, commit_message,
        names_change,
    },
    local::{LocalRepository, other_than_file},
    path::check_path,
    repository::MAX_BLOB_BYTES,
    view::MAX_CHANGED_FILES,
};

/// Commits of a branch that are searched for a change.
pub const MAX_SEARCHED_COMMITS: usize = 500;
/// Branches that are searched for a change.
pub const MAX_SEARCHED_BRANCHES: usize = 10_000;
/// Age from which the lock of a change's branch has no owner any more: to make a branch takes milliseconds.
const STALE_LOCK: Duration = Duration::from_secs(10);
/// Permissions that git writes for an executable file.
const MODE_EXECUTABLE: i32 = 0o100_755;

/// A local git repository as a host.
#[derive(Debug, Clone)]
pub struct LocalHost {
    repository: LocalRepository,
}

impl LocalHost {
    /// The host that makes branches in a local repository.
    pub fn new(repository: LocalRepository) -> Self {
        Self { repository }
    }

    /// [`Host::find`], blocking.
    ///
    /// # Errors
    /// See [`HostError`].
    pub fn find_blocking(&self, change_id: &str) -> Result<Option<OpenedChange>, HostError> {
        let repository = self.repository.open().map_err(to_host)?;
        let suffix = branch_suffix(change_id);
        let glob = format!("refs/heads/{BRANCH_PREFIX}*");
        let references = repository.references_glob(&glob).map_err(|error| self.git(&error))?;
        for reference in references.take(MAX_SEARCHED_BRANCHES) {
            // A reference that cannot be read is no reason to open a change twice, nor to stop.
            let Ok(reference) = reference else { continue };
            let Some(name) =
                reference.name().ok().and_then(|name| name.strip_prefix("refs/heads/"))
            else {
                continue;
            };
            if !name.ends_with(&suffix) {
                continue;
            }
            let Some(tip) = reference.target() else {
                continue;
            };
            if self.history_names_change(&repository, tip, None, change_id)?.is_some() {
                return Ok(Some(opened(name, tip)));
            }
        }
        Ok(None)
    }

    /// [`Host::open`], blocking.
    ///
    /// # Errors
    /// See [`HostError`].
    pub fn open_blocking(&self, change: &ChangeSpec) -> Result<OpenedChange, HostError> {
        check_change(change)?;
        if let Some(found) = self.find_blocking(&change.id)? {
            return Ok(found);
        }
        let repository = self.repository.open().map_err(to_host)?;
        // Git keeps a branch as a file, so that one of the directory's name leaves no room for it.
        let directory = BRANCH_PREFIX.trim_end_matches('/');
        if repository.find_reference(&format!("refs/heads/{directory}")).is_ok() {
            let reason =
                format!("branch `{directory}` leaves no room for `{}`; rename it", change.branch);
            return Err(HostError::Permanent { reason });
        }
        if let Some(merged) = self.merged(&repository, change)? {
            return Ok(merged);
        }

        let commit = self.commit(&repository, change)?;
        let reference = format!("refs/heads/{}", change.branch);
        let log = format!("hephaestus: open change {}", change.id);
        let make = || repository.reference(&reference, commit, false, &log);
        let mut made = make();
        if matches!(&made, Err(error) if error.code() == ErrorCode::Locked)
            && remove_stale_lock(&repository, &reference)
        {
            made = make();
        }
        match made {
            Ok(_) => Ok(opened(&change.branch, commit)),
            Err(error) if error.code() == ErrorCode::Exists => {
                self.existing(&repository, change, commit, &error)
            }
            Err(error) => Err(self.git(&error)),
        }
    }

    /// The branch could not be made because there is one: another process may just have made it.
    fn existing(
        &self,
        repository: &git2::Repository,
        change: &ChangeSpec,
        commit: Oid,
        error: &git2::Error,
    ) -> Result<OpenedChange, HostError> {
        let reference = format!("refs/heads/{}", change.branch);
        let Some(tip) = repository.find_reference(&reference).ok().and_then(|found| found.target())
        else {
            let reason =
                format!("branch `{}` cannot be made: {}", change.branch, git_reason(error));
            return Err(HostError::Permanent { reason });
        };
        let is_same = tip == commit
            || self.history_names_change(repository, tip, None, &change.id)?.is_some();
        if is_same {
            return Ok(opened(&change.branch, tip));
        }
        Err(HostError::Conflict { branch: change.branch.clone(), commit: tip.to_string() })
    }

    /// The change as it was merged into the base branch, where its own branch is gone since.
    fn merged(
        &self,
        repository: &git2::Repository,
        change: &ChangeSpec,
    ) -> Result<Option<OpenedChange>, HostError> {
        let reference = format!("refs/heads/{}", change.base_branch);
        let Some(tip) = repository.find_reference(&reference).ok().and_then(|found| found.target())
        else {
            return Ok(None);
        };
        let base = Oid::from_str(change.base_commit.as_str()).ok();
        let found = self.history_names_change(repository, tip, base, &change.id)?;
        Ok(found.map(|commit| opened(&change.branch, commit)))
    }

    /// The commit, among those reached from `tip` but not from `hidden`, that names the change.
    fn history_names_change(
        &self,
        repository: &git2::Repository,
        tip: Oid,
        hidden: Option<Oid>,
        change_id: &str,
    ) -> Result<Option<Oid>, HostError> {
        let mut walk = repository.revwalk().map_err(|error| self.git(&error))?;
        walk.push(tip).map_err(|error| self.git(&error))?;
        if let Some(hidden) = hidden {
            // A base that is gone hides nothing; making the commit will report it.
            let _ = walk.hide(hidden);
        }
        for id in walk.take(MAX_SEARCHED_COMMITS) {
            let id = id.map_err(|error| self.git(&error))?;
            let commit = repository.find_commit(id).map_err(|error| self.git(&error))?;
            let message = String::from_utf8_lossy(commit.message_bytes());
            if names_change(&message, change_id) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Writes blobs, trees and the commit. Until a branch names it, git sees only loose objects.
    fn commit(&self, repository: &git2::Repository, change: &ChangeSpec) -> Result<Oid, HostError> {
        let base_tree = self.repository.tree(repository, &change.base_commit).map_err(to_host)?;
        let mut update = TreeUpdateBuilder::new();
        for (path, bytes) in &change.files {
            let entry = self.repository.entry(repository, &base_tree, path).map_err(to_host)?;
            let mode = match entry {
                None => FileMode::Blob,
                Some(entry) => {
                    if let Some(kind) = other_than_file(entry.filemode_raw()) {
                        let reason = format!("`{path}` is {kind}, not a file");
                        return Err(HostError::Permanent { reason });
                    }
                    let is_executable = entry.filemode() == MODE_EXECUTABLE;
                    if is_executable { FileMode::BlobExecutable } else { FileMode::Blob }
                }
            };
            let blob = repository.blob(bytes).map_err(|error| self.git(&error))?;
            update.upsert(Path::new(path), blob, mode);
        }
        let tree =
            update.create_updated(repository, &base_tree).map_err(|error| self.git(&error))?;
        if tree == base_tree.id() {
            let reason = "the change leaves every file as it is at its base".to_owned();
            return Err(HostError::Permanent { reason });
        }
        let tree = repository.find_tree(tree).map_err(|error| self.git(&error))?;
        let base = Oid::from_str(change.base_commit.as_str()).map_err(|error| self.git(&error))?;
        let parent = repository.find_commit(base).map_err(|error| self.git(&error))?;
        let seconds = change.timestamp.div_euclid(1_000_000);
        let author =
            Signature::new(&change.author_name, &change.author_email, &Time::new(seconds, 0))
                .map_err(|error| self.git(&error))?;
        let message = commit_message(change);
        repository
            .commit(None, &author, &author, &message, &tree, &[&parent])
            .map_err(|error| self.git(&error))
    }

    fn git(&self, error: &git2::Error) -> HostError {
        to_host(self.repository.git_error(error))
    }
}

#[async_trait]
impl Host for LocalHost {
    async fn find(&self, change_id: &str) -> Result<Option<OpenedChange>, HostError> {
        let host = self.clone();
        let change_id = change_id.to_owned();
        joined(tokio::task::spawn_blocking(move || host.find_blocking(&change_id)).await)
    }

    async fn open(&self, change: ChangeSpec) -> Result<OpenedChange, HostError> {
        let host = self.clone();
        joined(tokio::task::spawn_blocking(move || host.open_blocking(&change)).await)
    }
}

/// What the thread came to. One that was cut off may have done half: the next attempt finds it.
fn joined<T>(result: Result<Result<T, HostError>, tokio::task::JoinError>) -> Result<T, HostError> {
    result.unwrap_or_else(|error| {
        let reason = format!("the thread at the repository ended early: {error}");
        Err(HostError::Retry { reason, after: None })
    })
}

/// Removes the lock that a process left on a branch when it was killed: git itself would refuse the branch for ever.
/// The branch is one change's own, and whoever makes it writes the same commit, so that a race over the lock harms none.
fn remove_stale_lock(repository: &git2::Repository, reference: &str) -> bool {
    let lock = repository.commondir().join(format!("{reference}.lock"));
    let modified = lock.symlink_metadata().and_then(|metadata| metadata.modified());
    let age = modified.ok().and_then(|modified| modified.elapsed().ok());
    age.is_some_and(|age| age >= STALE_LOCK) && std::fs::remove_file(&lock).is_ok()
}

fn opened(branch: &str, commit: Oid) -> OpenedChange {
    OpenedChange { branch: branch.to_owned(), commit: commit.to_string(), url: None }
}

fn to_host(error: RepositoryError) -> HostError {
    let reason = error.to_string();
    if error.is_retryable() {
        HostError::Retry { reason, after: None }
    } else {
        HostError::Permanent { reason }
    }
}

/// Refuses what would leave the branches of changes, or the repository.
fn check_change(change: &ChangeSpec) -> Result<(), HostError> {
    let refuse = |reason: String| Err(HostError::Permanent { reason });
    let is_plain_id = !change.id.is_empty()
        && change.id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !is_plain_id {
        return refuse("the id of a change has letters, digits, `-` and `_` only".to_owned());
    }
    let is_own_branch = change.branch.starts_with(BRANCH_PREFIX)
        && change.branch.ends_with(&branch_suffix(&change.id))
        && git2::Reference::is_valid_name(&format!("refs/heads/{}", change.branch));
    if !is_own_branch {
        return refuse(format!(
            "a change's branch is `{BRANCH_PREFIX}<words>{}`",
            branch_suffix(&change.id)
        ));
    }
    if change.files.is_empty() || change.files.len() > MAX_CHANGED_FILES {
        return refuse(format!(
            "a change has 1 to {MAX_CHANGED_FILES} files, not {}",
            change.files.len()
        ));
    }
    for (path, bytes) in &change.files {
        if let Err(error) = check_path(path) {
            return refuse(error.to_string());
        }
        if bytes.len() > MAX_BLOB_BYTES {
            return refuse(format!(
                "`{path}` would have {} bytes; at most {MAX_BLOB_BYTES} are allowed",
                bytes.len()
            ));
        }
    }
    Ok(())
}
