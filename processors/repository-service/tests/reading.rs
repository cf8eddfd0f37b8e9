//! Reading repositories, whole, dirty, missing and damaged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{fs, sync::Arc};

use common::{EXECUTABLE, FILE, SUBMODULE, SYMBOLIC_LINK, Sample};
use hephaestus_repository_service::{
    CommitId, LocalRepository, Repository, RepositoryError, blocking, excerpt,
    repository::{MAX_BLOB_BYTES, MAX_VISITED_ENTRIES},
};

#[test]
fn a_file_is_read_as_it_was_at_each_commit_whatever_lies_in_the_working_tree() {
    let sample = Sample::with(&[("a.py", b"one\n")]);
    let first = sample.head();
    let second = sample.commit(&[("a.py", b"two\n", FILE), ("lib/b.py", b"b", FILE)], "second");
    fs::write(sample.path().join("a.py"), "dirty").unwrap();
    fs::write(sample.path().join(".git/index"), "no index").unwrap();

    let repository = sample.local();
    assert_eq!(repository.head("main").unwrap(), second);
    assert_eq!(repository.read(&first, "a.py").unwrap().unwrap(), b"one\n");
    assert_eq!(repository.read(&second, "a.py").unwrap().unwrap(), b"two\n");
    assert_eq!(repository.read(&first, "lib/b.py").unwrap(), None);
    assert_eq!(repository.read(&second, "a.py/x").unwrap(), None);
    assert_eq!(repository.list(&second, "").unwrap().paths, ["a.py", "lib/b.py"]);
    assert_eq!(repository.list(&second, "lib/").unwrap().paths, ["lib/b.py"]);
    assert_eq!(repository.list(&second, "li").unwrap().paths, [""; 0]);
}

#[test]
fn bare_repositories_file_urls_and_git_directories_are_read_too() {
    let sample = Sample::with(&[("a", b"x")]);
    let head = sample.head();
    let bare = tempfile::tempdir().unwrap();
    git2::build::RepoBuilder::new()
        .bare(true)
        .clone(sample.path().to_str().unwrap(), bare.path())
        .unwrap();
    let locations = [
        bare.path().display().to_string(),
        format!("file://{}", sample.path().display()),
        sample.path().join(".git").display().to_string(),
    ];
    for location in locations {
        let repository = LocalRepository::new(&location).unwrap();
        assert_eq!(repository.head("main").unwrap(), head, "{location}");
        assert_eq!(repository.read(&head, "a").unwrap().unwrap(), b"x", "{location}");
    }
}

#[test]
fn what_is_no_repository_is_told_apart_and_is_not_worth_a_retry() {
    let sample = Sample::with(&[("sub/a", b"x")]);
    fs::create_dir(sample.path().join("sub")).unwrap();
    fs::write(sample.path().join("file"), "").unwrap();
    let head = |path: &str| {
        let location = sample.path().join(path).display().to_string();
        LocalRepository::new(&location).unwrap().head("main").unwrap_err()
    };

    assert!(matches!(head("nowhere"), RepositoryError::Missing { .. }));
    assert!(matches!(head("file"), RepositoryError::NotARepository { .. }));
    let of_a_directory_inside = head("sub");
    assert!(matches!(of_a_directory_inside, RepositoryError::NotARepository { .. }));
    assert!(of_a_directory_inside.to_string().contains("name the directory that holds `.git`"));
    assert!(!of_a_directory_inside.is_retryable());

    for url in ["https://example.org/a.git", "git@example.org:a.git", "ssh://x/y", "", " "] {
        let error = LocalRepository::new(url).unwrap_err();
        assert!(matches!(error, RepositoryError::NotLocal { .. }), "{url}");
    }
}

#[test]
fn a_missing_branch_names_the_branches_there_are() {
    let sample = Sample::with(&[("a", b"x")]);
    let error = sample.local().head("master").unwrap_err().to_string();
    assert!(error.ends_with("has no branch `master`; it has `main`"), "{error}");
    let error = sample.local().head("a..b").unwrap_err().to_string();
    assert!(error.ends_with("that is no name of a branch"), "{error}");
    let error = Sample::empty().local().head("main").unwrap_err().to_string();
    assert!(error.ends_with("it has no commit yet"), "{error}");
}

#[test]
fn a_missing_commit_and_a_lost_object_are_told_apart() {
    let sample = Sample::with(&[("lib/a", b"some text")]);
    let head = sample.head();
    let unknown: CommitId = "1".repeat(40).parse().unwrap();
    let repository = sample.local();
    assert!(matches!(
        repository.read(&unknown, "lib/a").unwrap_err(),
        RepositoryError::MissingCommit { .. }
    ));

    let commit = sample.git.find_commit(git2::Oid::from_str(head.as_str()).unwrap()).unwrap();
    let directory = commit.tree().unwrap().get_name("lib").unwrap().id();
    let blob = commit.tree().unwrap().get_path("lib/a".as_ref()).unwrap().id();
    let object = |id: git2::Oid| {
        let id = id.to_string();
        sample.path().join(".git/objects").join(&id[..2]).join(&id[2..])
    };
    fs::remove_file(object(blob)).unwrap();
    let lost = repository.read(&head, "lib/a").unwrap_err();
    assert!(matches!(lost, RepositoryError::Corrupt { .. }), "{lost}");
    fs::remove_file(object(directory)).unwrap();
    let lost = repository.read(&head, "lib/a").unwrap_err();
    assert!(matches!(lost, RepositoryError::Corrupt { .. }), "a lost directory is no missing file");
    assert!(matches!(repository.list(&head, "").unwrap_err(), RepositoryError::Corrupt { .. }));
}

