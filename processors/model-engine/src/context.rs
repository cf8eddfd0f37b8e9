//! What a provider is shown of a repository: the files that frames point at, the likeliest first.

use hephaestus_repository_service::{CommitId, FileLists, Repository, RepositoryError};
use hephaestus_schemas::{Exception, Frame};

use crate::{SourceFile, budget};

/// Most frames that are looked at.
const MAX_FRAMES: usize = 32;

/// Frames of a failure in the order in which they are looked at: the culprits, then the stack of the
/// innermost cause, from where it was raised.
pub fn frames(culprits: &[Frame], exception: Option<&Exception>) -> Vec<Frame> {
    let mut frames: Vec<Frame> = culprits.to_vec();
    let mut innermost = exception;
    while let Some(cause) = innermost.and_then(|exception| exception.cause.as_deref()) {
        innermost = Some(cause);
    }
    for frame in innermost.into_iter().flat_map(|exception| &exception.frames) {
        if frames.len() >= MAX_FRAMES {
            break;
        }
        if !frames.contains(frame) {
            frames.push(frame.clone());
        }
    }
    frames
}

/// The files that frames point at. Frames outside the repository are passed over. Blocks.
///
/// # Errors
/// Where the repository cannot be read.
pub fn gather(
    repository: &dyn Repository,
    commit: &CommitId,
    lists: &FileLists,
    source_root: &str,
    frames: &[Frame],
) -> Result<Vec<SourceFile>, RepositoryError> {
    let mut sources: Vec<SourceFile> = Vec::new();
    let mut bytes = 0;
    for frame in frames {
        if sources.len() >= budget::MAX_SOURCES {
            break;
        }
        let Some(path) = lists.resolve(repository, commit, frame, source_root)? else { continue };
        let culprit_line = frame.line.and_then(|line| u32::try_from(line).ok());
        let known =
            sources.iter().any(|source| source.path == path && source.culprit_line == culprit_line);
        if known {
            continue;
        }
        let Some(blob) = repository.read_source(commit, &path)? else { continue };
        let Ok(text) = String::from_utf8(blob) else { continue };
        bytes += text.len();
        if bytes > budget::MAX_SOURCE_BYTES {
            break;
        }
        sources.push(SourceFile { path, text, culprit_line, frame: frame.clone() });
    }
    Ok(sources)
}
