//! A local repository as a host of changes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::Barrier,
    time::{Duration, SystemTime},
};

use common::{EXECUTABLE, FILE, SYMBOLIC_LINK, Sample};
use git2::Oid;
use hephaestus_repository_service::{ChangeSpec, Host, HostError, LocalHost, branch_name};

const ID: &str = "0123456789abcdef0123456789abcdef";

fn change(sample: &Sample, files: &[(&str, &[u8])]) -> ChangeSpec {
    ChangeSpec {
        id: ID.to_owned(),
        base_branch: "main".to_owned(),
        base_commit: sample.head(),
        branch: branch_name("Fix it", ID),
        title: "Fix it".to_owned(),
        description: "Because.".to_owned(),
        fingerprint: "f00d".to_owned(),
        origin: "raw-logs/0/1-3".to_owned(),
        files: files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).collect(),
        author_name: "Hephaestus".to_owned(),
        author_email: "hephaestus@localhost".to_owned(),
        timestamp: 1_700_000_000_123_456,
    }
}

fn host(sample: &Sample) -> LocalHost {
    LocalHost::new(sample.local())
}

/// Every file below a directory but objects and the branches of changes, with its bytes.
fn snapshot(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
            if name == ".git/objects" || name.ends_with("heads/hephaestus") {
                continue;
            }
            if path.is_dir() {
                pending.push(path);
            } else {
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

#[tokio::test]
async fn a_change_is_one_commit_on_its_base_with_only_its_files_changed() {
    let sample = Sample::empty();
    let base = sample.commit(
        &[
            ("bin/run", b"#!/bin/sh\n", EXECUTABLE),
            ("a.py", b"a\r\nb", FILE),
            ("other", b"o", FILE),
            ("link", b"a.py", SYMBOLIC_LINK),
        ],
        "first",
    );
    sample.commit(&[("later", b"l", FILE)], "second");
    let mut spec = change(&sample, &[("bin/run", b"#!/bin/bash\n"), ("a.py", b"A\r\nb")]);
    spec.base_commit = base.clone();
    assert_eq!(host(&sample).find(ID).await.unwrap(), None);
    let opened = host(&sample).open(spec).await.unwrap();

    assert_eq!(opened.branch, "hephaestus/fix-it-0123456789ab");
    let tip = sample.git.find_reference(&format!("refs/heads/{}", opened.branch)).unwrap();
    assert_eq!(tip.target().unwrap().to_string(), opened.commit);
    let commit = sample.git.find_commit(Oid::from_str(&opened.commit).unwrap()).unwrap();
    assert_eq!(commit.parent_count(), 1);
    assert_eq!(commit.parent_id(0).unwrap().to_string(), base.as_str());
    assert_eq!(commit.time().seconds(), 1_700_000_000);
    assert_eq!(commit.author().name().unwrap(), "Hephaestus");
    assert!(String::from_utf8_lossy(commit.message_bytes()).ends_with(&format!(
        "Because.\n\nHephaestus-Proposal: {ID}\nHephaestus-Fingerprint: f00d\nHephaestus-Origin: raw-logs/0/1-3\n"
    )));
    assert_eq!(sample.blob_at(&opened.commit, "a.py"), b"A\r\nb");
    assert_eq!(sample.blob_at(&opened.commit, "other"), b"o");
    assert_eq!(sample.mode_at(&opened.commit, "bin/run"), EXECUTABLE);
    assert_eq!(sample.mode_at(&opened.commit, "a.py"), FILE);
    assert_eq!(sample.mode_at(&opened.commit, "link"), SYMBOLIC_LINK);
    assert_eq!(host(&sample).find(ID).await.unwrap(), Some(opened));
}

#[test]
fn head_index_and_a_dirty_working_tree_are_untouched() {
    let sample = Sample::with(&[("a.py", b"a\n"), ("b.py", b"b\n")]);
    sample.git.checkout_head(Some(git2::build::CheckoutBuilder::new().force())).unwrap();
    fs::write(sample.path().join("a.py"), "not committed").unwrap();
    fs::write(sample.path().join("untracked"), "new").unwrap();
    let mut index = sample.git.index().unwrap();
    index.add_path(Path::new("untracked")).unwrap();
    index.write().unwrap();
    // A lock that somebody at work in the tree holds must not be in the way either.
    fs::write(sample.path().join(".git/index.lock"), "").unwrap();

    let before = snapshot(sample.path());
    let opened = host(&sample).open_blocking(&change(&sample, &[("a.py", b"fixed\n")])).unwrap();
    assert_eq!(sample.blob_at(&opened.commit, "a.py"), b"fixed\n");
    assert_eq!(snapshot(sample.path()), before);
}

#[test]
fn a_lock_that_a_killed_process_left_on_the_branch_is_removed_and_a_fresh_one_respected() {
    let sample = Sample::with(&[("a.py", b"a\n")]);
    let spec = change(&sample, &[("a.py", b"fixed\n")]);
    let lock = sample.path().join(format!(".git/refs/heads/{}.lock", spec.branch));
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    let file = fs::File::create(&lock).unwrap();
    let error = host(&sample).open_blocking(&spec).unwrap_err();
    assert!(matches!(error, HostError::Retry { .. }), "{error}");
    assert!(lock.exists(), "another process may be at work");

    file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
    let opened = host(&sample).open_blocking(&spec).unwrap();
    assert_eq!(sample.blob_at(&opened.commit, "a.py"), b"fixed\n");
    assert!(!lock.exists());
}

#[test]
fn a_repeat_makes_the_same_commit_and_one_branch() {
    let sample = Sample::with(&[("a", b"a")]);
    let spec = change(&sample, &[("a", b"b")]);
    let first = host(&sample).open_blocking(&spec).unwrap();
    let references = sample.references();
    assert_eq!(host(&sample).open_blocking(&spec).unwrap(), first);
    assert_eq!(sample.references(), references);

    // After a crash between commit and branch, only the branch is missing.
    sample.git.find_reference(&format!("refs/heads/{}", first.branch)).unwrap().delete().unwrap();
    assert_eq!(host(&sample).open_blocking(&spec).unwrap(), first);
    assert_eq!(sample.references(), references);
}

#[test]
fn a_branch_that_was_worked_on_since_is_found_under_any_title() {
    let sample = Sample::with(&[("a", b"a")]);
    let spec = change(&sample, &[("a", b"b")]);
    let first = host(&sample).open_blocking(&spec).unwrap();
    let tip = sample.git.find_commit(Oid::from_str(&first.commit).unwrap()).unwrap();
    let author = tip.author();
    let reference = format!("refs/heads/{}", first.branch);
    let tree = tip.tree().unwrap();
    let second = sample
        .git
        .commit(Some(&reference), &author, &author, "by a person", &tree, &[&tip])
        .unwrap();

    let mut retitled = spec.clone();
    retitled.title = "Another title".to_owned();
    retitled.branch = branch_name(&retitled.title, ID);
    let references = sample.references();
    let found = host(&sample).open_blocking(&retitled).unwrap();
    assert_eq!((found.branch, found.commit), (first.branch, second.to_string()));
    assert_eq!(sample.references(), references);
}

#[test]
fn a_change_that_was_merged_is_not_opened_again_when_its_branch_is_gone() {
    let sample = Sample::with(&[("a", b"a")]);
    let spec = change(&sample, &[("a", b"b")]);
    let opened = host(&sample).open_blocking(&spec).unwrap();
    let merged = Oid::from_str(&opened.commit).unwrap();
    sample.git.reference("refs/heads/main", merged, true, "fast forward").unwrap();
    sample.git.find_reference(&format!("refs/heads/{}", opened.branch)).unwrap().delete().unwrap();
    let references = sample.references();
    assert_eq!(host(&sample).open_blocking(&spec).unwrap(), opened);
    assert_eq!(sample.references(), references);
}

#[test]
fn a_branch_of_somebody_else_is_a_conflict_and_stays() {
    let sample = Sample::with(&[("a", b"a")]);
    let spec = change(&sample, &[("a", b"b")]);
    let head = Oid::from_str(sample.head().as_str()).unwrap();
    sample.git.reference(&format!("refs/heads/{}", spec.branch), head, false, "").unwrap();
    let references = sample.references();
    let error = host(&sample).open_blocking(&spec).unwrap_err();
    assert!(matches!(error, HostError::Conflict { .. }), "{error}");
    assert_eq!(sample.references(), references);
}

#[test]
fn a_branch_named_as_the_directory_of_changes_is_reported() {
    let sample = Sample::with(&[("a", b"a")]);
    let head = Oid::from_str(sample.head().as_str()).unwrap();
    sample.git.reference("refs/heads/hephaestus", head, false, "").unwrap();
    let error = host(&sample).open_blocking(&change(&sample, &[("a", b"b")])).unwrap_err();
    assert!(matches!(error, HostError::Permanent { .. }), "{error:?}");
    assert!(error.to_string().contains("hephaestus"), "{error}");
}

#[test]
fn processes_that_race_make_one_branch() {
    const RACERS: usize = 8;
    let sample = Sample::with(&[("a", b"a")]);
    let spec = change(&sample, &[("a", b"b")]);
    let barrier = Barrier::new(RACERS);
    let results: Vec<_> = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..RACERS)
            .map(|_| {
                let host = host(&sample);
                let (barrier, spec) = (&barrier, &spec);
                scope.spawn(move || {
                    barrier.wait();
                    // A lock held by another racer is worth a retry, and nothing else is.
                    loop {
                        match host.open_blocking(spec) {
                            Err(HostError::Retry { .. }) => std::thread::yield_now(),
                            other => return other,
                        }
                    }
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    let first = results[0].clone().unwrap();
    assert!(results.iter().all(|result| result.as_ref() == Ok(&first)), "{results:?}");
    assert_eq!(sample.references().len(), 2);
}

#[test]
fn what_would_leave_the_repository_or_the_branches_of_changes_is_refused() {
    let sample = Sample::empty();
    sample
        .commit(&[("a", b"a", FILE), ("link", b"a", SYMBOLIC_LINK), ("d/x", b"x", FILE)], "first");
    let references = sample.references();
    let refused = |spec: &ChangeSpec| match host(&sample).open_blocking(spec).unwrap_err() {
        HostError::Permanent { reason } => reason,
        other => panic!("{other:?}"),
    };
    for path in ["../x", "/etc/x", ".git/hooks/pre-commit", "d/../../x", "link", "d"] {
        refused(&change(&sample, &[(path, b"new")]));
    }
    for branch in ["main", "hephaestus/x", "hephaestus/../main-0123456789ab", "refs/heads/main"] {
        let mut spec = change(&sample, &[("a", b"b")]);
        spec.branch = branch.to_owned();
        refused(&spec);
    }
    for id in ["", "a\nb", "../x"] {
        let mut spec = change(&sample, &[("a", b"b")]);
        spec.id = id.to_owned();
        refused(&spec);
    }
    let mut spec = change(&sample, &[("a", b"b")]);
    spec.base_commit = "1".repeat(40).parse().unwrap();
    assert!(refused(&spec).contains("has no commit"));
    assert!(refused(&change(&sample, &[])).contains("1 to"));
    assert!(refused(&change(&sample, &[("a", b"a")])).contains("leaves every file as it is"));
    assert_eq!(sample.references(), references);
}

#[test]
fn a_repository_that_is_missing_is_permanent_and_says_so() {
    let sample = Sample::with(&[("a", b"a")]);
    let spec = change(&sample, &[("a", b"b")]);
    let gone = host(&sample);
    drop(sample);
    let error = gone.open_blocking(&spec).unwrap_err();
    assert!(
        matches!(&error, HostError::Permanent { reason } if reason.contains("no repository at")),
        "{error}"
    );
}
