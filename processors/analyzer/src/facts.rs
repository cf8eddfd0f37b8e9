//! Asks the repository about frames: are they in it, in a test, and did their lines change lately.

use hephaestus_classifier::{MAX_CULPRITS, is_test};
use hephaestus_repository_service::{
    ChangedLines, CommitId, FileLists, Repository, RepositoryError,
};
use hephaestus_schemas::Frame;

use crate::culprits::{Facts, Place};

/// Changes in this time before the commit count as late ones, in seconds: two weeks.
const LATELY_SECONDS: i64 = 14 * 24 * 3_600;
/// Lines beside a frame's own that count as its own: a statement may span some.
const BESIDE: u32 = 2;

/// What the repository says at a commit of each of the first frames. Blocks.
///
/// # Errors
/// Where the repository cannot be read.
pub fn gather(
    repository: &dyn Repository,
    commit: &CommitId,
    lists: &FileLists,
    source_root: &str,
    frames: &[Frame],
) -> Result<Vec<Facts>, RepositoryError> {
    let mut paths: Vec<Option<String>> = Vec::new();
    for frame in frames.iter().take(MAX_CULPRITS) {
        paths.push(lists.resolve(repository, commit, frame, source_root)?);
    }
    let mut wanted: Vec<String> = paths.iter().flatten().cloned().collect();
    wanted.sort_unstable();
    wanted.dedup();
    let changed = repository.changed_lines(commit, &wanted, LATELY_SECONDS)?;
    let mut facts = Vec::new();
    for (frame, path) in frames.iter().zip(paths) {
        facts.push(match path {
            Some(path) => of_file(repository, commit, frame, &path, &changed)?,
            None => Facts::default(),
        });
    }
    Ok(facts)
}

fn of_file(
    repository: &dyn Repository,
    commit: &CommitId,
    frame: &Frame,
    path: &str,
    changed: &ChangedLines,
) -> Result<Facts, RepositoryError> {
    if is_test(&Frame { file: Some(format!("/{path}")), ..frame.clone() }) {
        return Ok(Facts { place: Place::Test, changed: false });
    }
    let unsure = Facts { place: Place::Unsure, changed: false };
    let Some(line) = frame.line.and_then(|line| u32::try_from(line).ok()) else {
        return Ok(unsure);
    };
    let Some(text) = repository.read_source(commit, path)? else { return Ok(unsure) };
    let lines = text.split(|byte| *byte == b'\n').count();
    if usize::try_from(line).map_or(true, |line| line > lines) {
        return Ok(unsure);
    }
    let near = line.saturating_sub(BESIDE)..=line.saturating_add(BESIDE);
    let runs = changed.get(path).map(Vec::as_slice).unwrap_or_default();
    let changed = runs.iter().any(|run| run.start() <= near.end() && near.start() <= run.end());
    Ok(Facts { place: Place::Source, changed })
}
