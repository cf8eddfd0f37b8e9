//! Bounds on what a provider is shown and on what it may look at.
//!
//! Every bound is in bytes or in items; nothing is cut within a character.

use crate::provider::AnalysisRequest;

/// Bytes of source that one request may hold, over all files.
pub const MAX_SOURCE_BYTES: usize = 2 * 1024 * 1024;
/// Files that one request may hold.
pub const MAX_SOURCES: usize = 8;
/// Sample log lines that one request may hold.
pub const MAX_SAMPLES: usize = 20;
/// Bytes of one sample.
pub const MAX_SAMPLE_BYTES: usize = 4 * 1024;
/// Bytes of a file that is parsed; a larger one is not looked at.
pub const MAX_PARSED_BYTES: usize = 1024 * 1024;
/// Bytes of an exception's message that a recipe looks at.
pub const MAX_MESSAGE_BYTES: usize = 8 * 1024;
/// Exceptions of one chain of causes that are looked at.
pub const MAX_CAUSES: usize = 8;
/// Bytes of a value that is quoted in an explanation.
pub const MAX_QUOTED_BYTES: usize = 120;
/// Bytes of a cause, in words.
pub const MAX_CAUSE_BYTES: usize = 4 * 1024;
/// Bytes of a title.
pub const MAX_TITLE_BYTES: usize = 160;

/// Bounds on the context of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of source, over all files.
    pub source_bytes: usize,
    /// Files.
    pub sources: usize,
    /// Sample log lines.
    pub samples: usize,
    /// Bytes of one sample.
    pub sample_bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            source_bytes: MAX_SOURCE_BYTES,
            sources: MAX_SOURCES,
            samples: MAX_SAMPLES,
            sample_bytes: MAX_SAMPLE_BYTES,
        }
    }
}

impl Budget {
    /// Drops what goes beyond the budget: the less likely files, the later samples.
    ///
    /// A file is kept whole or not at all, since half a file neither parses nor can be edited.
    pub fn apply(&self, request: &mut AnalysisRequest) {
        request.samples.truncate(self.samples);
        for sample in &mut request.samples {
            let kept = bounded(sample, self.sample_bytes).len();
            sample.truncate(kept);
        }
        request.sources.truncate(self.sources);
        let mut left = self.source_bytes;
        request.sources.retain(|source| {
            let fits = source.text.len() <= left;
            if fits {
                left -= source.text.len();
            }
            fits
        });
    }
}

/// The longest start of a text that has at most `limit` bytes and ends with a whole character.
pub fn bounded(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use hephaestus_schemas::{ClassifiedLog, Frame};

    use super::*;
    use crate::SourceFile;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(bounded("größe", 3), "gr");
        assert_eq!(bounded("größe", 4), "grö");
        assert_eq!(bounded("größe", 100), "größe");
    }

    #[test]
    fn a_budget_keeps_the_likeliest_files_whole() {
        let source = |path: &str, bytes: usize| SourceFile {
            path: path.into(),
            text: "x".repeat(bytes),
            culprit_line: None,
            frame: Frame::default(),
        };
        let mut request = AnalysisRequest {
            event: ClassifiedLog::default(),
            samples: vec!["abcdef".into(), "b".into(), "c".into()],
            count: 3,
            sources: vec![source("a", 6), source("b", 6), source("c", 4), source("d", 0)],
        };
        let budget = Budget { source_bytes: 10, sources: 3, samples: 2, sample_bytes: 4 };
        budget.apply(&mut request);
        let paths: Vec<&str> = request.sources.iter().map(|kept| kept.path.as_str()).collect();
        assert_eq!(paths, ["a", "c"]);
        assert_eq!(request.samples, ["abcd", "b"]);
    }
}
