//! Settings of the analyzer.

use serde::{Deserialize, Serialize};

/// How the analyzer is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnalyzerConfig {
    /// Patterns whose history one process follows, for nodes that ask for signals.
    pub max_followed: usize,
}

impl Default for AnalyzerConfig {
    fn default() -> Self {
        Self { max_followed: 50_000 }
    }
}
