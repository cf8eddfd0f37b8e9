//! What every model provider is asked, and what it answers.
//!
//! Requests hold plain values: the caller reads repositories and logs, a provider never does.

use std::time::Duration;

use async_trait::async_trait;
use hephaestus_schemas::{Analysis, ClassifiedLog, Edit, Frame, Recipe};

/// A file of the repository that a culprit frame points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Path in the repository.
    pub path: String,
    /// Text of the file at the commit that is looked at.
    pub text: String,
    /// Line that the frame points at, from 1; `None` where the frame names no line.
    pub culprit_line: Option<u32>,
    /// The frame, as it stands among the culprits of the event.
    pub frame: Frame,
}

/// A failure to be explained.
#[derive(Debug, Clone, PartialEq)]
pub struct AnalysisRequest {
    /// The failure: its exception, culprits and message.
    pub event: ClassifiedLog,
    /// Further log lines of the same failure, masked.
    pub samples: Vec<String>,
    /// Events counted within the node's window.
    pub count: i64,
    /// Files that culprit frames point at, the likeliest first.
    pub sources: Vec<SourceFile>,
}

/// An analysis for which edits are wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct ProposalRequest {
    /// What was found.
    pub analysis: Analysis,
    /// Files at the base commit that culprit frames point at, the likeliest first.
    pub files: Vec<SourceFile>,
}

/// What a provider found.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What went wrong and why, for a reader; says so where the cause is unknown.
    pub cause: String,
    /// Whether a cause was found.
    pub cause_known: bool,
    /// Confidence in the cause, from 0 to 1.
    pub confidence: f64,
    /// Category of the failure, where the provider knows better than the classifier.
    pub category: Option<String>,
    /// The recipe that recognised the failure, if one did.
    pub recipe: Option<Recipe>,
    /// One line that names the failure.
    pub title: String,
}

/// Why a provider gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// The same request may succeed later: a time-out, a rate limit, a failing server.
    #[error("model did not answer: {reason}")]
    Retry {
        /// How long to wait, where the provider said so.
        after: Option<Duration>,
        /// What happened.
        reason: String,
    },
    /// The same request can never succeed.
    #[error("model refused the request: {0}")]
    Permanent(String),
}

/// Explains failures and proposes edits.
///
/// What it returns is data from a stranger: callers pass every edit through the gates.
#[async_trait]
pub trait ModelProvider: Send + Sync {
    /// Name of the provider, as it stands in analyses.
    fn name(&self) -> &str;

    /// Explains a failure. An unknown cause is an answer and no error.
    ///
    /// # Errors
    /// Where no answer could be had, now or ever.
    async fn analyze(&self, request: &AnalysisRequest) -> Result<Finding, ModelError>;

    /// Proposes edits for an analysis; none where nothing sensible is known.
    ///
    /// # Errors
    /// Where no answer could be had, now or ever.
    async fn propose(&self, request: &ProposalRequest) -> Result<Vec<Edit>, ModelError>;
}
