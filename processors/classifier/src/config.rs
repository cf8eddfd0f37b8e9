//! Settings of the classifier. Every bound has its name here.

use std::collections::BTreeMap;

use hephaestus_pipeline::config::HumanDuration;
use hephaestus_pipeline::config::Secret;
use serde::{Deserialize, Serialize};

use crate::mask::SecretRule;
use crate::parse::Format;
use crate::rules::{self, RuleConfig, RuleError};

/// How the classifier reads logs; the same for every source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassifierConfig {
    /// Bytes kept of one line; what is longer is cut.
    pub max_line_bytes: usize,
    /// Bytes kept of one event of several lines.
    pub max_event_bytes: usize,
    /// Lines after which an event ends in any case.
    pub max_event_lines: u32,
    /// Lines before an event that are kept with it as its context.
    pub context_lines: usize,
    /// Bytes kept of each of those lines.
    pub context_line_bytes: usize,
    /// Milliseconds without a further line after which a pending event is complete.
    pub flush_timeout_ms: u64,
    /// Prefixes of modules, functions or files that belong to the application.
    pub in_app: Vec<String>,
    /// Prefixes of modules, functions or files that do not.
    pub not_in_app: Vec<String>,
    /// Further names of fields whose values are secrets.
    pub secret_keys: Vec<String>,
    /// Names of fields whose values are no secrets, though they look like it.
    pub not_secret_keys: Vec<String>,
    /// Further kinds of secrets.
    pub secret_rules: Vec<SecretRule>,
    /// Values that are no secrets, though they look like it.
    pub not_secrets: Vec<String>,
    /// The key of the tags that tell masked values of one source apart. Without it only those are tagged
    /// that nobody can guess.
    pub mask_key: Option<Secret>,
    /// Formats of sources that are not to be told by their content, by what the source's name
    /// (`service/instance/stream`) begins with; the longest that fits counts. A record's header
    /// `hephaestus-format` goes first.
    pub formats: BTreeMap<String, Format>,
    /// Patterns that one instance remembers in order to learn which of them are one.
    pub max_patterns: usize,
    /// Time in which events came in and a rule was applied to none of them, after which it is told of.
    pub idle_rule_after: HumanDuration,
    /// What is one group, what is not, what is noise, and what belongs in which category.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleConfig>,
}

impl ClassifierConfig {
    /// Checks the rules.
    ///
    /// # Errors
    /// Every mistake in every rule.
    pub fn check(&self) -> Result<(), Vec<RuleError>> {
        rules::check(&self.rules)
    }

    /// The format that is set for a source.
    pub(crate) fn format_of(&self, source: &str) -> Option<Format> {
        let fits = self.formats.iter().filter(|(start, _)| source.starts_with(start.as_str()));
        fits.max_by_key(|(start, _)| start.len()).map(|(_, format)| *format)
    }
}

impl Default for ClassifierConfig {
    fn default() -> Self {
        Self {
            max_line_bytes: 64 * 1024,
            max_event_bytes: 256 * 1024,
            max_event_lines: 10_000,
            context_lines: 10,
            context_line_bytes: 512,
            flush_timeout_ms: 500,
            in_app: Vec::new(),
            not_in_app: Vec::new(),
            secret_keys: Vec::new(),
            not_secret_keys: Vec::new(),
            secret_rules: Vec::new(),
            not_secrets: Vec::new(),
            mask_key: None,
            formats: BTreeMap::new(),
            max_patterns: 100_000,
            idle_rule_after: HumanDuration::from_secs(24 * 3_600),
            rules: Vec::new(),
        }
    }
}
