//! What is remembered of a repository's proposals.
//!
//! Promises: bounded in count and bytes; what is finished is let go before what is not.

use std::collections::BTreeMap;

use hephaestus_schemas::{Decision, Edit, EvidenceKind, ProposedChange, Verdict};
use serde::{Deserialize, Serialize};

/// Most proposals that wait for a decision or for their branch.
pub const MAX_PENDING: usize = 200;
/// Most bytes of those proposals.
pub const MAX_PENDING_BYTES: usize = 384 * 1024;
/// Most bytes of one of them.
pub const MAX_PROPOSAL_BYTES: usize = 256 * 1024;
/// Most proposals of which only the end is remembered.
pub const MAX_FINISHED: usize = 1000;
/// Most decisions that came before their proposal.
pub const MAX_EARLY: usize = 100;
/// Most characters of an actor's name and of a reason.
pub(crate) const MAX_ACTOR_CHARS: usize = 200;
pub(crate) const MAX_REASON_CHARS: usize = 1000;
/// Most bytes of an id.
pub(crate) const MAX_ID_BYTES: usize = 200;
/// Most bytes of the origins of a change.
const MAX_ORIGIN_BYTES: usize = 2000;

/// A proposal that is not finished: what its events and its branch are made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingChange {
    /// Id of the proposal.
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
    /// Title, one line.
    pub title: String,
    /// Description for a reviewer, in Markdown.
    pub description: String,
    /// The edits, in order.
    pub edits: Vec<Edit>,
    /// Paths that the edits touch.
    pub files: Vec<String>,
    /// The change as a unified diff, as it was shown to who decides.
    pub diff: String,
    /// Records that caused it, separated by commas.
    pub origin: String,
    /// When it was proposed, in microseconds since 1970 UTC.
    pub proposed_at: i64,
}

impl PendingChange {
    /// Keeps of a proposal what is needed later.
    pub(crate) fn new(proposal: ProposedChange) -> Self {
        let origin = origin(&proposal);
        Self {
            proposal_id: proposal.proposal_id,
            incident_id: proposal.incident_id,
            fingerprint: proposal.fingerprint,
            node: proposal.node,
            repository: proposal.repository,
            base_branch: proposal.base_branch,
            base_commit: proposal.base_commit,
            title: proposal.title,
            description: proposal.description,
            edits: proposal.edits,
            files: proposal.files,
            diff: proposal.diff,
            origin,
            proposed_at: proposal.proposed_at,
        }
    }

    /// Bytes of its texts, and a little for each.
    pub(crate) fn bytes(&self) -> usize {
        const OVERHEAD: usize = 512;
        let texts = [
            &self.proposal_id,
            &self.incident_id,
            &self.fingerprint,
            &self.node,
            &self.repository,
            &self.base_branch,
            &self.base_commit,
            &self.title,
            &self.description,
            &self.diff,
            &self.origin,
        ];
        let texts: usize = texts.iter().map(|text| text.len()).sum();
        let edit_bytes = |edit: &Edit| edit.path.len() + edit.find.len() + edit.replace.len() + 64;
        let edits: usize = self.edits.iter().map(edit_bytes).sum();
        let files: usize = self.files.iter().map(|file| file.len() + 32).sum();
        OVERHEAD + texts + edits + files
    }
}

/// Origins of the log lines among the evidence, each once, as many as fit.
fn origin(proposal: &ProposedChange) -> String {
    let mut known: Vec<&str> = Vec::new();
    let mut bytes = 0;
    for evidence in proposal.evidence.iter().filter(|evidence| evidence.kind == EvidenceKind::Log) {
        for origin in evidence.origin.split(',').map(str::trim) {
            let fits = bytes + origin.len() < MAX_ORIGIN_BYTES;
            if !origin.is_empty() && fits && !known.contains(&origin) {
                known.push(origin);
                bytes += origin.len() + 1;
            }
        }
    }
    known.join(",")
}

