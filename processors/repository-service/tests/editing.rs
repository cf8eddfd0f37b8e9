//! Edits in memory and their diffs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{EXECUTABLE, FILE, SYMBOLIC_LINK, Sample};
use git2::Oid;
use hephaestus_repository_service::{EditError, RepositoryError, View, view::MAX_EDIT_BYTES};
use hephaestus_schemas::Edit;
use proptest::prelude::*;

fn edit(path: &str, find: &str, replace: &str) -> Edit {
    Edit { path: path.to_owned(), find: find.to_owned(), replace: replace.to_owned() }
}

fn view(sample: &Sample) -> View {
    View::new(sample.shared(), sample.head())
}

#[test]
fn an_edit_changes_the_view_and_nothing_else() {
    let sample = Sample::with(&[("a.py", b"one\ntwo\nthree\n")]);
    let mut view = view(&sample);
    assert!(view.diff().is_empty());
    view.apply(&edit("a.py", "two", "2")).unwrap();
    assert_eq!(view.read("a.py").unwrap().unwrap(), b"one\n2\nthree\n");
    assert_eq!(view.changed_files(), ["a.py"]);
    assert_eq!(view.changed_lines(), 2);
    assert_eq!(
        view.diff(),
        "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"
    );
    let change = view.changes().remove(0);
    assert_eq!((change.added, change.removed), (vec!["2".to_owned()], vec!["two".to_owned()]));
}

#[test]
fn text_that_does_not_stand_exactly_once_is_refused_and_the_view_stays() {
    let sample = Sample::with(&[("a", b"x = 1\ny = 1\naaa\n"), ("crlf", b"a\r\nb\r\n")]);
    let mut view = view(&sample);
    let path = || "a".to_owned();
    let refused = |edit: &Edit| view.clone().apply(edit).unwrap_err();
    assert_eq!(refused(&edit("a", "z", "")), EditError::NotFound { path: path(), hint: "" });
    assert_eq!(refused(&edit("a", " = 1", "")), EditError::Ambiguous { path: path(), count: 2 });
    assert_eq!(
        refused(&edit("a", "aa", "b")),
        EditError::Ambiguous { path: path(), count: 2 },
        "occurrences that overlap are two"
    );
    assert!(matches!(refused(&edit("a", "", "b")), EditError::Void { .. }));
    assert!(matches!(refused(&edit("a", "x", "x")), EditError::Void { .. }));
    assert!(matches!(refused(&edit("b", "x", "y")), EditError::MissingFile { .. }));
    assert!(refused(&edit("crlf", "a\nb", "c")).to_string().contains("CRLF"));

    view.apply(&edit("a", "x = 1", "x = 2")).unwrap();
    let overlapping = edit("a", "1\ny", "3\ny");
    assert_eq!(view.apply(&overlapping).unwrap_err(), EditError::Overlap { path: path() });
    let of_new_text = edit("a", "x = 2", "x = 3");
    assert!(matches!(view.apply(&of_new_text).unwrap_err(), EditError::NotFound { .. }));
    assert_eq!(view.read("a").unwrap().unwrap(), b"x = 2\ny = 1\naaa\n");
}

#[test]
fn edits_of_one_file_speak_of_the_commit_whatever_their_order() {
    let sample = Sample::with(&[("a", b"1\n2\n3\n")]);
    let edits = [edit("a", "1\n", "3\n3\n"), edit("a", "3", "1"), edit("a", "2\n", "")];
    let mut forward = view(&sample);
    edits.iter().for_each(|edit| forward.apply(edit).unwrap());
    let mut backward = view(&sample);
    edits.iter().rev().for_each(|edit| backward.apply(edit).unwrap());
    assert_eq!(forward.read("a").unwrap().unwrap(), b"3\n3\n1\n");
    assert_eq!(forward.diff(), backward.diff());
}

#[test]
fn paths_that_escape_links_and_oversized_edits_are_refused() {
    let sample = Sample::empty();
    sample.commit(
        &[("a", b"x", FILE), ("link", b"a", SYMBOLIC_LINK), ("run", b"x", EXECUTABLE)],
        "first",
    );
    let mut view = view(&sample);
    for path in ["../a", "/a", "a/../a", ".git/config", "./a", "a\0", ""] {
        let error = view.apply(&edit(path, "x", "y")).unwrap_err();
        assert!(matches!(error, EditError::File(RepositoryError::Path(_))), "{path}: {error}");
    }
    let of_link = view.apply(&edit("link", "a", "b")).unwrap_err();
    assert!(matches!(of_link, EditError::File(RepositoryError::NotAFile { .. })));
    let large = "y".repeat(MAX_EDIT_BYTES + 1);
    assert!(matches!(view.apply(&edit("a", "x", &large)).unwrap_err(), EditError::TooMuch { .. }));
    assert!(view.changed_files().is_empty());
}

