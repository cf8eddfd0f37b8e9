//! Which lines of files changed lately.
//!
//! Promises: a pure function of the commit, whenever it is asked; the walk and the comparison are bounded.

use std::{collections::HashMap, ops::RangeInclusive};

use git2::{DiffOptions, Oid, Patch, Repository as Git, Tree};

use crate::{
    error::RepositoryError,
    local::LocalRepository,
    repository::{CommitId, MAX_BLOB_BYTES},
};

/// Commits that are walked back at most, along first parents.
pub const MAX_WALKED_COMMITS: usize = 256;
/// Runs of changed lines that are kept of one file at most.
pub const MAX_RUNS: usize = 1_000;

/// Runs of lines, from 1, that changed lately, by path. A path that did not change is left out.
pub type ChangedLines = HashMap<String, Vec<RangeInclusive<u32>>>;

impl LocalRepository {
    /// See [`crate::Repository::changed_lines`].
    pub(crate) fn lines_changed_within(
        &self,
        commit: &CommitId,
        paths: &[String],
        seconds: i64,
    ) -> Result<ChangedLines, RepositoryError> {
        let repository = self.open()?;
        let newer = self.tree(&repository, commit)?;
        let Some(older) = self.tree_before(&repository, commit, seconds)? else {
            // All there is was written lately: that tells no line from another.
            return Ok(ChangedLines::new());
        };
        let mut options = DiffOptions::new();
        options.context_lines(0).disable_pathspec_match(true);
        options.max_size(i64::try_from(MAX_BLOB_BYTES).unwrap_or(i64::MAX));
        for path in paths {
            options.pathspec(path);
        }
        let difference = repository
            .diff_tree_to_tree(Some(&older), Some(&newer), Some(&mut options))
            .map_err(|error| self.git_error(&error))?;
        let mut changed = ChangedLines::new();
        for (index, delta) in difference.deltas().enumerate() {
            let Some(path) = delta.new_file().path().and_then(|path| path.to_str()) else {
                continue;
            };
            let patch = Patch::from_diff(&difference, index);
            let Some(patch) = patch.map_err(|error| self.git_error(&error))? else { continue };
            let runs = runs(&patch).map_err(|error| self.git_error(&error))?;
            changed.insert(path.to_owned(), runs);
        }
        Ok(changed)
    }

    /// The tree of the last commit that is older than the given one by that many seconds, or so many
    /// commits back that no more are walked; none where history does not reach so far.
    fn tree_before<'a>(
        &self,
        repository: &'a Git,
        commit: &CommitId,
        seconds: i64,
    ) -> Result<Option<Tree<'a>>, RepositoryError> {
        let git_error = |error: git2::Error| self.git_error(&error);
        let id = Oid::from_str(commit.as_str()).map_err(git_error)?;
        let mut current = repository.find_commit(id).map_err(git_error)?;
        let bound = current.time().seconds().saturating_sub(seconds);
        for _ in 0..MAX_WALKED_COMMITS {
            // A shallow clone ends here, as history does.
            let Ok(parent) = current.parent(0) else { return Ok(None) };
            current = parent;
            if current.time().seconds() < bound {
                break;
            }
        }
        current.tree().map(Some).map_err(git_error)
    }
}

/// The runs of new lines in a patch; where lines were only removed, the two lines around the gap.
fn runs(patch: &Patch<'_>) -> Result<Vec<RangeInclusive<u32>>, git2::Error> {
    let mut runs = Vec::new();
    for index in 0..patch.num_hunks().min(MAX_RUNS) {
        let (hunk, _) = patch.hunk(index)?;
        let first = hunk.new_start().max(1);
        runs.push(match hunk.new_lines() {
            0 => first..=first.saturating_add(1),
            lines => first..=first.saturating_add(lines - 1),
        });
    }
    Ok(runs)
}