/// How far a proposal that is not finished has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// Nobody has decided.
    AwaitingDecision,
    /// It may be opened, and its host was asked to.
    Approved {
        /// Who approved.
        actor: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pending {
    pub(crate) change: PendingChange,
    pub(crate) phase: Phase,
    /// Place in the order of arrival.
    pub(crate) order: u64,
}

/// How a proposal ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum End {
    /// Its branch exists.
    Opened,
    /// Somebody rejected it.
    Rejected,
    /// It could not be made.
    Failed,
    /// Its incident had another proposal.
    Superseded,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Finished {
    pub(crate) incident_id: String,
    pub(crate) end: End,
    pub(crate) order: u64,
}

/// A decision whose proposal has not arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Early {
    pub(crate) verdict: Verdict,
    pub(crate) actor: String,
    pub(crate) reason: String,
    pub(crate) order: u64,
}

/// The proposals of one repository, by id, and the decisions that came before theirs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RepositoryState {
    pub(crate) pending: BTreeMap<String, Pending>,
    pub(crate) finished: BTreeMap<String, Finished>,
    pub(crate) early: BTreeMap<String, Early>,
    next_order: u64,
}

impl RepositoryState {
    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.finished.is_empty() && self.early.is_empty()
    }

    /// Bytes it takes in memory, roughly.
    pub fn weight(&self) -> usize {
        const BYTES_PER_ENTRY: usize = 200;
        let finished: usize = self
            .finished
            .iter()
            .map(|(id, end)| id.len() + end.incident_id.len() + BYTES_PER_ENTRY)
            .sum();
        let early: usize = self
            .early
            .iter()
            .map(|(id, early)| id.len() + early.actor.len() + early.reason.len() + BYTES_PER_ENTRY)
            .sum();
        self.pending_bytes() + finished + early
    }

    /// Whether the proposal is known, finished or not.
    pub(crate) fn knows(&self, proposal_id: &str) -> bool {
        self.pending.contains_key(proposal_id) || self.finished.contains_key(proposal_id)
    }

    /// Bytes of the proposals that are not finished.
    pub(crate) fn pending_bytes(&self) -> usize {
        self.pending.values().map(|pending| pending.change.bytes()).sum()
    }

    pub(crate) fn take_order(&mut self) -> u64 {
        let order = self.next_order;
        self.next_order += 1;
        order
    }

    /// Remembers how a proposal ended, and lets go of the oldest end where there are too many.
    pub(crate) fn finish(&mut self, proposal_id: &str, incident_id: &str, end: End) {
        self.pending.remove(proposal_id);
        let order = self.take_order();
        let finished = Finished { incident_id: incident_id.to_owned(), end, order };
        self.finished.insert(proposal_id.to_owned(), finished);
        if self.finished.len() > MAX_FINISHED {
            let oldest = self.finished.iter().min_by_key(|(_, finished)| finished.order);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                self.finished.remove(&oldest);
            }
        }
    }

    /// Keeps a decision until its proposal arrives. Of several, a rejection counts, else the first.
    pub(crate) fn keep_early(&mut self, decision: &Decision) {
        let is_known = self.early.contains_key(&decision.proposal_id);
        if is_known && decision.verdict == Verdict::Approved {
            return;
        }
        let order = self.take_order();
        let early = Early {
            verdict: decision.verdict,
            actor: shortened(&decision.actor, MAX_ACTOR_CHARS),
            reason: shortened(&decision.reason, MAX_REASON_CHARS),
            order,
        };
        self.early.insert(decision.proposal_id.clone(), early);
        if self.early.len() > MAX_EARLY {
            let oldest = self.early.iter().min_by_key(|(_, early)| early.order);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                self.early.remove(&oldest);
            }
        }
    }

    /// The oldest proposal that waits for a decision.
    pub(crate) fn oldest_awaiting(&self) -> Option<String> {
        let awaiting =
            self.pending.iter().filter(|(_, pending)| pending.phase == Phase::AwaitingDecision);
        awaiting.min_by_key(|(_, pending)| pending.order).map(|(id, _)| id.clone())
    }
}

/// The first characters of a text.
pub(crate) fn shortened(text: &str, max_chars: usize) -> String {
    text.chars().take(max_chars).collect()
}
