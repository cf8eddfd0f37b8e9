//! What the Dockerfile builds, and what goes into it.

use std::{collections::BTreeSet, process::Command};

use crate::support::{root, text};

/// An instruction of the Dockerfile: its word and the rest, its lines joined.
fn instructions() -> Vec<(String, String)> {
    let file = text("Dockerfile");
    let lines = file.lines().filter(|line| !line.trim_start().starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let given = joined.lines().filter_map(|line| line.trim().split_once(' '));
    given.map(|(word, rest)| (word.to_owned(), rest.trim().to_owned())).collect()
}

/// The instructions of the last stage: those that make the image.
fn last_stage() -> Vec<(String, String)> {
    let all = instructions();
    let start = all.iter().rposition(|(word, _)| word == "FROM").expect("FROM");
    all[start..].to_vec()
}

fn only(instructions: &[(String, String)], word: &str) -> String {
    let found: Vec<_> = instructions.iter().filter(|(other, _)| other == word).collect();
    assert_eq!(found.len(), 1, "{word}: {found:?}");
    found[0].1.clone()
}

#[test]
fn base_images_have_tags_that_do_not_move() {
    for (_, from) in instructions().iter().filter(|(word, _)| word == "FROM") {
        let image = from.split(' ').next().unwrap();
        let (_, tag) = image.rsplit_once(':').unwrap_or_else(|| panic!("no tag: {image}"));
        assert!(tag.starts_with(|first: char| first.is_ascii_digit()), "{image}");
        assert!(tag.contains('.'), "{image} is not one release");
    }
}

#[test]
fn the_compiler_is_one_that_the_workspace_takes() {
    let all = instructions();
    let (_, from) =
        all.iter().find(|(word, rest)| word == "FROM" && rest.starts_with("rust:")).unwrap();
    let release = from["rust:".len()..].split('-').next().unwrap();
    let number = |text: &str| -> Vec<u32> { text.split('.').map(|n| n.parse().unwrap()).collect() };
    assert!(number(release) >= number(env!("CARGO_PKG_RUST_VERSION")), "{release}");
}

#[test]
fn the_image_runs_as_a_user_without_rights() {
    let user = only(&last_stage(), "USER");
    let id = user.split(':').next().unwrap();
    // A number, so that an orchestrator can see that it is not root's.
    assert!(id.parse::<u32>().is_ok_and(|id| id >= 1000), "{user}");
}

#[test]
fn the_image_holds_the_program_and_no_tools_to_build_it() {
    let last = last_stage();
    let stages: BTreeSet<String> = instructions()
        .iter()
        .filter_map(|(word, rest)| rest.rsplit_once(" AS ").filter(|_| word == "FROM"))
        .map(|(_, name)| name.to_owned())
        .collect();
    for (word, rest) in &last {
        assert_ne!(word, "ADD", "COPY fetches nothing and unpacks nothing");
        if word == "COPY" {
            let from = rest.strip_prefix("--from=").and_then(|rest| rest.split(' ').next());
            let from = from.unwrap_or_else(|| panic!("{rest}: sources have no place in the image"));
            assert!(stages.contains(from), "no stage {from}");
        }
        if word == "RUN" {
            assert!(!rest.contains("apt-get") && !rest.contains("curl"), "{rest}");
        }
    }
    let entry: Vec<String> = serde_json::from_str(&only(&last, "ENTRYPOINT")).expect("exec form");
    assert!(
        last.iter().any(|(word, rest)| word == "COPY" && rest.ends_with(&entry[0])),
        "{entry:?}"
    );
}

#[test]
fn only_what_is_compiled_goes_to_the_builder_and_it_suffices() {
    let context = tempfile::tempdir().unwrap();
    let ignore = text(".dockerignore");
    assert!(ignore.lines().any(|line| line == "*"), "everything is left out that is not named");
    for path in ignore.lines().filter_map(|line| line.strip_prefix('!')) {
        let status =
            Command::new("cp").arg("-R").arg(root().join(path)).arg(context.path()).status();
        assert!(status.unwrap().success(), "{path} of .dockerignore is not there");
    }
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version=1", "--offline", "--locked"])
        .current_dir(context.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
