//! Proposals, the decisions about them, and what becomes of them.

use serde::{Deserialize, Serialize};

use crate::{Evidence, Mode};

/// Replaces one piece of text, that stands exactly once in the file, by another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// Path of the file in the repository.
    pub path: String,
    /// Text that stands exactly once in the file at the base commit.
    pub find: String,
    /// Text to put in its place.
    pub replace: String,
}

/// What one gate said of a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateResult {
    /// Name of the gate.
    pub gate: String,
    /// Whether the proposal passed.
    pub passed: bool,
    /// Why not, or what was looked at.
    pub reason: String,
}

/// Whether a proposal passed every gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ProposalStatus {
    /// Every gate was passed.
    Proposed,
    /// At least one gate refused.
    Refused,
}

/// Edits for an analysis, and what every gate said of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProposedChange {
    /// Id of the proposal: derived from incident, base commit and edits.
    pub proposal_id: String,
    /// Incident the proposal is for.
    pub incident_id: String,
    /// Fingerprint of the failure.
    pub fingerprint: String,
    /// Id of the node.
    pub node: String,
    /// Repository to change.
    pub repository: String,
    /// Branch the change is made against.
    pub base_branch: String,
    /// Commit the edits were made against.
    pub base_commit: String,
    /// Mode of the node.
    pub mode: Mode,
    /// Whether every gate was passed.
    pub status: ProposalStatus,
    /// Whether a person has to approve it first.
    pub needs_decision: bool,
    /// Title of the change, one line.
    pub title: String,
    /// Description for a reviewer, in Markdown.
    pub description: String,
    /// Confidence, from 0 to 1.
    pub confidence: f64,
    /// The edits, in order.
    pub edits: Vec<Edit>,
    /// Paths that the edits touch.
    pub files: Vec<String>,
    /// The change as a unified diff.
    pub diff: String,
    /// What each gate said.
    pub gates: Vec<GateResult>,
    /// Evidence carried over from the analysis.
    #[serde(default)]
    pub evidence: Vec<Evidence>,
    /// When the proposal was made, in microseconds since 1970 UTC.
    pub proposed_at: i64,
}

/// What happened to a change request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ChangeRequestEvent {
    /// It waits for a person.
    AwaitingDecision,
    /// It was approved.
    Approved,
    /// It was rejected.
    Rejected,
    /// Its branch and its change request exist.
    Opened,
    /// Its branch was changed.
    Updated,
    /// It was merged.
    Merged,
    /// It was closed without a merge.
    Closed,
    /// It could not be made.
    Failed,
}

/// One thing that happened to a change request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRequest {
    /// Id of the change request: derived from its proposal.
    pub id: String,
    /// Proposal it was made from.
    pub proposal_id: String,
    /// Incident it is for.
    pub incident_id: String,
    /// Fingerprint of the failure.
    pub fingerprint: String,
    /// Id of the node.
    pub node: String,
    /// Repository.
    pub repository: String,
    /// What happened.
    pub event: ChangeRequestEvent,
    /// Title, one line.
    pub title: String,
    /// Branch that holds the change.
    pub branch: Option<String>,
    /// Commit on that branch.
    pub commit: Option<String>,
    /// Branch it is made against.
    pub base_branch: String,
    /// Paths it touches.
    #[serde(default)]
    pub files: Vec<String>,
    /// The change as a unified diff.
    #[serde(default)]
    pub diff: String,
    /// Where a person can look at it.
    pub url: Option<String>,
    /// Who or what made it happen: `policy`, or the name of a person.
    pub actor: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// When it happened, in microseconds since 1970 UTC.
    pub at: i64,
}

/// What was decided about a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// The change request may be opened.
    Approved,
    /// It may not.
    Rejected,
}

/// What kind of actor decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ActorKind {
    /// A person.
    Person,
    /// A node's policy.
    Policy,
    /// A node.
    Node,
}

/// A person or a policy approved or rejected a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Id of the decision.
    pub decision_id: String,
    /// Proposal that was decided.
    pub proposal_id: String,
    /// Repository of the proposal.
    pub repository: String,
    /// The decision.
    pub verdict: Verdict,
    /// Who decided.
    pub actor: String,
    /// What kind of actor.
    pub actor_kind: ActorKind,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// When it was decided, in microseconds since 1970 UTC.
    pub at: i64,
}
