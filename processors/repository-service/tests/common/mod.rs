//! Real repositories in temporary directories.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, unreachable_pub)]

use std::{path::Path, sync::Arc};

use git2::{Oid, Repository as Git, Signature, Time, build::TreeUpdateBuilder};
use hephaestus_repository_service::{CommitId, LocalRepository, Repository};
use tempfile::TempDir;

pub const FILE: i32 = 0o100_644;
pub const EXECUTABLE: i32 = 0o100_755;
pub const SYMBOLIC_LINK: i32 = 0o120_000;
pub const SUBMODULE: i32 = 0o160_000;

/// A repository with a working tree, deleted when dropped.
pub struct Sample {
    pub directory: TempDir,
    pub git: Git,
}

impl Sample {
    pub fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut options = git2::RepositoryInitOptions::new();
        options.initial_head("main").external_template(false);
        let git = Git::init_opts(directory.path(), &options).unwrap();
        Self { directory, git }
    }

    /// One commit on `main` with these files.
    pub fn with(files: &[(&str, &[u8])]) -> Self {
        let sample = Self::empty();
        let entries: Vec<(&str, &[u8], i32)> =
            files.iter().map(|(path, bytes)| (*path, *bytes, FILE)).collect();
        sample.commit(&entries, "first");
        sample
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn local(&self) -> LocalRepository {
        LocalRepository::new(self.path().to_str().unwrap()).unwrap()
    }

    pub fn shared(&self) -> Arc<dyn Repository> {
        Arc::new(self.local())
    }

    pub fn head(&self) -> CommitId {
        self.local().head("main").unwrap()
    }

    /// Commits these files on top of `main`, without a working tree.
    pub fn commit(&self, files: &[(&str, &[u8], i32)], message: &str) -> CommitId {
        let git = &self.git;
        let parent = git.find_branch("main", git2::BranchType::Local).ok();
        let parent = parent.map(|branch| branch.into_reference().peel_to_commit().unwrap());
        let base = match &parent {
            Some(commit) => commit.tree().unwrap(),
            None => git.find_tree(git.treebuilder(None).unwrap().write().unwrap()).unwrap(),
        };
        let mut update = TreeUpdateBuilder::new();
        for (path, bytes, mode) in files {
            let (id, kind) = match *mode {
                SUBMODULE => (Oid::from_str(&"1".repeat(40)).unwrap(), git2::FileMode::Commit),
                SYMBOLIC_LINK => (git.blob(bytes).unwrap(), git2::FileMode::Link),
                EXECUTABLE => (git.blob(bytes).unwrap(), git2::FileMode::BlobExecutable),
                _ => (git.blob(bytes).unwrap(), git2::FileMode::Blob),
            };
            update.upsert(*path, id, kind);
        }
        let tree = update.create_updated(git, &base).unwrap();
        self.commit_tree(tree, message)
    }

    /// Commits a tree on top of `main`.
    pub fn commit_tree(&self, tree: Oid, message: &str) -> CommitId {
        let git = &self.git;
        let parent = git.find_branch("main", git2::BranchType::Local).ok();
        let parent = parent.map(|branch| branch.into_reference().peel_to_commit().unwrap());
        let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
        let tree = git.find_tree(tree).unwrap();
        let author = Signature::new("A", "a@example.org", &Time::new(1_700_000_000, 0)).unwrap();
        let id = git
            .commit(Some("refs/heads/main"), &author, &author, message, &tree, &parents)
            .unwrap();
        id.to_string().parse().unwrap()
    }

    /// Every reference and what it points to.
    pub fn references(&self) -> Vec<(String, String)> {
        let mut references: Vec<(String, String)> = self
            .git
            .references()
            .unwrap()
            .flatten()
            .map(|reference| {
                let target = reference.target().map(|id| id.to_string()).unwrap_or_default();
                (reference.name().unwrap().to_owned(), target)
            })
            .collect();
        references.sort();
        references
    }

    pub fn blob_at(&self, commit: &str, path: &str) -> Vec<u8> {
        let commit = self.git.find_commit(Oid::from_str(commit).unwrap()).unwrap();
        let entry = commit.tree().unwrap().get_path(Path::new(path)).unwrap();
        self.git.find_blob(entry.id()).unwrap().content().to_vec()
    }

    pub fn mode_at(&self, commit: &str, path: &str) -> i32 {
        let commit = self.git.find_commit(Oid::from_str(commit).unwrap()).unwrap();
        commit.tree().unwrap().get_path(Path::new(path)).unwrap().filemode()
    }
}
