//! From approved changes to branches of a real repository.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::{free, opens};
use git2::{Repository as Git, Signature, Time, build::TreeUpdateBuilder};
use hephaestus_change_requester::{PendingChange, RepositoryState, on_proposal, open_change};
use hephaestus_repository_service::{HostError, LocalHost, LocalRepository, Repository, View};
use tempfile::TempDir;

const DISCOUNTS: &[u8] = b"def apply_discount(cart):\n    rates = cart[\"discounts\"]\n    return cart[\"total\"] * (1 - rates[\"loyalty\"])\n";

struct Orders {
    directory: TempDir,
    git: Git,
}

impl Orders {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let git = Git::init_bare(directory.path()).unwrap();
        let orders = Self { directory, git };
        orders.commit();
        orders
    }

    fn commit(&self) {
        let git = &self.git;
        let empty = git.find_tree(git.treebuilder(None).unwrap().write().unwrap()).unwrap();
        let mut update = TreeUpdateBuilder::new();
        update.upsert("orders/discounts.py", git.blob(DISCOUNTS).unwrap(), git2::FileMode::Blob);
        let tree = git.find_tree(update.create_updated(git, &empty).unwrap()).unwrap();
        let author = Signature::new("A", "a@example.org", &Time::new(1, 0)).unwrap();
        git.commit(Some("refs/heads/main"), &author, &author, "first", &tree, &[]).unwrap();
    }

    fn local(&self) -> LocalRepository {
        LocalRepository::new(self.directory.path().to_str().unwrap()).unwrap()
    }

    fn branches(&self) -> usize {
        self.git.references_glob("refs/heads/hephaestus/*").unwrap().count()
    }

    /// The example proposal, made against this repository and approved by policy.
    fn approved(&self) -> PendingChange {
        let mut proposal = free("0123456789abcdef", "i");
        let head = self.local().head("main").unwrap();
        let mut view = View::new(Arc::new(self.local()), head.clone());
        proposal.edits.iter().for_each(|edit| view.apply(edit).unwrap());
        proposal.base_commit = head.to_string();
        proposal.diff = view.diff();
        let steps = on_proposal(&mut RepositoryState::default(), proposal, 1);
        opens(&steps)[0].clone()
    }

    async fn open(&self, change: &PendingChange) -> Result<String, HostError> {
        let host = LocalHost::new(self.local());
        open_change(change, Arc::new(self.local()), &host).await.map(|opened| opened.commit)
    }
}

#[tokio::test]
async fn an_approved_change_becomes_one_branch_however_often_it_is_asked_for() {
    let orders = Orders::new();
    let change = orders.approved();
    let commit = orders.open(&change).await.unwrap();
    assert_eq!(orders.open(&change).await.unwrap(), commit);
    assert_eq!(orders.branches(), 1);

    let commit = orders.git.find_commit(git2::Oid::from_str(&commit).unwrap()).unwrap();
    let entry = commit.tree().unwrap().get_path("orders/discounts.py".as_ref()).unwrap();
    let text = orders.git.find_blob(entry.id()).unwrap().content().to_vec();
    assert!(String::from_utf8(text).unwrap().contains("rates.get(\"loyalty\", 0)"));
    let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
    assert!(message.contains("Hephaestus-Proposal: 0123456789abcdef\n"), "{message}");
    assert!(message.contains("Hephaestus-Origin: classified-logs/3/1180-1184\n"), "{message}");
}

#[tokio::test]
async fn a_change_that_was_opened_is_found_even_where_its_base_is_gone() {
    let orders = Orders::new();
    let mut change = orders.approved();
    let commit = orders.open(&change).await.unwrap();
    change.base_commit = "1".repeat(40);
    assert_eq!(orders.open(&change).await.unwrap(), commit);
}

#[tokio::test]
async fn edits_that_make_another_change_than_was_shown_are_refused() {
    let orders = Orders::new();
    let mut change = orders.approved();
    change.edits[0].replace = "    return 0".to_owned();
    let error = orders.open(&change).await.unwrap_err();
    assert!(matches!(&error, HostError::Permanent { reason } if reason.contains("another change")));
    change.base_commit = "main".to_owned();
    assert!(matches!(orders.open(&change).await.unwrap_err(), HostError::Permanent { .. }));
    assert_eq!(orders.branches(), 0);
}
