//! Names of the topics and of the headers that every record carries.

/// Lines as shippers send them; keyed by source.
pub const RAW_LOGS: &str = "raw-logs";
/// [`crate::ClassifiedLog`], keyed by fingerprint.
pub const CLASSIFIED_LOGS: &str = "classified-logs";
/// [`crate::Analysis`], keyed by fingerprint.
pub const ANALYSES: &str = "analyses";
/// [`crate::ProposedChange`], keyed by repository.
pub const PROPOSED_CHANGES: &str = "proposed-changes";
/// [`crate::ChangeRequest`], keyed by repository.
pub const CHANGE_REQUESTS: &str = "change-requests";
/// [`crate::Decision`], keyed by repository.
pub const DECISIONS: &str = "decisions";
/// [`crate::Node`], keyed by node id; compacted.
pub const NODES: &str = "nodes";
/// [`crate::Pattern`], keyed by pattern id; compacted.
pub const PATTERNS: &str = "patterns";
/// [`crate::AuditEvent`], keyed by actor.
pub const AUDIT: &str = "audit";

/// Subject under which the schema of a topic's values is registered (Confluent's `TopicNameStrategy`).
pub fn subject(topic: &str) -> String {
    format!("{topic}-value")
}

/// Changelog topic of a stage's keyed state.
pub fn state_topic(stage: &str) -> String {
    format!("{stage}-state")
}

/// Dead-letter topic of a stage.
pub fn dead_letter_topic(stage: &str) -> String {
    format!("{stage}-dead-letters")
}
