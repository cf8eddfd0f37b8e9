//! Makes the sample service's git repository out of the history that is kept in `sample/history`.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use git2::{FileMode, Oid, Repository, Signature, Time, build::TreeUpdateBuilder};
use include_dir::{Dir, DirEntry, File, include_dir};

static HISTORY: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/demo/sample/history");

/// Branch that holds the history.
pub(crate) const BRANCH: &str = "main";

/// Makes the repository, with a checked-out working tree; gives the number of its commits.
pub(crate) fn create(path: &Path) -> Result<usize> {
    let mut options = git2::RepositoryInitOptions::new();
    options.initial_head(BRANCH).mkpath(true);
    let repository = Repository::init_opts(path, &options)
        .with_context(|| format!("repository {} cannot be made", path.display()))?;

    let mut steps: Vec<&Dir<'_>> = HISTORY.dirs().collect();
    steps.sort_by_key(|step| step.path().to_owned());
    let mut head: Option<Oid> = None;
    for step in &steps {
        let commit = commit(&repository, step, head);
        let commit = commit.with_context(|| format!("history step {}", step.path().display()))?;
        head = Some(commit);
    }
    let mut checkout = git2::build::CheckoutBuilder::new();
    repository.checkout_head(Some(checkout.force()))?;
    Ok(steps.len())
}

fn commit(repository: &Repository, step: &Dir<'_>, parent: Option<Oid>) -> Result<Oid> {
    let description = text(step, "COMMIT")?;
    let (author, message) = description.split_once('\n').context("COMMIT has no message")?;
    let author = signature(author)?;

    let parent = parent.map(|parent| repository.find_commit(parent)).transpose()?;
    let base = match &parent {
        Some(parent) => parent.tree()?,
        None => repository.find_tree(repository.treebuilder(None)?.write()?)?,
    };
    let mut update = TreeUpdateBuilder::new();
    let root = step.path().join("tree");
    let tree = step.get_dir(&root).context("the step has no tree")?;
    for file in files(tree) {
        let path = file.path().strip_prefix(&root)?;
        update.upsert(path_text(path)?, repository.blob(file.contents())?, FileMode::Blob);
    }
    let tree = repository.find_tree(update.create_updated(repository, &base)?)?;
    let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
    let branch = format!("refs/heads/{BRANCH}");
    Ok(repository.commit(Some(&branch), &author, &author, message.trim_start(), &tree, &parents)?)
}

fn text<'a>(step: &'a Dir<'_>, name: &str) -> Result<&'a str> {
    let file = step.get_file(step.path().join(name)).with_context(|| format!("no {name}"))?;
    file.contents_utf8().with_context(|| format!("{name} is not UTF-8"))
}

fn files<'a>(dir: &'a Dir<'a>) -> Vec<&'a File<'a>> {
    let mut found = Vec::new();
    let mut open = vec![dir];
    while let Some(dir) = open.pop() {
        for entry in dir.entries() {
            match entry {
                DirEntry::Dir(dir) => open.push(dir),
                DirEntry::File(file) => found.push(file),
            }
        }
    }
    found
}

fn path_text(path: &Path) -> Result<String> {
    let text = path.to_str().ok_or_else(|| anyhow!("{} is not UTF-8", path.display()))?;
    Ok(text.replace('\\', "/"))
}

/// Reads `Name <email>|time`, the time as in RFC 3339.
fn signature(line: &str) -> Result<Signature<'static>> {
    let malformed = || anyhow!("{line:?} is not `Name <email>|time`");
    let (person, time) = line.trim().rsplit_once('|').ok_or_else(malformed)?;
    let (name, email) = person.rsplit_once('<').ok_or_else(malformed)?;
    let email = email.strip_suffix('>').ok_or_else(malformed)?;
    let time: jiff::Timestamp = time.parse().with_context(|| format!("{time:?} is no time"))?;
    Ok(Signature::new(name.trim(), email, &Time::new(time.as_second(), 0))?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_history_can_be_walked_and_the_tree_is_clean() {
        let directory = tempfile::tempdir().unwrap();
        let commits = create(directory.path()).unwrap();
        let repository = Repository::open(directory.path()).unwrap();
        let mut walk = repository.revwalk().unwrap();
        walk.push_head().unwrap();
        assert_eq!(walk.count(), commits);
        assert!(commits >= 5);
        assert!(repository.statuses(None).unwrap().is_empty());
        assert!(directory.path().join("bookshop/ratings.py").is_file());
    }

    #[test]
    fn the_same_history_has_the_same_commits() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        create(one.path()).unwrap();
        create(two.path()).unwrap();
        let head = |path: &Path| Repository::open(path).unwrap().head().unwrap().target().unwrap();
        assert_eq!(head(one.path()), head(two.path()));
    }
}
