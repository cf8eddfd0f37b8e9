//! A small real repository, and an analysis of a failure in it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, unreachable_pub)]

use std::sync::Arc;

use git2::{Repository as Git, Signature, Time, build::TreeUpdateBuilder};
use hephaestus_repository_service::{LocalRepository, Repository, View};
use hephaestus_schemas::{Analysis, Edit, Mode};
use tempfile::TempDir;

pub const DISCOUNTS: &str = "def apply_discount(cart):\n    rates = cart[\"discounts\"]\n    return cart[\"total\"] * (1 - rates[\"loyalty\"])\n";

/// A repository with one commit of these files; deleted when dropped.
pub struct Sample {
    pub directory: TempDir,
}

impl Sample {
    pub fn with(files: &[(&str, &[u8])]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let git = Git::init_bare(directory.path()).unwrap();
        let empty = git.find_tree(git.treebuilder(None).unwrap().write().unwrap()).unwrap();
        let mut update = TreeUpdateBuilder::new();
        for (path, bytes) in files {
            update.upsert(*path, git.blob(bytes).unwrap(), git2::FileMode::Blob);
        }
        let tree = git.find_tree(update.create_updated(&git, &empty).unwrap()).unwrap();
        // A fixed time, so that the commit's id is the same in every run.
        let author = Signature::new("A", "a@example.org", &Time::new(1_700_000_000, 0)).unwrap();
        git.commit(Some("refs/heads/main"), &author, &author, "first", &tree, &[]).unwrap();
        Self { directory }
    }

    pub fn orders() -> Self {
        Self::with(&[
            ("orders/discounts.py", DISCOUNTS.as_bytes()),
            ("orders/views.py", b"import orders\n"),
            ("README.md", b"Orders\n"),
        ])
    }

    pub fn view(&self) -> View {
        let repository = LocalRepository::new(self.directory.path().to_str().unwrap()).unwrap();
        let head = repository.head("main").unwrap();
        View::new(Arc::new(repository), head)
    }
}

/// The analysis among the examples of the schemas.
pub fn analysis() -> Analysis {
    serde_json::from_str(include_str!("../../../../schemas/examples/analysis.json")).unwrap()
}

pub fn suggesting() -> Analysis {
    Analysis { mode: Mode::Suggest, ..analysis() }
}

pub fn edit(path: &str, find: &str, replace: &str) -> Edit {
    Edit { path: path.to_owned(), find: find.to_owned(), replace: replace.to_owned() }
}

pub fn good_edit() -> Edit {
    edit("orders/discounts.py", "rates[\"loyalty\"]", "rates.get(\"loyalty\", 0)")
}
