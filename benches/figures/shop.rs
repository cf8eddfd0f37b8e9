//! A repository with a defect, and the log of what it leads to.

use std::{fmt::Write as _, path::Path};

/// The configuration of the node that watches it.
pub(crate) fn node(repository: &Path) -> String {
    format!(
        "[[node]]\nname = \"shop\"\nsources = [\"shop/*/*\"]\nrepository = {repository:?}\n\
         source_root = \"/srv/shop\"\nmode = \"deploy\"\nthreshold_count = 1\ncooldown = \"1s\"\n"
    )
}

/// A failure a minute after the one before, so that each crosses the threshold anew.
pub(crate) fn failure(trial: usize) -> String {
    let (hour, minute) = (trial / 60, trial % 60);
    let mut text = String::new();
    writeln!(text, "2026-03-01 {hour:02}:{minute:02}:00,000 ERROR [shop] request failed").unwrap();
    text.push_str("Traceback (most recent call last):\n");
    text.push_str("  File \"/srv/shop/shop/ratings.py\", line 3, in average\n");
    text.push_str("    return sum(stars) / len(stars)\n");
    text.push_str("ZeroDivisionError: division by zero\n");
    text
}

/// Makes the repository.
pub(crate) fn make_repository(path: &Path) {
    let mut options = git2::RepositoryInitOptions::new();
    let repository = git2::Repository::init_opts(path, options.initial_head("main")).unwrap();
    let source = "def average(stars):\n    \"\"\"Return the mean.\"\"\"\n    return sum(stars) / len(stars)\n";
    let blob = repository.blob(source.as_bytes()).unwrap();
    let mut folder = repository.treebuilder(None).unwrap();
    folder.insert("ratings.py", blob, 0o100_644).unwrap();
    let mut root = repository.treebuilder(None).unwrap();
    root.insert("shop", folder.write().unwrap(), 0o040_000).unwrap();
    let tree = repository.find_tree(root.write().unwrap()).unwrap();
    let author = git2::Signature::new("Ada", "ada@shop.example", &git2::Time::new(0, 0)).unwrap();
    repository.commit(Some("refs/heads/main"), &author, &author, "Rate", &tree, &[]).unwrap();
}
