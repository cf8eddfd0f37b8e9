//! Nodes, what may happen to their failures, and the audit trail.

use serde::{Deserialize, Serialize};

use crate::Severity;

/// Who opens a change request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Mode {
    /// Waits for a person.
    #[default]
    Suggest,
    /// Opens the change request alone, where confidence and policy allow it.
    Deploy,
}

/// What may happen to a node's failures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Lowest severity that counts.
    pub threshold_level: Severity,
    /// Events of one fingerprint within the window that open an incident.
    pub threshold_count: i32,
    /// Length of the window in milliseconds of event time.
    pub threshold_window_ms: i64,
    /// Milliseconds of event time after an incident in which the same fingerprint opens no other.
    pub cooldown_ms: i64,
    /// Globs of the paths a proposal may touch.
    pub allowed_paths: Vec<String>,
    /// Most files a proposal may touch.
    pub max_files: i32,
    /// Most lines a proposal may add and remove together.
    pub max_changed_lines: i32,
    /// Lowest confidence, from 0 to 1, at which [`Mode::Deploy`] opens a change request alone.
    pub min_confidence: f64,
}

/// Health of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum NodeStatus {
    /// Its logs or heartbeats arrive.
    Healthy,
    /// Nothing was heard of it for longer than it promised.
    Silent,
    /// No longer watched.
    Retired,
    /// Known, nothing heard of it yet; also what a newer program may mean by another symbol.
    #[default]
    #[serde(other)]
    Registered,
}

/// A registered service that is watched; its latest state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Id of the node.
    pub id: String,
    /// Globs of the sources it owns, over `service/instance/stream`.
    pub sources: Vec<String>,
    /// Path or URL of its repository.
    pub repository: String,
    /// Branch that proposals are made against.
    pub base_branch: String,
    /// Where the repository's root lies in the paths that its traces name, such as `/srv/app`; may be empty.
    #[serde(default)]
    pub source_root: String,
    /// Mode.
    pub mode: Mode,
    /// Policy.
    pub policy: Policy,
    /// Which signals open incidents beside errors: `new-pattern`, `rate`, `silence`.
    #[serde(default)]
    pub signals: Vec<String>,
    /// Lowest severity of patterns whose novelty and rate are watched.
    #[serde(default = "default_signal_level")]
    pub signal_level: Severity,
    /// Milliseconds after the last change of the node in which every pattern counts as known.
    #[serde(default = "default_signal_warm_up_ms")]
    pub signal_warm_up_ms: i64,
    /// Health.
    pub status: NodeStatus,
    /// When it was first registered, in microseconds since 1970 UTC.
    pub registered_at: i64,
    /// When this state was written, in microseconds since 1970 UTC.
    pub updated_at: i64,
}

/// The default of [`Node::signal_level`], as the schema gives it.
fn default_signal_level() -> Severity {
    Severity::Warn
}

/// The default of [`Node::signal_warm_up_ms`], as the schema gives it: a day.
fn default_signal_warm_up_ms() -> i64 {
    86_400_000
}

/// How an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was not allowed.
    Denied,
    /// It was allowed and failed.
    Failed,
}

/// Something that somebody did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// Id of the event.
    pub id: String,
    /// Who did it.
    pub actor: String,
    /// What was done, such as `decision.approve` or `node.register`.
    pub action: String,
    /// What it was done to.
    pub target: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Further detail.
    #[serde(default)]
    pub detail: String,
    /// When, in microseconds since 1970 UTC.
    pub at: i64,
}