#[test]
fn finding_a_text_that_repeats_itself_stays_cheap() {
    // Counting all of them would compare a quarter of a mebibyte a mebibyte times.
    let sample = Sample::with(&[("a", &vec![b'a'; 1024 * 1024])]);
    let find = "a".repeat(MAX_EDIT_BYTES);
    let error = view(&sample).apply(&edit("a", &find, "")).unwrap_err();
    assert!(matches!(error, EditError::Ambiguous { count: 10, .. }));
}

#[test]
fn line_ends_and_bytes_that_are_no_text_stay_as_they_are() {
    let sample = Sample::with(&[("crlf", b"a\r\nb\r\nc"), ("latin", b"caf\xe9\nb\n")]);
    let mut view = view(&sample);
    view.apply(&edit("crlf", "b\r\n", "B\r\n")).unwrap();
    view.apply(&edit("latin", "b", "c")).unwrap();
    assert_eq!(view.read("crlf").unwrap().unwrap(), b"a\r\nB\r\nc");
    assert_eq!(view.read("latin").unwrap().unwrap(), b"caf\xe9\nc\n");
    assert!(view.diff().contains(" c\n\\ No newline at end of file\n"), "{}", view.diff());
}

#[test]
fn a_line_joined_to_the_next_is_shown_as_gone_with_it() {
    let sample = Sample::with(&[("a", b"one\ntwo\nthree")]);
    let mut view = view(&sample);
    view.apply(&edit("a", "\ntwo\n", "")).unwrap();
    assert_eq!(view.read("a").unwrap().unwrap(), b"onethree");
    let change = view.changes().remove(0);
    assert_eq!(change.removed, ["one", "two", "three"]);
    assert_eq!(change.added, ["onethree"]);
}

#[test]
fn several_edits_of_one_line_are_shown_as_one_change_of_it() {
    let sample = Sample::with(&[("a", b"abc"), ("b", b"abc\ndef\n")]);
    let mut view = view(&sample);
    view.apply(&edit("a", "a", "")).unwrap();
    view.apply(&edit("a", "b", "")).unwrap();
    view.apply(&edit("b", "a", "")).unwrap();
    view.apply(&edit("b", "c\n", "")).unwrap();
    let changes = view.changes();
    assert_eq!((&changes[0].removed, &changes[0].added), (&vec!["abc".into()], &vec!["c".into()]));
    assert_eq!(changes[1].removed, ["abc", "def"]);
    assert_eq!(changes[1].added, ["bdef"]);
}

/// What git makes of the base when it applies the diff.
fn applied_by_git(sample: &Sample, diff: &str, path: &str) -> Vec<u8> {
    let git = &sample.git;
    let parsed = git2::Diff::from_buffer(diff.as_bytes()).unwrap();
    let head = git.find_commit(Oid::from_str(sample.head().as_str()).unwrap()).unwrap();
    let mut index = git.apply_to_tree(&head.tree().unwrap(), &parsed, None).unwrap();
    let tree = git.find_tree(index.write_tree_to(git).unwrap()).unwrap();
    let entry = tree.get_path(path.as_ref()).unwrap();
    git.find_blob(entry.id()).unwrap().content().to_vec()
}

#[test]
fn git_reads_the_names_of_files_in_the_headers() {
    for path in ["a b/c d.py", "quo\"te.py", "ü/é.py", "-dash"] {
        let sample = Sample::with(&[(path, b"x\n")]);
        let mut view = view(&sample);
        view.apply(&edit(path, "x", "y")).unwrap();
        assert_eq!(applied_by_git(&sample, &view.diff(), path), b"y\n", "{path}\n{}", view.diff());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// The diff is what git takes for the change, and the counts are those of its lines.
    #[test]
    fn git_applies_the_diff_to_the_same_bytes(
        // Lines are numbered, so that every piece of the file stands in it once.
        ends in prop::collection::vec(prop::sample::select(vec!["\n", "\n", "\r\n", "x\n"]), 1..40),
        last_end in any::<bool>(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 1usize..12, "[a\n]{0,6}"), 1..6),
    ) {
        let mut text: String = ends.iter().enumerate().map(|(i, end)| format!("l{i}.{end}")).collect();
        if !last_end {
            text.truncate(text.trim_end().len());
        }
        let sample = Sample::with(&[("f", text.as_bytes())]);
        let mut view = view(&sample);
        for (start, len, replace) in &cuts {
            let start = start.index(text.len());
            let end = (start + len).min(text.len());
            // Edits that are ambiguous, overlap or say nothing are refused: not what is tested here.
            let _ = view.apply(&edit("f", &text[start..end], replace));
        }
        let after = view.read("f").unwrap().unwrap();
        if after == text.as_bytes() {
            prop_assert!(view.diff().is_empty());
            return Ok(());
        }
        let diff = view.diff();
        if !after.is_empty() {
            prop_assert_eq!(
                applied_by_git(&sample, &diff, "f"), after.clone(),
                "{}\n{}", diff, String::from_utf8_lossy(&after)
            );
        }
        let body = diff.lines().skip(3);
        let signed = body.filter(|line| line.starts_with(['+', '-'])).count();
        prop_assert_eq!(view.changed_lines(), signed);
    }
}
