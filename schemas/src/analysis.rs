//! What the analyzer finds: the cause of an incident, with its evidence.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Exception, Frame, Mode, Policy, Severity};

/// What a piece of evidence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EvidenceKind {
    /// Log lines.
    Log,
    /// A frame of a stack.
    Frame,
    /// An excerpt of the repository.
    Source,
}

/// One piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What the evidence is.
    pub kind: EvidenceKind,
    /// `topic/partition/offset` or `topic/partition/first-last` of records, separated by commas;
    /// `commit:path#first-last` of source.
    pub origin: String,
    /// The text itself, with secrets masked.
    pub text: String,
}

/// The playbook recipe that recognised a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    /// Name of the recipe.
    pub name: String,
    /// Path of the file in the repository.
    pub path: String,
    /// Culprit line in that file, from 1.
    pub line: i32,
    /// What the recipe captured, by name.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
}

/// The cause of an incident, with its evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    /// Id of the incident: derived from node, fingerprint and the event that opened it.
    pub incident_id: String,
    /// Fingerprint of the failure.
    pub fingerprint: String,
    /// Id of the node it happened on.
    pub node: String,
    /// Repository of the node.
    pub repository: String,
    /// Branch that proposals are made against.
    pub base_branch: String,
    /// Commit of that branch when the analysis was made; `None` where the repository could not be read.
    pub base_commit: Option<String>,
    /// Mode of the node.
    pub mode: Mode,
    /// Policy of the node when the incident was opened.
    pub policy: Policy,
    /// One line that names the failure.
    pub title: String,
    /// Highest severity seen.
    pub severity: Severity,
    /// Category of the failure.
    pub category: String,
    /// Event time at which the threshold was crossed, in microseconds since 1970 UTC.
    pub opened_at: i64,
    /// Time of the first event counted, in microseconds since 1970 UTC.
    pub first_seen: i64,
    /// Events counted within the window when the incident was opened.
    pub count: i64,
    /// What went wrong and why, for a reader; says so where the cause is unknown.
    pub cause: String,
    /// Whether a cause was found.
    pub cause_known: bool,
    /// Confidence in the cause, from 0 to 1.
    pub confidence: f64,
    /// Model provider that made the analysis.
    pub provider: String,
    /// The recipe that recognised the failure, if one did.
    pub recipe: Option<Recipe>,
    /// The exception of the failure, where there is one.
    pub exception: Option<Exception>,
    /// Frames in which the defect may lie, the likeliest first.
    #[serde(default)]
    pub culprits: Vec<Frame>,
    /// Evidence for the cause.
    #[serde(default)]
    pub evidence: Vec<Evidence>,
    /// The signal that opened the incident: `new-pattern`, `rate` or `silence`; empty where failures crossed the threshold.
    #[serde(default)]
    pub signal: String,
}