#[test]
fn damaged_bytes_are_an_error_not_a_crash() {
    let sample = Sample::with(&[("a", b"some text")]);
    let head = sample.head();
    let git = sample.path().join(".git");
    let id = head.to_string();
    let object = git.join("objects").join(&id[..2]).join(&id[2..]);
    fs::remove_file(&object).unwrap();
    fs::write(&object, b"garbage").unwrap();
    assert!(matches!(
        sample.local().read(&head, "a").unwrap_err(),
        RepositoryError::Corrupt { .. } | RepositoryError::MissingCommit { .. }
    ));
    fs::write(git.join("refs/heads/main"), b"not an id").unwrap();
    assert!(matches!(sample.local().head("main").unwrap_err(), RepositoryError::Corrupt { .. }));
}

#[test]
fn only_files_are_read_and_listed() {
    let sample = Sample::empty();
    let head = sample.commit(
        &[
            ("dir/run", b"#!/bin/sh", EXECUTABLE),
            ("link", b"/etc/passwd", SYMBOLIC_LINK),
            ("module", b"", SUBMODULE),
        ],
        "first",
    );
    let repository = sample.local();
    let kind = |path: &str| match repository.read(&head, path).unwrap_err() {
        RepositoryError::NotAFile { kind, .. } => kind,
        other => panic!("{other}"),
    };
    assert_eq!(kind("dir"), "a directory");
    assert_eq!(kind("link"), "a symbolic link");
    assert_eq!(kind("module"), "a submodule");
    assert_eq!(repository.read(&head, "link/x").unwrap(), None);
    assert_eq!(repository.list(&head, "").unwrap().paths, ["dir/run"]);
    for path in ["../a", "/etc/passwd", ".git/config", "dir/../link"] {
        assert!(matches!(repository.read(&head, path), Err(RepositoryError::Path(_))), "{path}");
    }
}

#[test]
fn a_file_beyond_the_bound_is_refused_with_its_size() {
    let large = vec![b'x'; MAX_BLOB_BYTES + 1];
    let sample = Sample::with(&[("large", &large), ("full", &large[1..])]);
    let repository = sample.local();
    assert_eq!(repository.read(&sample.head(), "full").unwrap().unwrap().len(), MAX_BLOB_BYTES);
    let error = repository.read(&sample.head(), "large").unwrap_err();
    assert!(
        matches!(error, RepositoryError::TooLarge { bytes, .. } if bytes == MAX_BLOB_BYTES + 1)
    );
}

#[test]
fn trees_that_stand_for_more_files_than_could_be_read_are_cut_off() {
    let sample = Sample::empty();
    let blob = sample.git.blob(b"x").unwrap();
    let mut tree = {
        let mut builder = sample.git.treebuilder(None).unwrap();
        builder.insert("f", blob, FILE).unwrap();
        builder.write().unwrap()
    };
    // 20 trees with 10 names each for the next: 10^20 files.
    for _ in 0..20 {
        let mut builder = sample.git.treebuilder(None).unwrap();
        for name in 0..10 {
            builder.insert(format!("d{name}"), tree, 0o040_000).unwrap();
        }
        tree = builder.write().unwrap();
    }
    let head = sample.commit_tree(tree, "bomb");
    let list = sample.local().list(&head, "").unwrap();
    assert!(list.truncated);
    assert!(list.paths.len() <= MAX_VISITED_ENTRIES);
}

#[test]
fn an_excerpt_has_the_lines_around_and_says_where_it_is_from() {
    let sample = Sample::with(&[
        ("a.py", b"1\r\n2\r\n3\r\n4\r\n5"),
        ("binary", b"a\0b\n"),
        ("latin", b"caf\xe9\n"),
        ("wide", "é".repeat(1000).as_bytes()),
    ]);
    let head = sample.head();
    let repository = sample.local();
    let cut = |path: &str, line: usize, radius: usize| {
        excerpt(&repository, &head, path, line, radius)
            .unwrap()
            .map(|excerpt| (excerpt.origin, excerpt.text))
    };
    let origin = |lines: &str| format!("{head}:a.py#{lines}");
    assert_eq!(cut("a.py", 3, 1), Some((origin("2-4"), "2\n3\n4\n".to_owned())));
    assert_eq!(cut("a.py", 1, 1), Some((origin("1-2"), "1\n2\n".to_owned())));
    assert_eq!(cut("a.py", 5, 9), Some((origin("1-5"), "1\n2\n3\n4\n5\n".to_owned())));
    assert_eq!(cut("a.py", 6, 9), None);
    assert_eq!(cut("a.py", 0, 9), None);
    assert_eq!(cut("a.py", usize::MAX, usize::MAX), None);
    assert_eq!(cut("nowhere.py", 1, 1), None);
    assert_eq!(cut("binary", 1, 1), None);
    assert_eq!(cut("latin", 1, 0).unwrap().1, "caf\u{fffd}\n");
    assert_eq!(cut("wide", 1, 0).unwrap().1.chars().count(), 402);
}

#[tokio::test]
async fn blocking_work_runs_aside_and_a_panic_in_it_is_an_error() {
    let sample = Sample::with(&[("a", b"x")]);
    let repository = sample.shared();
    let head =
        blocking(Arc::clone(&repository), |repository| repository.head("main")).await.unwrap();
    assert_eq!(head, sample.head());
    let failed: Result<(), _> = blocking(repository, |_| panic!("injected")).await;
    assert!(failed.unwrap_err().is_retryable());
}
